"""Take PostgreSQL's advisory locks, so that one worker at a time deals with a replica or a group.

A lock belongs to the session of the database (manual, "Advisory Locks"): it outlives transactions, and it is released
when its worker dies. Nobody waits for one, so no order of locks is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from django.db import connection


class LockClass(IntEnum):
    """First number of a lock: the kind of work. The second number is the primary key of a replica, a group or a run,
    or the number of a slot.

    All classes stand here, so that no two kinds of work share one.
    """

    INGEST = 0x62737263
    """Writing the history of a replica."""
    RUN_COMPARISON = 0x62736363
    """Comparing the runs of a replica."""
    GROUP_COMPARISON = 0x62736772
    """Comparing the replicas of a group."""
    VERIFICATION = 0x62737672
    """Verifying a run."""
    JUDGING = 0x62736A75
    """A slot for a task that judges."""


LOCK = "SELECT pg_try_advisory_lock(%(lock_class)s, %(key)s)"
COUNT_LOCKS = """
SELECT count(*)
FROM pg_locks
WHERE locktype = 'advisory' AND classid = %(lock_class)s AND objsubid = 2 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
UNLOCK = "SELECT pg_advisory_unlock(%(lock_class)s, %(key)s)"


def count_locks(lock_class: LockClass) -> int:
    """Return how many locks of a kind are held in this database."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT_LOCKS, {"lock_class": int(lock_class)})
        return int(cursor.fetchone()[0])


@contextmanager
def advisory_lock(lock_class: LockClass, key: int) -> Iterator[bool]:
    """Try to take a lock and yield whether it was taken; do not wait. Release it at the end of the block."""
    parameters = {"lock_class": int(lock_class), "key": key}

    # pg_try_…: whoever has the lock does the work, also what came last, so there is nothing to wait for.
    with connection.cursor() as cursor:
        cursor.execute(LOCK, parameters)
        (acquired,) = cursor.fetchone()

    try:
        yield acquired
    finally:
        # A session that was lost has released the lock by itself.
        if acquired and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute(UNLOCK, parameters)
