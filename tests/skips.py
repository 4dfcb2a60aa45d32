"""No test is skipped in silence: a skip that is not allowed on this kind of machine fails the run."""

from __future__ import annotations

import os
import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

LIST = Path(__file__).with_name("allowed_skips.txt")


class Allowed(NamedTuple):
    """One line of the list."""

    kind: str
    test: str
    reason: str


class Skipped(NamedTuple):
    """A test that was not run, and why."""

    test: str
    reason: str


def read(text: str) -> list[Allowed]:
    """The lines of the list: kind of machine, test and reason, separated by `|`; `*` stands for anything."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [Allowed(*(part.strip() for part in line.split("|"))) for line in lines]


def is_kind(kind: str) -> bool:
    """Return whether this machine is of that kind: `any`, `root`, `not-root`, `not-linux`, `without:PROGRAM`."""
    if kind.startswith("without:"):
        return shutil.which(kind.removeprefix("without:")) is None
    known = {
        "any": True,
        "root": os.geteuid() == 0,
        "not-root": os.geteuid() != 0,
        "not-linux": sys.platform != "linux",
    }
    return known[kind]


def refused(skipped: list[Skipped], allowed: list[Allowed]) -> list[Skipped]:
    """The skips that nothing allows here."""
    here = [line for line in allowed if is_kind(line.kind)]
    return [
        one
        for one in skipped
        if not any(fnmatch(one.test, line.test) and fnmatch(one.reason, line.reason) for line in here)
    ]


def of(report: pytest.TestReport | pytest.CollectReport) -> Skipped:
    """Return the skip of a report; its reason is the third part of its location."""
    where = report.longrepr
    reason = str(where[2]) if isinstance(where, tuple) else str(where)
    return Skipped(report.nodeid, reason.removeprefix("Skipped: "))
