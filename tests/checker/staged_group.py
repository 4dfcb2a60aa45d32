"""Groups of several replicas whose runs go the real road: signed report, ingest, comparison, proof, the group's."""

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
from tests.checker.staged_replica import StagedReplica
from tests.scanner import factories


class StagedGroup:
    """A group with so many replicas, each on a server of its own."""

    def __init__(self, number: int = 3, **group: Any) -> None:
        self.group: Group = factories.make_group(**group)
        self.replicas = [self._world() for _ in range(number)]

    def _world(self) -> StagedReplica:
        world = StagedReplica.__new__(StagedReplica)
        world.replica = factories.make_replica(group=self.group)
        world.signer, world.rows = factories.make_key(world.replica.server), {}
        return world

    def run(self, at: int, records: Sequence[Record], **fields: Any) -> Run:
        """The next run of one replica, ingested, compared with the one before and proven."""
        world = self.replicas[at]
        host = {"system": "Linux", "release": "6.1", "boot_id": "b"}
        disk = {"filesystem": {"type": "ext4", "id": f"uuid:{at}", "mount": "/"}}
        run = world.run(records, **({"host": host | disk} | fields))
        world.compare()
        if run.state == Run.State.INGESTED:
            assert verify_run(run).ok
        return run

    def runs(self, *states: Sequence[Record]) -> None:
        """The next run of each replica."""
        for at, records in enumerate(states):
            self.run(at, records)

    def compare(self) -> GroupComparison:
        """The comparison of the newest runs."""
        group_comparisons.catch_up(self.group.pk)
        comparison = group_comparisons.newest_comparison(self.group)
        assert comparison is not None and comparison.state == "done", comparison and comparison.reason
        return comparison

    def divergences(self) -> dict[str, tuple[str, str, str]]:
        """What diverges now: kind, cells, and what is said of each copy."""
        rows = queries.iterate_divergences(self.compare().pk, DivergenceFilter())
        return {one.path: (one.kind, one.cells, one.judged) for one in rows}
