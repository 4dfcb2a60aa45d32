"""Describe a replica in one line of a page: its status and the strip of its newest runs."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from checker.pages.status import Assessment, ReplicaFacts, Status
from scanner.models import Progress, Replica


class Tick(NamedTuple):
    """A run in the strip of the newest ones."""

    sequence: int
    status: Status
    x: int
    """Where its bar begins; bars are 8 apart."""

    @property
    def height(self) -> int:
        """Of its bar, so that colour is not all that tells states apart."""
        return {Status.PROVEN: 16, Status.DAMAGED: 13, Status.HELD: 13, Status.ATTENTION: 10, Status.UNKNOWN: 4}[
            self.status
        ]

    @property
    def y(self) -> int:
        """Where its bar hangs: all stand on one line."""
        return 17 - self.height


class ReplicaRow(NamedTuple):
    """A replica in a line."""

    facts: ReplicaFacts
    assessment: Assessment
    due: datetime | None
    last_proven: datetime | None
    ticks: list[Tick]
    running: Progress | None

    @property
    def replica(self) -> Replica:
        """Whose line this is."""
        return self.facts.replica
