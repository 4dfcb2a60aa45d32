"""Replicas whose runs go the real road: signed report, ingest, comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checker.jobs import run_comparisons
from checker.models import Change, Comparison
from scanner.format.records import Entry, Record
from scanner.ingest import worker
from scanner.models import Replica, Run
from tests.scanner import factories

LATER_MTIME = 1_600_000_000_000_000_000
"""An mtime other than that of `factories.file_row`."""


class StagedReplica:
    """One replica and its runs."""

    def __init__(self, **group: Any) -> None:
        self.replica: Replica = factories.make_replica(group=factories.make_group(**group))
        self.signer = factories.make_key(self.replica.server)
        self.rows: dict[str, Record] = {}

    def run(self, records: Sequence[Record], **fields: Any) -> Run:
        """The next run, ingested."""
        made = factories.accept(self.replica, self.signer, records, **fields)
        worker.ingest_replica(self.replica.pk)
        made.refresh_from_db()
        return made

    def compare(self) -> Comparison:
        """The adjacent comparison of the newest run, all before it made too."""
        run_comparisons.catch_up(self.replica.pk)
        return (
            Comparison.objects.select_related("base", "run")
            .filter(replica=self.replica, adjacent=True)
            .latest("run__sequence")
        )


def change_kinds(comparison: Comparison) -> dict[str, str]:
    """The kind of each path; a path that left by a move is told with `-`."""
    found = Change.objects.filter(comparison_id=comparison.pk)
    return {one.path: ("-" if one.departed else "") + one.kind for one in found}


def file(path: str, content: bytes = b"content", **fields: Any) -> Entry:
    """The entry of a file."""
    return factories.file_row(path, content, **fields)
