"""Profiles: each platform finds its tools, and each profile is tested."""

from __future__ import annotations

import pytest

from scanner.collector.engines.profiles import PROFILES, Platform, catalogue, find_platform
from tests.scanner.collector.engines.test_native_engine import TOOLS


@pytest.mark.parametrize(
    ("name", "platform"),
    [
        ("linux", Platform.LINUX),
        ("freebsd14", Platform.FREEBSD),
        ("openbsd7", Platform.OPENBSD),
        ("sunos5", Platform.SUNOS),
        ("darwin", Platform.MACOS),
        ("other", Platform.LINUX),
    ],
)
def test_platform(name: str, platform: Platform) -> None:
    """Each system is one of the platforms; an unknown one has the tools of Linux."""
    assert find_platform(name) is platform


@pytest.mark.parametrize("platform", list(Platform))
def test_catalogues_are_absolute_and_complete(platform: Platform) -> None:
    """Each platform has tools for both algorithms, under absolute paths."""
    tools = catalogue(platform)
    assert {algorithm for command in tools.own for algorithm in command.algorithms} == {"sha256", "md5"}
    assert all(command.path.startswith("/") for command in tools.own + tools.faster)
    assert not any("{" in command.path for command in tools.own + tools.faster)


@pytest.mark.parametrize(
    ("platform", "own"),
    [
        (Platform.LINUX, ["gnu-z", "gnu-lf"]),
        (Platform.FREEBSD, ["bsd-z", "bsd-tag"]),
        (Platform.OPENBSD, ["openbsd"]),
        (Platform.SUNOS, ["gnu-z", "gnu-lf", "digest"]),
        (Platform.MACOS, ["bsd-z", "bsd-tag", "openssl", "shasum"]),
    ],
)
def test_order_of_own_tools(platform: Platform, own: list[str]) -> None:
    """On each platform the tools that can be trusted with most come first."""
    assert list(dict.fromkeys(command.profile.id for command in catalogue(platform).own)) == own


def test_every_profile_is_tested() -> None:
    """Each profile is tried with a real tool or with a fake."""
    tested = {tools.profile for tools in TOOLS.values()}
    assert tested == set(PROFILES)
    assert len({profile.id for profile in PROFILES}) == len(PROFILES)
