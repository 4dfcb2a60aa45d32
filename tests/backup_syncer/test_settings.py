"""The settings as a process of its own reads them."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from django.test import Client, RequestFactory

from backup_syncer.client_address import client_address
from backup_syncer.state_directory import default_state, embedded_url, secret_key
from tests.backup_syncer.conftest import Command

PRODUCTION = {"BACKUP_SYNCER_PUBLIC_URL": "https://backup.example.org"}


def test_deploy_check_is_clean_in_production(command: Command) -> None:
    """`check --deploy` has nothing to say about production settings."""
    done = command("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_secret_key_is_made_once_and_closed(command: Command, short: Path) -> None:
    """The first start makes the key, mode 0600; the second uses it."""
    assert command("check").returncode == 0
    path = short / "state" / "keys" / "secret_key"
    key = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(key.strip()) >= 64
    assert command("check").returncode == 0
    assert path.read_text() == key


def test_secret_key_race_has_one_winner(tmp_path: Path) -> None:
    """Many first starts at once all end with the same key."""
    keys: list[str] = []
    (tmp_path / "keys").mkdir()
    threads = [
        threading.Thread(target=lambda: keys.append(secret_key(tmp_path / "keys" / "secret_key"))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 16
    assert len(set(keys)) == 1
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["secret_key"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BACKUP_SYNCER_INBOX_BYTES", "plenty"),
        ("BACKUP_SYNCER_PUBLIC_URL", "http://backup.example.org"),
        ("BACKUP_SYNCER_TIME_ZONE", "Nowhere"),
        ("BACKUP_SYNCER_LANGUAGE", "tlh"),
        ("BACKUP_SYNCER_STATE", "relative"),
        ("DATABASE_URL", "sqlite:///db"),
        ("SECRET_KEY_FILE", "/nowhere"),
    ],
)
def test_wrong_value_fails_at_start_with_its_name(command: Command, name: str, value: str) -> None:
    """Nothing starts with a setting that cannot be meant."""
    done = command("check", **{name: value})
    assert done.returncode != 0
    assert name in done.stderr.strip().splitlines()[-1]


def test_embedded_url_survives_the_socket_path() -> None:
    """The directory of the socket is the host of the URL, whatever characters it has."""
    url = embedded_url(Path("/tmp/a b/100%"))
    assert url == "postgresql://backup_syncer@%2Ftmp%2Fa%20b%2F100%25%2Frun/backup_syncer"


def test_default_state_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty HOME is not the root directory: the user's entry in the password file counts."""
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    monkeypatch.setattr("pwd.getpwuid", lambda _uid: type("User", (), {"pw_dir": "/home/somebody"}))
    monkeypatch.setenv("HOME", "")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_state() == Path("/home/somebody/.local/share/backup_syncer")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_state() == Path("/data/backup_syncer")


@pytest.mark.django_db
def test_strict_content_security_policy(client: Client) -> None:
    """Each page allows scripts, styles and connections of this server alone, and no frame."""
    policy = client.get("/login/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_forwarded_address_counts_behind_the_proxy_alone(rf: RequestFactory, settings: object) -> None:
    """The last part is the proxy's own word; what comes before it, or without a proxy, is the client's claim."""
    request = rf.get("/", headers={"X-Forwarded-For": "6.6.6.6, 192.0.2.7"})
    assert client_address(request) == "127.0.0.1"
    settings.BACKUP_SYNCER_BEHIND_PROXY = True  # type: ignore[attr-defined]  # pytest-django's wrapper
    assert client_address(request) == "192.0.2.7"
    assert client_address(rf.get("/", headers={"X-Forwarded-For": "nonsense"})) == "127.0.0.1"
