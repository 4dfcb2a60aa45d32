"""Calls of a tool, and what of its output is believed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scanner.collector.engines import checksum_tool
from scanner.collector.engines.checksum_tool import (
    UnexpectedOutputError,
    environment,
    parse_records,
    run_batch,
    split_into_calls,
)
from scanner.collector.engines.profiles import BSD_TAG, BSD_Z, GNU_Z, ToolCommand
from tests.fakes.install import install

GNU = ToolCommand("/usr/bin/md5sum", GNU_Z, ("md5",))
TAGGED = ToolCommand("/sbin/md5", BSD_TAG, ("md5",))
HEX = b"d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize(
    ("output", "command", "answered"),
    [
        (HEX + b"  /a\0" + HEX + b" */b\nc\0", GNU, [b"/a", b"/b\nc"]),
        (HEX + b"  /a\0" + HEX + b"  /b", GNU, [b"/a"]),
        (b"", GNU, []),
        (HEX, GNU, []),
        (b"MD5 (/a) = " + HEX + b"\nMD5 (/b) = (c) = " + HEX + b"\n", TAGGED, [b"/a", b"/b) = (c"]),
    ],
)
def test_records(output: bytes, command: ToolCommand, answered: list[bytes]) -> None:
    """Whole records of files that were asked for are believed; a torn last one counts as none."""
    paths = [b"/a", b"/b\nc", b"/b) = (c", b"/b"]
    assert list(parse_records(output, command, paths)["md5"]) == answered


@pytest.mark.parametrize(
    "output",
    [
        HEX + b"  /other\0",
        HEX + b"  /a\0" + HEX + b"  /a\0",
        HEX.upper() + b"  /a\0",
        b"\\" + HEX + b"  /a\0",
        HEX[1:] + b"  /a\0",
        b"warning\0" + HEX + b"  /a\0",
        HEX + b"  /a\n\0",
        b"\0",
    ],
)
def test_unexpected_output(output: bytes) -> None:
    """One record that is not whole, not asked for or a second one makes all of the output worthless."""
    with pytest.raises(UnexpectedOutputError):
        parse_records(output, GNU, [b"/a"])


def test_paths_are_split_into_calls() -> None:
    """Paths are dealt into calls by number and by bytes; one that is longer than a call has one of its own."""
    paths = [b"x" * 50_000, b"y" * 50_000, b"z" * 200_000, *[b"a"] * 5]
    calls = split_into_calls(paths, 3)
    assert [len(paths[call]) for call in calls] == [1, 1, 1, 3, 2]
    assert [path for call in calls for path in paths[call]] == paths
    assert split_into_calls([], 3) == []


def test_too_long_a_call_is_halved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is too long for the system is made in halves."""
    lengths = []
    run = checksum_tool._run

    def run_short(command: list[bytes], seconds: float, keep_alive: Callable[[], None]) -> bytes:
        lengths.append(len(command))
        if len(command) > 5:
            raise OSError(errno.E2BIG, "Argument list too long")
        return run(command, seconds, keep_alive)

    monkeypatch.setattr(checksum_tool, "_run", run_short)
    command = ToolCommand(install("bsd_sum", tmp_path, "md5sum"), BSD_Z, ("md5",))
    paths = []
    for number in range(5):
        (tmp_path / str(number)).write_text(str(number))
        paths.append(os.fsencode(tmp_path / str(number)))
    assert list(run_batch(command, paths, 10.0)["md5"]) == paths
    assert lengths == [8, 5, 6, 4, 5]


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools see neither the user's PATH and locale nor what changes how they read options."""
    monkeypatch.setenv("PATH", "/evil")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("POSIXLY_CORRECT", "1")
    monkeypatch.setenv("GLIBC_TUNABLES", "x")
    monkeypatch.setenv("OPENSSL_CONF", "/etc/fips.cnf")
    assert environment() == {
        "LC_ALL": "C",
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "OPENSSL_CONF": "/etc/fips.cnf",
    }
