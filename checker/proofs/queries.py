"""Read what verification needs and the ORM cannot say: rows of history that no run explains, and the time spent."""

from __future__ import annotations

from typing import NamedTuple

from scanner.db.sql import fetch_all, load_statements
from scanner.models import Replica

statement = load_statements(__file__)

FIRST_SEQUENCE = "SELECT min(from_seq) FROM scanner_version WHERE replica_id = %(replica)s"


class RowCounts(NamedTuple):
    """The number of versions that a run says it opened and closed, and the number of rows in the table."""

    sequence: int
    state: str | None
    """None: there is no such run."""
    opened: int | None
    closed: int | None
    found_opened: int
    found_closed: int


class Overlap(NamedTuple):
    """Two versions of one path that no run explains."""

    path: str
    first_from: int
    second_from: int
    equal: bool
    """Whether the second version follows the first one and is its equal. Otherwise it begins while the first stands."""


def find_unexplained_rows(replica: Replica, limit: int = 10) -> list[RowCounts]:
    """Return runs whose rows are not as many as they say, and numbers of incomplete runs that have rows."""
    parameters = {"replica": replica.pk, "limit": limit}
    return [RowCounts(*row) for row in fetch_all(statement("find_unexplained_rows"), parameters)]


def find_overlaps(replica: Replica, limit: int = 10) -> list[Overlap]:
    """Return versions that overlap, and neighbours that are equal: no run ends a version to begin the same again."""
    ((first_sequence,),) = fetch_all(FIRST_SEQUENCE, {"replica": replica.pk})
    parameters = {"replica": replica.pk, "first_sequence": first_sequence, "limit": limit}
    return [Overlap(*row) for row in fetch_all(statement("find_overlaps"), parameters)]


def find_stray_notes(replica: Replica, limit: int = 10) -> list[int]:
    """Return the numbers of runs that have notes although they are not in the history."""
    parameters = {"replica": replica.pk, "limit": limit}
    return [sequence for (sequence,) in fetch_all(statement("find_stray_notes"), parameters)]


def find_orphaned_replicas() -> list[int]:
    """Return the ids of replicas that have versions and do not exist."""
    return [replica_id for (replica_id,) in fetch_all(statement("find_orphaned_replicas"), {})]


def seconds_spent_on_rotation() -> float:
    """Return the seconds of the last hour in which older runs were verified again."""
    ((nanoseconds,),) = fetch_all(statement("sum_rotation_time"), {})
    return float(nanoseconds) / 1e9
