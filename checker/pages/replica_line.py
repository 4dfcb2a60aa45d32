"""Describe a replica in one line of a page: its status and the strip of its newest runs."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from checker.pages.status import Facts, State, Verdict
from scanner.models import Progress, Replica


class Tick(NamedTuple):
    """A run in the strip of the newest ones."""

    sequence: int
    state: State
    x: int
    """Where its bar begins; bars are 8 apart."""

    @property
    def height(self) -> int:
        """Of its bar, so that colour is not all that tells states apart."""
        return {State.PROVEN: 16, State.DAMAGED: 13, State.HELD: 13, State.ATTENTION: 10, State.UNKNOWN: 4}[self.state]

    @property
    def y(self) -> int:
        """Where its bar hangs: all stand on one line."""
        return 17 - self.height


class Line(NamedTuple):
    """A replica in a line."""

    facts: Facts
    verdict: Verdict
    due: datetime | None
    last_proven: datetime | None
    ticks: list[Tick]
    running: Progress | None

    @property
    def replica(self) -> Replica:
        """Whose line this is."""
        return self.facts.replica
