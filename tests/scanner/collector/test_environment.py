"""Test the collector in poor surroundings: a line and an exit code, never a traceback or a wrong name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scanner.collector.installation import Installation, clean_environment

SECONDS = 120


def call(installation: Installation, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in which `$COLLECTOR` is the start of a command line and `$RUN` a local run of the tree."""
    collector = f"{sys.executable} -m scanner.collector --config {installation.conf}"
    run = f"{collector} run --local {installation.tree} --output {installation.directory / 'out'} --engine hashlib"
    return subprocess.run(
        ["sh", "-c", script],
        env=clean_environment(COLLECTOR=collector, RUN=run, **environment),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def reports(installation: Installation) -> list[Path]:
    """Return the report files."""
    directory = installation.directory / "out"
    return sorted(directory.iterdir()) if directory.exists() else []


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_words_that_cannot_be_said(installation: Installation, redirection: str) -> None:
    """A run does not depend on its messages."""
    assert call(installation, f"exec $RUN {redirection}").returncode == 0
    assert len(reports(installation)) == 1


def test_summary_that_cannot_be_written(installation: Installation) -> None:
    """A program that waits for the summary must hear that there is none."""
    process = call(installation, "exec $RUN --json >/dev/full")
    assert process.returncode == 2
    assert "cannot write to standard output" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("module", ["_sqlite3", "_ssl", "_ctypes"])
def test_missing_module(installation: Installation, module: str) -> None:
    """A Python without a part of its library is one line and exit code 2."""
    program = (
        f"import sys, runpy; sys.modules['{module}'] = None; sys.argv = ['collector', 'status']; "
        "runpy.run_module('scanner.collector', run_name='__main__')"
    )
    process = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert process.returncode == 2
    assert len(process.stderr.splitlines()) == 1
    assert module in process.stderr


@pytest.mark.parametrize("limit", [6, 8, 10, 12])
def test_too_few_descriptors(installation: Installation, limit: int) -> None:
    """Too few descriptors fail the run with a reason."""
    process = call(installation, f"ulimit -n {limit}; exec $RUN")
    assert process.returncode == 2
    assert "Too many open files" in process.stderr
    assert "Traceback" not in process.stderr


def test_long_names(installation: Installation) -> None:
    """A root whose name is as long as names can be has a report, and the next one another."""
    for name in ("ж" * 127, "é" * 100):
        root = installation.directory / name
        root.mkdir()
        (root / "file").write_text("x")
        process = call(installation, f"$RUN --local '{root}'")
        assert process.returncode == 0, process.stderr
    names = [os.fsencode(path.name) for path in reports(installation)]
    assert len(names) == 2
    assert all(len(name) < 143 for name in names)


def test_byte_order_mark(installation: Installation) -> None:
    """A configuration that an editor began with a byte order mark is read."""
    installation.conf.write_bytes(b"\xef\xbb\xbf" + installation.conf.read_bytes())
    assert call(installation, "exec $RUN").returncode == 0
