"""Decide which tests may be skipped: a skip that is not allowed on this kind of machine fails the run."""

from __future__ import annotations

import os
import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

ALLOWED_SKIPS = Path(__file__).with_name("allowed_skips.txt")


class AllowedSkip(NamedTuple):
    """One line of the list. `*` stands for anything in test and reason."""

    machine: str
    test: str
    reason: str


class Skip(NamedTuple):
    """A test that was not run, and why."""

    test: str
    reason: str


def parse_allowed_skips(text: str) -> list[AllowedSkip]:
    """Return the lines of the list: kind of machine, test and reason, separated by `|`."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [AllowedSkip(*(part.strip() for part in line.split("|"))) for line in lines]


def is_this_machine(machine: str) -> bool:
    """Return whether this machine is of a kind: `any`, `root`, `not-root`, `not-linux`, `without:PROGRAM`."""
    if machine.startswith("without:"):
        return shutil.which(machine.removeprefix("without:")) is None
    kinds = {
        "any": True,
        "root": os.geteuid() == 0,
        "not-root": os.geteuid() != 0,
        "not-linux": sys.platform != "linux",
    }
    return kinds[machine]


def refused_skips(skips: list[Skip], allowed_skips: list[AllowedSkip]) -> list[Skip]:
    """Return the skips that nothing allows on this machine."""
    allowed_here = [allowed for allowed in allowed_skips if is_this_machine(allowed.machine)]
    return [
        skip
        for skip in skips
        if not any(
            fnmatch(skip.test, allowed.test) and fnmatch(skip.reason, allowed.reason) for allowed in allowed_here
        )
    ]


def skip_of_report(report: pytest.TestReport | pytest.CollectReport) -> Skip:
    """Return the skip that a report is about. pytest's tuple for it is file, line and reason."""
    details = report.longrepr
    reason = str(details[2]) if isinstance(details, tuple) else str(details)
    return Skip(report.nodeid, reason.removeprefix("Skipped: "))
