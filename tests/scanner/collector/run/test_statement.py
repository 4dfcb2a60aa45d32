"""What a run says of itself: times that a bad clock does not spoil, a scope whose change is seen, sizes that fit."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from scanner.collector.delivery.chain import ChainPosition
from scanner.collector.run import statement
from scanner.collector.run.statement import Job, ReadOutcome, RunClock, build_statement
from scanner.collector.system.filesystem import FileSystem
from scanner.format.digests import RecordTotals
from scanner.format.excludes import scope_digest
from scanner.format.statement import Statement, read_statement

UUID = "00000000-0000-4000-8000-000000000000"
ENGINE = {"name": "", "wanted": "auto", "why": "nothing was read", "tools": []}


def made(clock: RunClock, root: bytes = b"/srv", seen: ReadOutcome | None = None, torn: str | None = None) -> Statement:
    """A statement that went over the wire."""
    job = Job(UUID, UUID, UUID, "photos", root, "", "auto", False, None, Path("/"))
    told = seen or ReadOutcome(None, ENGINE, RecordTotals(0))
    return read_statement(build_statement(job, UUID, ChainPosition(1, None, torn), clock, told, ()).payload())


def test_clock_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is set back during the run makes no end before the beginning; the duration is of another clock."""
    clock = RunClock()
    monkeypatch.setattr(time, "time", lambda: clock.start - 86400)
    told = made(clock)
    assert told.finished_at == told.started_at and 0 <= told.work_time_ns < 10**10


@pytest.mark.parametrize(("now", "year"), [(0.0, "2000"), (4_000_000_000.0, "2096")])
def test_clock_that_is_off(monkeypatch: pytest.MonkeyPatch, now: float, year: str) -> None:
    """A clock that was never set gives the format's first moment; one that is ahead is told as it is."""
    monkeypatch.setattr(time, "time", lambda: now)
    assert made(RunClock()).started_at.startswith(year)


def test_scope() -> None:
    """The digest changes with each exclude, their order, and whether mounts are crossed; with nothing else."""
    scopes = [((), False), ((), True), (("a",), False), (("a", "b"), False), (("b", "a"), False), (("ab",), False)]
    assert len({scope_digest(*scope) for scope in scopes}) == len(scopes)
    assert scope_digest(["a"], False) == scope_digest(("a",), False)


def test_long_words_fit() -> None:
    """A reason, a break, a root and a mount point of any length end as a statement that is within its limits."""
    disk = FileSystem("ext4", "uuid:1", b"/" + b"\xff" * 4000)
    told = made(
        RunClock(), b"/" + b"\n" * 4000, ReadOutcome(disk, ENGINE, RecordTotals(0), "x" * 5000), torn="y" * 5000
    )
    assert len(told.reason or "") == len(told.break_ or "") == 1000
    assert told.host["filesystem"] == {"type": None, "id": None, "mount_point": None, "accepted": None}


def test_boot_id() -> None:
    """The boot is told by something that stays the same until the next one."""
    assert statement.read_boot_id() == statement.read_boot_id()
