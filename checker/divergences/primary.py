"""Allow what followers of a primary may lack for a while, and what they may keep.

The work goes on in `diverging`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from checker.divergences.compare import ComparedReplica, state_parameters
from checker.divergences.statements import statement

# What the primary has had for longer than it may be missing elsewhere began before this run.
FIRST_LAGGING_RUN = """
SELECT min(sequence)
FROM scanner_run
WHERE replica_id = %(primary)s AND least(finished_at, received_at) + %(lag)s > %(finished)s
"""


class Follower(NamedTuple):
    """A participant that follows the primary, and when its run ended by the earlier clock."""

    replica: ComparedReplica
    finished: datetime


def first_lagging_run(primary: ComparedReplica, finished: datetime, lag: timedelta) -> int | None:
    """Return the first run of the primary whose news may be missing in a follower's run that ended at `finished`."""
    parameters: dict[str, Any] = {"primary": primary.replica_id, "lag": lag, "finished": finished}
    with connection.cursor() as cursor:
        cursor.execute(FIRST_LAGGING_RUN, parameters)
        ((sequence,),) = cursor.fetchall()
    return None if sequence is None else int(sequence)


def allow_differences(primary: ComparedReplica, followers: Sequence[Follower], lag: timedelta) -> None:
    """Allow followers to keep what the primary removed, and to be behind with what it has had for less than `lag`.

    Behind is who lacks it, or has an older content of the primary.
    """
    parameters = state_parameters(primary) | {"primary": primary.replica_id, "lag": lag}

    with connection.cursor() as cursor:
        cursor.execute(statement("allow_lingering"), parameters)

        for follower in followers:
            follower_parameters = {
                "follower": follower.replica.replica_id,
                "follower_position": follower.replica.position,
                "follower_sequence": follower.replica.sequence,
                "finished": follower.finished,
            }
            cursor.execute(statement("allow_lagging"), parameters | follower_parameters)

        # Only when the cells of all followers are known, it shows whether anything else differs.
        cursor.execute(statement("settle_lagging"), parameters)
