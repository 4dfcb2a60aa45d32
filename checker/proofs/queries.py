"""Reads that the ORM cannot say: rows of history that no run explains, time that was spent."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from scanner.db.sql import fetch_all
from scanner.models import Replica


class RowCounts(NamedTuple):
    """What a run says it did to the history, and what the rows say; None where there is no such run, or none in it."""

    sequence: int
    state: str | None
    opened: int | None
    closed: int | None
    found_opened: int
    found_closed: int


class Overlap(NamedTuple):
    """Two versions of one path that no run explains: one begins while the other stands, or as its equal."""

    path: str
    first_from: int
    second_from: int
    equal: bool


# One statement, so that a run that is taken in meanwhile is seen whole or not at all.
UNEXPLAINED = """
WITH opened AS (
    SELECT from_seq AS sequence, count(*) AS found FROM scanner_version WHERE replica_id = %(replica)s GROUP BY from_seq
), closed AS (
    SELECT until_seq AS sequence, count(*) AS found FROM scanner_version
    WHERE replica_id = %(replica)s AND until_seq IS NOT NULL GROUP BY until_seq
), run AS (
    SELECT sequence, state, opened, closed FROM scanner_run WHERE replica_id = %(replica)s
)
SELECT sequence, run.state, run.opened, run.closed, coalesce(opened.found, 0), coalesce(closed.found, 0)
FROM run FULL JOIN opened USING (sequence) FULL JOIN closed USING (sequence)
WHERE CASE run.state WHEN 'ingested'
    THEN (run.opened, run.closed) IS DISTINCT FROM (coalesce(opened.found, 0), coalesce(closed.found, 0))
    ELSE coalesce(opened.found, 0) + coalesce(closed.found, 0) > 0 END
ORDER BY sequence LIMIT %(limit)s
"""


def find_unexplained_rows(replica: Replica, limit: int = 10) -> list[RowCounts]:
    """Runs whose versions are not as many as they began and ended, and numbers of which there is no complete run."""
    return [RowCounts(*row) for row in fetch_all(UNEXPLAINED, {"replica": replica.pk, "limit": limit})]


FIRST = "SELECT min(from_seq) FROM scanner_version WHERE replica_id = %(replica)s"

# Only what began after the first run can follow an earlier version of its path: it costs what changed, not what exists.
# OFFSET 0 keeps the planner from joining all versions with all instead of looking into the index for each that changed.
OVERLAPS = """
SELECT second.path, first.from_seq, second.from_seq, coalesce(first.until_seq = second.from_seq, false)
FROM scanner_version AS second, LATERAL (
    SELECT * FROM scanner_version AS earlier
    WHERE earlier.replica_id = %(replica)s AND left(earlier.path, 512) = left(second.path, 512)
        AND earlier.path = second.path AND earlier.from_seq < second.from_seq
    OFFSET 0) AS first
WHERE second.replica_id = %(replica)s AND second.from_seq > %(first)s
    AND (first.until_seq IS NULL OR first.until_seq > second.from_seq OR first.until_seq = second.from_seq
        AND (first.type, first.size, first.mtime_ns, first.mode, first.uid, first.gid, first.sha256, first.md5,
            first.detail, first.stage)
        IS NOT DISTINCT FROM (second.type, second.size, second.mtime_ns, second.mode, second.uid, second.gid,
            second.sha256, second.md5, second.detail, second.stage))
LIMIT %(limit)s
"""


def find_overlaps(replica: Replica, limit: int = 10) -> list[Overlap]:
    """Versions that overlap, and neighbours that are equal: no run ends a version to begin the same again."""
    ((first,),) = fetch_all(FIRST, {"replica": replica.pk})
    return [Overlap(*row) for row in fetch_all(OVERLAPS, {"replica": replica.pk, "first": first, "limit": limit})]


STRAY_NOTES = """
SELECT run.sequence FROM scanner_run AS run WHERE run.replica_id = %(replica)s AND run.state <> 'ingested'
    AND EXISTS (SELECT FROM scanner_note WHERE run_id = run.id) ORDER BY run.sequence LIMIT %(limit)s
"""


def find_stray_notes(replica: Replica, limit: int = 10) -> list[int]:
    """Runs that have notes without a state."""
    return [sequence for (sequence,) in fetch_all(STRAY_NOTES, {"replica": replica.pk, "limit": limit})]


# A loose index scan: one look into the index for each replica.
ORPHANS = """
WITH RECURSIVE known AS (
    SELECT min(replica_id) AS id FROM scanner_version
    UNION ALL
    SELECT (SELECT min(replica_id) FROM scanner_version WHERE replica_id > known.id) FROM known WHERE known.id IS NOT
    NULL
)
SELECT id FROM known WHERE id IS NOT NULL AND NOT EXISTS (SELECT FROM scanner_replica WHERE id = known.id)
"""


def find_orphaned_replicas() -> list[int]:
    """Numbers of replicas that have versions and do not exist."""
    return [number for (number,) in fetch_all(ORPHANS, {})]


# What the rotation has spent: verifications of runs that were taken in some time before.
SPENT = """
SELECT coalesce(sum(proof.duration_ns), 0) FROM checker_proof AS proof JOIN scanner_run AS run ON run.id = proof.run_id
WHERE proof.checked_at > now() - interval '1 hour' AND proof.checked_at > run.ingested_at + interval '15 minutes'
"""


def seconds_spent_on_rotation() -> float:
    """Seconds in the last hour in which older runs were verified."""
    ((nanoseconds,),) = fetch_all(SPENT, {})
    return float(nanoseconds) / 1e9


class Turn(NamedTuple):
    """A complete run as a chart shows it."""

    replica: int
    uuid: UUID
    sequence: int
    finished_at: datetime
    work_time_ns: int
    bytes: int


# One look into the index for each replica: it costs what is shown, however many runs there are.
TURNS = """
SELECT replica.id, run.uuid, run.sequence, run.finished_at, run.work_time_ns, run.bytes
FROM unnest(%(replicas)s::int[]) AS replica(id), LATERAL (
    SELECT * FROM scanner_run WHERE replica_id = replica.id AND state = 'ingested' ORDER BY sequence DESC
    LIMIT %(limit)s) AS run
ORDER BY replica.id, run.sequence
"""


def turns(replicas: list[int], limit: int) -> list[Turn]:
    """The newest complete runs of each of these replicas, at most `limit` of each, oldest first."""
    return [Turn(*row) for row in fetch_all(TURNS, {"replicas": replicas, "limit": limit})]
