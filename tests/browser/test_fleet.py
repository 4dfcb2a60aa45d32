"""A large fleet in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Open
from tests.checker import fleet_stage, stage

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("language", "scheme", "width", "groups", "servers"),
    [("en", "light", 1280, 100, 20), ("ru", "dark", 360, 100, 20), ("ru", "light", 1280, 20, 100)],
)
def test_try(
    open_page: Open,
    shoot: Callable[[Page, str], None],
    language: str,
    scheme: Any,
    width: int,
    groups: int,
    servers: int,
) -> None:
    """x"""
    made = fleet_stage.fill(groups, servers, 60 if groups == 20 else 3)
    page = open_page("/", stage.make_user("viewer"), language, width, color_scheme=scheme)
    page.screenshot(path=f"/tmp/w/shots/v-{groups}-{width}.png")
    shoot(page, f"fleet-{language}-{scheme}-{width}-{groups}")
    page.goto(f"/servers/{made.servers[3].uuid}/")
    shoot(page, f"fleet-server-{language}-{scheme}-{width}-{groups}")
    page.goto(f"/groups/{made.groups[0].uuid}/")
    shoot(page, f"fleet-group-{language}-{scheme}-{width}-{groups}")
