"""The environment is read in one place, and a wrong value is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from backup_syncer import environment


def test_unset_and_empty_give_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable is as good as none: service managers set empty ones."""
    monkeypatch.delenv("BS_X", raising=False)
    assert environment.text("BS_X", "fallback") == "fallback"
    monkeypatch.setenv("BS_X", "  ")
    assert environment.text("BS_X", "fallback") == "fallback"
    assert environment.ASKED["BS_X"] == "fallback"


def test_secret_comes_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """NAME_FILE names a file; white space around the secret is not part of it."""
    (tmp_path / "secret").write_text("s3cret\n")
    monkeypatch.setenv("BS_X_FILE", str(tmp_path / "secret"))
    assert environment.secret("BS_X") == "s3cret"


def test_secret_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody could say which of the two counts."""
    monkeypatch.setenv("BS_X", "one")
    monkeypatch.setenv("BS_X_FILE", str(tmp_path / "secret"))
    with pytest.raises(ImproperlyConfigured, match="BS_X and BS_X_FILE"):
        environment.secret("BS_X")


@pytest.mark.parametrize("contents", [None, b"", b"\xff\xfe"])
def test_unusable_secret_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, contents: bytes | None) -> None:
    """A file that is missing, empty or no text."""
    if contents is not None:
        (tmp_path / "secret").write_bytes(contents)
    monkeypatch.setenv("BS_X_FILE", str(tmp_path / "secret"))
    with pytest.raises(ImproperlyConfigured, match="BS_X_FILE"):
        environment.secret("BS_X")


@pytest.mark.parametrize("value", ["ten", "1.5", "0", "-3"])
def test_wrong_number_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Not whole, or below the least."""
    monkeypatch.setenv("BS_X", value)
    with pytest.raises(ImproperlyConfigured, match="BS_X"):
        environment.whole("BS_X", 5)


@pytest.mark.parametrize(
    "url",
    [
        "http://backup.example.org",
        "ftp://127.0.0.1",
        "https://",
        "backup.example.org",
        "https://example.org/below",
        "https://user@example.org",
        "https://example.org:port",
    ],
)
def test_wrong_public_url_is_named(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Plain http beyond loopback, other schemes, paths and users."""
    monkeypatch.setenv("BS_X", url)
    with pytest.raises(ImproperlyConfigured, match="BS_X"):
        environment.public_url("BS_X", "http://127.0.0.1:8000")


@pytest.mark.parametrize("url", ["https://example.org", "http://localhost:8000", "http://[::1]:1", "https://a.b:8443/"])
def test_right_public_url_loses_its_slash(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """https anywhere, http on loopback."""
    monkeypatch.setenv("BS_X", url)
    assert environment.public_url("BS_X", "") == url.rstrip("/")


def test_unknown_time_zone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only zones that this system knows."""
    monkeypatch.setenv("BS_X", "Mars/Olympus")
    with pytest.raises(ImproperlyConfigured, match="BS_X"):
        environment.time_zone("BS_X", "UTC")


def test_relative_directory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path would mean another directory in each process."""
    monkeypatch.setenv("BS_X", "state")
    with pytest.raises(ImproperlyConfigured, match="BS_X"):
        environment.directory("BS_X", Path)


def test_unknown_word_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the words that are allowed, which the message lists."""
    monkeypatch.setenv("BS_X", "loud")
    with pytest.raises(ImproperlyConfigured, match="BS_X: 'loud' is none of quiet"):
        environment.one_of("BS_X", "quiet", frozenset({"quiet"}))
