"""Stage a replica whose runs are real: signed reports, ingested and compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checker.jobs import run_comparisons
from checker.models import Change, Comparison
from scanner.format.records import Entry, Record
from scanner.ingest import worker
from scanner.models import Group, Replica, Run
from tests.scanner import factories

LATER_MTIME = 1_600_000_000_000_000_000
"""A modification time other than that of `factories.file_row`."""


class StagedReplica:
    """One replica and its runs, in a given group, or in a new one with these fields."""

    def __init__(self, in_group: Group | None = None, /, **fields: Any) -> None:
        group = in_group or factories.make_group(**fields)
        self.replica: Replica = factories.make_replica(group=group)
        self.signer = factories.make_key(self.replica.server)

    def run(self, records: Sequence[Record], **fields: Any) -> Run:
        """Ingest the next run, and return it."""
        run = factories.accept(self.replica, self.signer, records, **fields)
        worker.ingest_replica(self.replica.pk)
        run.refresh_from_db()
        return run

    def compare(self) -> Comparison:
        """Compare all runs, and return the comparison of the newest run with the one before."""
        run_comparisons.catch_up(self.replica.pk)
        comparisons = Comparison.objects.select_related("base", "run")
        return comparisons.filter(replica=self.replica, adjacent=True).latest("run__sequence")


def change_kinds(comparison: Comparison) -> dict[str, str]:
    """Return the kind of change of each path, with `-` before it for a path that left by a move."""
    kinds = {}
    for change in Change.objects.filter(comparison_id=comparison.pk):
        prefix = "-" if change.departed else ""
        kinds[change.path] = prefix + change.kind
    return kinds


def file(path: str, content: bytes = b"content", **fields: Any) -> Entry:
    """Return the entry of a file."""
    return factories.file_row(path, content, **fields)
