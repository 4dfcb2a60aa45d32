"""Provide the fixtures of the collector's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.collector.delivery import sender
from tests.scanner.collector.fake_central import FakeCentral, Replica
from tests.scanner.collector.installation import Installation


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the proxies of the environment in which the tests run."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """Install a collector with a tree, a configuration and a state directory."""
    return Installation(tmp_path)


@pytest.fixture
def central(tmp_path: Path) -> Iterator[FakeCentral]:
    """Serve a central server on loopback."""
    with FakeCentral(tmp_path) as running_server:
        yield running_server


@pytest.fixture
def replica(installation: Installation, central: FakeCentral, monkeypatch: pytest.MonkeyPatch) -> Replica:
    """Enrol the installation, with its tree as a replica. Pauses between attempts to deliver are short."""
    monkeypatch.setattr(sender, "_FIRST_PAUSE", 0.05)
    return installation.enrol(central)
