"""Stage a group of replicas whose runs are real: signed, ingested, compared, proven, and compared with each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checker.divergences import queries
from checker.divergences.queries import DivergenceFilter
from checker.jobs import group_comparisons
from checker.models import GroupComparison
from checker.proofs.verifier import verify_run
from scanner.format.records import Record
from scanner.models import Group, Run
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.staged_replica import StagedReplica
from tests.scanner import factories


class StagedGroup:
    """A group with some replicas, each on a server of its own. The keyword arguments are fields of the group."""

    def __init__(self, number: int = 3, **group: Any) -> None:
        self.group: Group = factories.make_group(**group)
        self.replicas = [StagedReplica(self.group) for _ in range(number)]

    def run(self, index: int, records: Sequence[Record], *, rotten: Sequence[str] = (), **fields: Any) -> Run:
        """Ingest the next run of one replica, compare it with the one before, prove it, and return it.

        The collector has confirmed that the `rotten` paths changed below the file system.
        """
        staged = self.replicas[index]
        if rotten:
            newest = staged.replica.runs.latest("sequence")
            records = [*records, *(confirmed_note(path, str(newest.uuid)) for path in rotten)]
        host = {
            "system": "Linux",
            "release": "6.1",
            "boot_id": "b",
            "filesystem": {"type": "ext4", "id": f"uuid:{index}", "mount_point": "/", "accepted": None},
        }
        run = staged.run(records, **({"host": host} | fields))
        staged.compare()
        if run.state == Run.State.INGESTED:
            assert verify_run(run).ok
        return run

    def runs(self, *states: Sequence[Record]) -> None:
        """Run each replica once, in their order."""
        for index, records in enumerate(states):
            self.run(index, records)

    def compare(self) -> GroupComparison:
        """Compare the newest runs, and return the comparison."""
        group_comparisons.catch_up(self.group.pk)
        comparison = group_comparisons.newest_comparison(self.group)
        assert comparison is not None
        assert comparison.state == "done", comparison.reason
        return comparison

    def divergences(self) -> dict[str, tuple[str, str, str]]:
        """Compare the newest runs, and return kind, cells and verdicts of each path that diverges."""
        rows = queries.iterate_divergences(self.compare().pk, DivergenceFilter())
        return {row.path: (row.kind, row.cells, row.judged) for row in rows}
