"""Describe a replica in one row of a table: its status and the strip of its newest runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from checker.pages.run_status import RunFacts, RunStatus
from checker.pages.status import Assessment, ReplicaFacts, Status
from scanner.models import Progress, Replica

TICK_HEIGHTS = {
    Status.PROVEN: 16,
    Status.DAMAGED: 13,
    Status.HELD: 13,
    Status.ATTENTION: 10,
    Status.UNKNOWN: 4,
    Status.INCOMPLETE: 7,
}
"""Heights of bars, so that statuses differ by more than their colour."""
TICK_FOOT = 17
TICK_DISTANCE = 8


class Tick(NamedTuple):
    """A run as a bar in the strip of the newest runs."""

    sequence: int
    run_status: RunStatus
    x: int
    """Left edge of its bar."""

    @property
    def label(self) -> str:
        """Return the number and the status of the run in words."""
        return f"#{self.sequence} {self.run_status.label}"

    @property
    def status(self) -> Status:
        """Return the status that gives the bar its colour and height."""
        return self.run_status.status

    @property
    def height(self) -> int:
        """Return the height of its bar."""
        return TICK_HEIGHTS[self.status]

    @property
    def y(self) -> int:
        """Return the upper edge of its bar. All bars stand on one line."""
        return TICK_FOOT - self.height


class ReplicaRow(NamedTuple):
    """A replica in a row of a table."""

    facts: ReplicaFacts
    assessment: Assessment
    due: datetime | None
    """When the next run is expected; None where none is."""
    last_proven: datetime | None
    ticks: list[Tick]
    progress: Progress | None
    """The run that is in progress."""

    @property
    def replica(self) -> Replica:
        """Return the replica of this row."""
        return self.facts.replica


def build_ticks(newest_runs: Sequence[RunFacts], statuses: Mapping[int, RunStatus]) -> list[Tick]:
    """Return the strip of runs that `replica_facts.newest_runs` read, from the oldest to the newest."""
    oldest_first = reversed(newest_runs)
    return [Tick(run.sequence, statuses[run.pk], TICK_DISTANCE * position) for position, run in enumerate(oldest_first)]
