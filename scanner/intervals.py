"""Say when the next run of a replica is expected, and how late it may be."""

from __future__ import annotations

from datetime import datetime, timedelta

from scanner.models import Replica, Run

SHORTEST_GRACE = timedelta(hours=1)


def grace(interval: timedelta) -> timedelta:
    """Return how late something that is expected each `interval` may be: a quarter of it, an hour at least."""
    return max(SHORTEST_GRACE, interval / 4)


def next_run_due(replica: Replica, newest_complete: Run | None) -> datetime | None:
    """Return when the next complete run is expected, None before the first one.

    The earlier of the server's and the central server's clock counts: a clock that is ahead wins no time.
    """
    if newest_complete is None:
        return None

    return newest_complete.ended_at + replica.group.expected_interval
