"""A replica with a history in which most kinds of change happen."""

from __future__ import annotations

from scanner.format.records import Record
from scanner.models import Run
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, file
from tests.scanner.factories import error_row, link_row

HOSTILE = "d/<script>alert(1)</script>\n\u202e.jpg"


def staged_history() -> StagedReplica:
    """Return a replica with three runs, of which the second failed, compared."""
    replica = StagedReplica()
    replica.run(
        [
            file("d/old", b"1"),
            file("d/sub/a"),
            file("d/sub/b", b"2"),
            file(HOSTILE, b"3"),
            file("top", b"4"),
            link_row("l", "x"),
        ]
    )
    replica.run([], outcome="failed")
    first_run = replica.replica.runs.get(sequence=1)
    changed: list[Record] = [
        file("e/old", b"1"),
        file("d/sub/a", b"rotten!"),
        file(HOSTILE, b"3!", mtime_ns=LATER_MTIME),
        error_row("top"),
        link_row("l", "y"),
        file("+new", b"5", mtime_ns=LATER_MTIME),
        confirmed_note("d/sub/a", str(first_run.uuid)),
    ]
    replica.run(changed)
    replica.compare()
    return replica


def first_and_third_run(replica: StagedReplica) -> tuple[Run, Run]:
    """Return the two complete runs."""
    return replica.replica.runs.get(sequence=1), replica.replica.runs.get(sequence=3)
