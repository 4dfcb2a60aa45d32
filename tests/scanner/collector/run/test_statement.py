"""Test the statement of a run: times that a bad clock does not spoil, visible changes of scope, texts that fit."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from scanner.collector.delivery.chain import ChainPosition
from scanner.collector.run.statement import Job, ReadOutcome, RunClock, build_statement, read_boot_id
from scanner.collector.system.filesystem import FileSystem
from scanner.format.digests import RecordTotals
from scanner.format.excludes import scope_digest
from scanner.format.statement import Statement, read_statement

UUID = "00000000-0000-4000-8000-000000000000"
ENGINE = {"name": "", "wanted": "auto", "why": "nothing was read", "tools": []}


def sent_statement(
    clock: RunClock,
    root: bytes = b"/srv",
    outcome: ReadOutcome | None = None,
    break_reason: str | None = None,
) -> Statement:
    """Return a statement as the central server reads it."""
    if outcome is None:
        outcome = ReadOutcome(None, ENGINE, RecordTotals(0))
    job = Job(UUID, UUID, UUID, "photos", root, "", "auto", False, None, Path("/"))
    statement = build_statement(job, UUID, ChainPosition(1, None, break_reason), clock, outcome, ())
    return read_statement(statement.payload())


def test_clock_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is set back during the run does not end it before its start. The duration is not affected."""
    clock = RunClock()
    monkeypatch.setattr(time, "time", lambda: clock.start - 86400)
    statement = sent_statement(clock)
    assert statement.finished_at == statement.started_at
    assert 0 <= statement.work_time_ns < 10**10


@pytest.mark.parametrize(("now", "year"), [(0.0, "2000"), (4_000_000_000.0, "2096")])
def test_clock_that_is_off(monkeypatch: pytest.MonkeyPatch, now: float, year: str) -> None:
    """A clock that was never set gives the earliest time of the format. One that is ahead is believed."""
    monkeypatch.setattr(time, "time", lambda: now)
    assert sent_statement(RunClock()).started_at.startswith(year)


def test_scope() -> None:
    """The digest changes with each exclude, their order, and whether mounts are crossed, and with nothing else."""
    scopes = [((), False), ((), True), (("a",), False), (("a", "b"), False), (("b", "a"), False), (("ab",), False)]
    assert len({scope_digest(*scope) for scope in scopes}) == len(scopes)
    assert scope_digest(["a"], False) == scope_digest(("a",), False)


def test_long_texts_fit() -> None:
    """Reason, break, root and mount point of any length make a statement within its limits."""
    file_system = FileSystem("ext4", "uuid:1", b"/" + b"\xff" * 4000)
    outcome = ReadOutcome(file_system, ENGINE, RecordTotals(0), "x" * 5000)
    statement = sent_statement(RunClock(), b"/" + b"\n" * 4000, outcome, break_reason="y" * 5000)
    assert len(statement.reason or "") == 1000
    assert len(statement.break_ or "") == 1000
    assert statement.host["filesystem"] == {"type": None, "id": None, "mount_point": None, "accepted": None}


def test_boot_id() -> None:
    """The boot id stays the same until the next boot."""
    assert read_boot_id() == read_boot_id()
