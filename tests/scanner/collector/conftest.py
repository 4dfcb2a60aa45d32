"""Fixtures of the collector's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scanner.collector.fake_central import FakeCentral
from tests.scanner.collector.stage import Stage


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxies are not the tests'."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A folder with a tree, a configuration and a state folder."""
    return Stage(tmp_path)


@pytest.fixture
def central(tmp_path: Path) -> Iterator[FakeCentral]:
    """A central server on loopback."""
    with FakeCentral(tmp_path) as running:
        yield running
