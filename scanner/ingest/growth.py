"""Bound how many rows one server may add to the history in a day: compressed, a report is a fraction of what it stores.

What did not change adds nothing, so that an honest server needs room once, with its first report. A report beyond the
quota is set aside with its reason. Each report is complete by itself, so the next one that fits goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from django.conf import settings

from scanner.errors import PermanentError
from scanner.models import Replica, Run
from scanner.usage import DAY, add_use, used

Item = TypeVar("Item")


class GrowthBudget:
    """Counts the versions and notes that one run adds. Raises PermanentError for the first one beyond the quota."""

    def __init__(self, run: Run) -> None:
        server = run.replica.server
        limit = server.entries_per_day
        if limit is None:
            limit = settings.BACKUP_SYNCER_ENTRIES_PER_DAY

        self._subject = f"entries:{server.pk}"
        self._limit = limit
        self._used_before = used(self._subject, DAY)
        self._spent = 0
        # What a person imports without a signature did not come from a server.
        self._is_limited = run.replica.origin == Replica.Origin.COLLECTOR

    def count(self, rows: Iterator[Item]) -> Iterator[Item]:
        """Yield rows, each of which is counted."""
        for row in rows:
            self.spend(1)
            yield row

    def spend(self, number: int) -> None:
        """Count some rows. Checked at once: what is beyond the quota must not be written and rolled back."""
        self._spent += number
        if self._is_limited and self._used_before + self._spent > self._limit:
            raise self._exhausted()

    def settle(self) -> None:
        """Add what was counted to the use of the day. Call within the transaction that adds the rows."""
        if not self._is_limited or not self._spent:
            return
        # Another replica of the server may have been ingested meanwhile: its row of the day is locked until the end.
        if add_use(self._subject, DAY, self._spent) > self._limit:
            raise self._exhausted()

    def _exhausted(self) -> PermanentError:
        return PermanentError(f"more than the {self._limit} new entries and notes that its server may add in a day")
