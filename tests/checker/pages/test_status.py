"""The state of a replica: proven only for what was read whole, on time and proven, with nothing open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from checker.models import Finding, Proof
from checker.pages.status import FailedStep, JudgingStep, OpenFindings, ReplicaFacts, Status, UnreadPaths, assess
from scanner.intervals import grace, next_run_due
from scanner.models import Group, Replica, Run, Server

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GOOD = Proof(ok=True)


def replica(**fields: Any) -> Replica:
    group = Group(name="photos", expected_interval=timedelta(days=1))
    return Replica(group=group, server=fields.pop("server", Server(name="alpha")), root="/srv", **fields)


def run(state: str = "ingested", *, age: timedelta = timedelta(hours=2), **fields: Any) -> Run:
    times = {"started_at": NOW - age, "finished_at": NOW - age, "received_at": NOW - age}
    values = {"uuid": uuid4(), "sequence": 7, "errors": 0, **times}
    return Run(state=state, **values | fields)


def facts(**fields: Any) -> ReplicaFacts:
    newest = fields.pop("newest", run())
    complete = fields.pop("complete", newest)
    return ReplicaFacts(fields.pop("replica", replica()), NOW, newest, complete, fields.pop("proof", GOOD), **fields)


def failed(step: JudgingStep) -> FailedStep:
    """Return a step that has failed for three hours."""
    return FailedStep(step, NOW - timedelta(hours=3), 6)


def opened(kind: str, state: Status, number: int = 1) -> OpenFindings:
    """Open findings of one kind."""
    evidence = {"changed": 5, "files": 9} if kind == "mass_change" else {}
    return OpenFindings(state, Finding(kind=kind, path="a", first_run=run(), evidence=evidence), number)


def test_all_well_is_proven() -> None:
    """A newest run that is complete, on time, without errors and proven leaves nothing to say."""
    assert assess(facts()) == (Status.PROVEN, (), ())


@pytest.mark.parametrize(
    ("unread", "status", "text"),
    [
        (UnreadPaths(1), Status.INCOMPLETE, "1 path could not be read in run 7: it is not proven."),
        (UnreadPaths(3, 1), Status.INCOMPLETE, "they are not proven. 1 of them was accepted."),
        (UnreadPaths(3, 3), Status.INCOMPLETE_ACCEPTED, "they are not proven. That was accepted."),
    ],
)
def test_unread_paths_are_never_proven(unread: UnreadPaths, status: Status, text: str) -> None:
    """Paths that could not be read leave a replica incomplete, also when a person accepted them."""
    assessment = assess(facts(unread=unread))
    assert assessment.status == status
    assert text in assessment.reasons[0].text
    assert assessment.reasons[0].address.endswith("?type=error")


def test_an_accepted_mount_is_never_proven() -> None:
    """Accepting a mount does not read the files that it hides."""
    finding = Finding(kind="mounted_over", path="d/", folded=True, number=4, first_run=run())
    assessment = assess(facts(accepted_mounts=(finding,)))
    assert assessment.status == Status.INCOMPLETE_ACCEPTED
    assert "4 known paths are hidden behind the mount d/" in assessment.reasons[0].text


def test_what_was_read_wrong_at_first_is_a_remark() -> None:
    """The copy is good; that something reads wrong is told, and what to look at."""
    assessment, many = (assess(facts(misread=number)) for number in (1, 3))
    assert assessment.status == many.status == Status.PROVEN and not assessment.reasons
    assert assessment.remarks[0].startswith("1 file was misread at first") and "memory, cable" in assessment.remarks[0]
    assert many.remarks[0].startswith("3 files were misread at first")


@pytest.mark.parametrize(
    ("members", "state", "word"),
    [
        ({"newest": None, "complete": None, "proof": None}, Status.UNKNOWN, "No run has arrived"),
        ({"proof": None}, Status.UNKNOWN, "has not been verified yet"),
        ({"proof": Proof(ok=False)}, Status.DAMAGED, "not what its server signed"),
        ({"broken": 3}, Status.DAMAGED, "run 3"),
        ({"compared": False}, Status.UNKNOWN, "has not been compared with the previous run yet"),
        ({"failed_steps": (failed(JudgingStep.COMPARISON),)}, Status.UNKNOWN, "of run 6 could not be determined. Its"),
        ({"failed_steps": (failed(JudgingStep.FINDINGS),)}, Status.UNKNOWN, "findings of run 6 could not be updated"),
        ({"failed_steps": (failed(JudgingStep.VERIFICATION),)}, Status.UNKNOWN, "Run 6 could not be verified. This"),
        ({"failed_steps": (failed(JudgingStep.GROUP_COMPARISON),)}, Status.UNKNOWN, "has failed for 3 h."),
        ({"is_left_out": True}, Status.UNKNOWN, "its statement cannot be used"),
        (
            {"findings": (opened("corrupted", Status.DAMAGED, 3),)},
            Status.DAMAGED,
            "corrupted: a (since run 7), and 2 more",
        ),
        ({"findings": (opened("mass_change", Status.HELD),)}, Status.HELD, "5 of 9 files were changed or removed"),
        ({"findings": (opened("removed", Status.ATTENTION),)}, Status.ATTENTION, "removed: a"),
        ({"open_break": 5}, Status.ATTENTION, "Run 5 starts a new chain"),
        ({"newest": run("received"), "complete": run()}, Status.UNKNOWN, "is being ingested"),
        ({"newest": run("failed", reason="no root"), "complete": run()}, Status.ATTENTION, "no root"),
        ({"newest": run("refused", reason="bad"), "complete": run()}, Status.ATTENTION, "refused: bad"),
        ({"newest": run("set_aside", reason="odd"), "complete": run()}, Status.ATTENTION, "set aside: odd"),
        ({"newest": run(age=timedelta(days=2))}, Status.ATTENTION, "too old"),
        (
            {"newest": run(finished_at=NOW + timedelta(minutes=6), received_at=NOW)},
            Status.ATTENTION,
            "at least 6 min ahead",
        ),
        ({"newest": run(started_at=NOW)}, Status.ATTENTION, "was set back by at least 2 h"),
        ({"silent_since": NOW - timedelta(hours=1)}, Status.UNKNOWN, "has not ended: it was heard of last 1 h ago"),
        ({"replica": replica(enabled=False)}, Status.UNKNOWN, "Switched off"),
        ({"replica": replica(origin="unsigned")}, Status.UNKNOWN, "without a signature"),
        ({"replica": replica(server=Server(held_at=NOW, held_reason="clone"))}, Status.HELD, "clone"),
    ],
)
def test_whatever_is_missing_is_said(members: dict[str, Any], state: Status, word: str) -> None:
    """Each thing that speaks against *proven* decides the state and is named in a sentence."""
    assessment = assess(facts(**members))
    assert assessment.status == state
    assert any(word in reason.text for reason in assessment.reasons)


def test_the_worst_reason_decides_and_stands_first() -> None:
    """With several reasons the most urgent one gives the state, and none is left out."""
    assessment = assess(facts(findings=(opened("removed", Status.ATTENTION),), proof=None, broken=2))
    assert [reason.status for reason in assessment.reasons] == [Status.DAMAGED, Status.ATTENTION, Status.UNKNOWN]


def test_a_clock_that_runs_ahead_wins_no_time() -> None:
    """The next run is due an interval after the earlier of its own time and its arrival."""
    ahead = run(finished_at=NOW + timedelta(days=300), received_at=NOW)
    assert next_run_due(replica(), ahead) == NOW + timedelta(days=1)


def test_an_old_report_that_arrives_today_is_old() -> None:
    """A report that was carried here by hand counts from when its run ended."""
    carried = run(finished_at=NOW - timedelta(days=30), received_at=NOW)
    assert assess(facts(newest=carried)).status == Status.ATTENTION


def test_a_little_late_is_not_late() -> None:
    """A run may be late by a quarter of the interval, an hour at least."""
    assert grace(replica().group.expected_interval) == timedelta(hours=6)
    assert assess(facts(newest=run(age=timedelta(hours=29)))).status == Status.PROVEN
    assert assess(facts(newest=run(age=timedelta(hours=31)))).status == Status.ATTENTION


def test_reasons_show_names_and_obey_none() -> None:
    """A reason that came from a server has its odd characters escaped."""
    assessment = assess(facts(newest=run("failed", reason="a\u202eb\n"), complete=run()))
    assert "a\\u202eb\\n" in assessment.reasons[0].text
