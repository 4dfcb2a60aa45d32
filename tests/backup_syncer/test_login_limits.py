"""Slow down guesses at passwords without locking out the people whose passwords they are."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db

OWN_ADDRESS = "192.0.2.7"
STRANGER = "198.51.100.9"


@pytest.fixture(autouse=True)
def limits(settings: Any) -> None:
    """Let the limits be small."""
    settings.BACKUP_SYNCER_LOGIN_FAILURES_PER_ADDRESS = 8
    settings.BACKUP_SYNCER_LOGIN_FAILURES_IN_ALL = 20
    User.objects.create_user("ann", password="right")


def log_in(name: str, password: str, address: str) -> int:
    """Try to log in from an address, and return the status of the answer: 302 is a login, 429 a pause."""
    answer = Client().post("/login/", {"username": name, "password": password}, REMOTE_ADDR=address)
    return answer.status_code


def test_one_name_from_one_address() -> None:
    """After five wrong passwords even the right one is refused from that address, and not from another one."""
    for _ in range(4):
        assert log_in("ann", "wrong", STRANGER) == 200
    log_in("ann", "wrong", STRANGER)
    assert log_in("ann", "right", STRANGER) == 429
    assert log_in("ann", "right", OWN_ADDRESS) == 302


@pytest.mark.parametrize("addresses", [[STRANGER], ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9"]])
def test_many_names_from_one_address(addresses: list[str]) -> None:
    """One guess at each of many names blocks the address, or the network of IPv6, and no other one."""
    for number in range(7):
        assert log_in(f"name {number}", "wrong", addresses[number % len(addresses)]) == 200
    log_in("name 7", "wrong", addresses[0])
    assert [log_in("ann", "right", address) for address in addresses] == [429] * len(addresses)
    assert log_in("ann", "right", OWN_ADDRESS) == 302
    assert log_in("ann", "right", "2001:db8:1:3::1") == 302


def test_guesses_from_everywhere() -> None:
    """Too many wrong passwords in all block addresses that nobody knows, and let the others in."""
    assert log_in("ann", "right", OWN_ADDRESS) == 302
    for number in range(20):
        log_in(f"name {number}", "wrong", f"203.0.113.{number}")
    assert log_in("ann", "right", STRANGER) == 429
    assert log_in("ann", "right", OWN_ADDRESS) == 302


def test_the_page_of_a_blocked_login() -> None:
    """The page is one of ours, and says what to do."""
    client = Client(REMOTE_ADDR=STRANGER)
    for _ in range(5):
        client.post("/login/", {"username": "ann", "password": "wrong"})
    answer = client.post("/login/", {"username": "ann", "password": "right"})
    assert answer.status_code == 429
    page = answer.content.decode()
    assert "Too many failed logins" in page and "Wait a few minutes" in page
    assert "_auth_user_id" not in client.session
