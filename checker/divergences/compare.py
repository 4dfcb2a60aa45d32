"""Find the paths that are not the same on all replicas of a group, each taken at one complete run.

The work goes through temporary tables of the session; `store` writes what is kept. In `diverging` each path has an
array of versions and a string of cells (see `Divergence.Cell`), in which every participant has its position.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from checker.divergences.statements import ENTRY_TYPES, statement
from scanner.db.sql import fetch_batches


class ComparedReplica(NamedTuple):
    """A participant that has a run, as SQL needs it."""

    position: int
    """From 1, without gaps."""
    replica_id: int
    run_id: int
    sequence: int
    has_vote: bool
    identity: int
    """64 bits that only this replica has, whoever takes part with it."""
    entries: int
    """How many entries its run has."""
    read_since: datetime | None = None
    """When its run began to read."""
    on_hold: bool = False
    """Whether a mass change holds the replica, or an operator its server: then it defines nothing for others."""
    created_at: datetime | None = None
    """When the replica was set up."""
    place: str = ""
    """Its server and file system, in the form of `Participant.voter`."""


class MissingDirectory(NamedTuple):
    """A directory, with its slash (empty: the root), of which some participants have nothing."""

    directory: str
    lacking: frozenset[int]
    """The positions of these participants."""
    recent_from: tuple[tuple[int, int], ...] = ()
    """Positions with sequences: what began there with that run or a later one has a row of its own."""
    keeps_own_rows: bool = False
    """Whether the paths in `diverging_own` keep rows of their own, too."""


DROP_TABLES = "DROP TABLE IF EXISTS diverging, diverging_side, diverging_name, diverging_judged"
SET_WORK_MEM = "SET work_mem = '128MB'"
"""A million paths are grouped in memory. Only one worker at a time needs that much, for some seconds."""
SET_ONE_PROCESS = "SET max_parallel_workers_per_gather = 0"
RESET = "RESET work_mem; RESET max_parallel_workers_per_gather"

STATE = """
SELECT {position} AS position, id, path, type, sha256, CASE WHEN type <> %(file)s THEN detail END AS detail, from_seq
FROM state_at(%(replica{position})s, %(sequence{position})s)
WHERE NOT %(only_rare)s OR type IN (%(error)s, %(special)s)
"""
"""The state of one participant. The detail of a hard link names the first path of its inode, which is no content."""
CELL = """
CASE
    WHEN version{position} IS NULL THEN CASE contents WHEN 0 THEN '.' ELSE '-' END
    WHEN unreadable{position} THEN '!'
    ELSE '+'
END
"""
IDENTITY = "CASE WHEN version{position} IS NULL THEN 0 ELSE {identity} END"
IS_RECENT = """
coalesce(
    max(from_seq) FILTER (WHERE position = {position}) >= (%(recent_from{position})s::int[])
        [width_bucket(path, %(directories)s::text[] COLLATE "C")],
    false)
"""

ANALYZE = "ANALYZE diverging"
CREATE_PATH_INDEX = 'CREATE INDEX IF NOT EXISTS diverging_below ON diverging ("left"(path, 512))'
MISSING_PATHS = "SELECT path FROM diverging WHERE substr(cells, %(position)s, 1) = '-'"
SET_CELL = """
UPDATE diverging SET cells = overlay(cells PLACING %(cell)s FROM %(position)s FOR 1) WHERE path = ANY(%(paths)s)
"""


def find_diverging(
    replicas: Sequence[ComparedReplica], *, equal: bool, missing: Collection[MissingDirectory] = ()
) -> None:
    """Fill `diverging` with the paths that are not the same everywhere, and those that some replica could not read.

    `equal` says that the signed digests of all contents are equal: then only errors and special files need a look.
    Paths in `missing` directories, of which none lies in another, are left out where all that have any of them have the
    same. Read `diverging_own`.
    """
    # By code points, which is the order of the bytes: SQL looks directories up in it.
    missing = sorted(missing, key=lambda absence: absence.directory)

    with connection.cursor() as cursor:
        cursor.execute(DROP_TABLES)
        cursor.execute(SET_WORK_MEM)
        cursor.execute(SET_ONE_PROCESS)
        cursor.execute(_find_statement(replicas, missing), _find_parameters(replicas, missing, equal=equal))
        cursor.execute(ANALYZE)

        for replica in replicas:
            parameters = state_parameters(replica)
            # The index of a million rows is made only for a replica that could not look into some directory.
            cursor.execute(statement("has_unseen"), parameters)
            if cursor.fetchone()[0]:
                cursor.execute(CREATE_PATH_INDEX)
                cursor.execute(statement("hide_unseen"), parameters)


def ignore_names_on_hold(replicas: Sequence[ComparedReplica]) -> None:
    """Say of no replica that it lacks what only replicas on hold have."""
    if not any(replica.on_hold for replica in replicas):
        return

    # A place for each participant: of those on hold anything, of all others that they do not have the path.
    pattern = "".join("." if replica.on_hold else "[-?.]" for replica in replicas)
    with connection.cursor() as cursor:
        cursor.execute(statement("ignore_names_on_hold"), {"pattern": f"^{pattern}$"})


def drop_tables() -> None:
    """Drop the temporary tables, and take back the session's settings."""
    with connection.cursor() as cursor:
        cursor.execute(DROP_TABLES)
        cursor.execute(RESET)


def mark_missing(position: int, cell: str, is_marked: Callable[[str], bool]) -> None:
    """Give another cell to the missing paths at a position for which `is_marked` holds; it gets their coded names."""
    for rows in fetch_batches(MISSING_PATHS, {"position": position}):
        paths = [path for (path,) in rows if is_marked(path)]
        if not paths:
            continue

        with connection.cursor() as cursor:
            cursor.execute(SET_CELL, {"cell": cell, "position": position, "paths": paths})


def state_parameters(replica: ComparedReplica) -> dict[str, Any]:
    """Return the parameters of statements that read the state of one participant."""
    return ENTRY_TYPES | {
        "position": replica.position,
        "replica": replica.replica_id,
        "sequence": replica.sequence,
    }


def numbered_state_parameters(replicas: Sequence[ComparedReplica]) -> dict[str, Any]:
    """Return the parameters of statements that read the states of all participants, numbered by position."""
    parameters: dict[str, Any] = dict(ENTRY_TYPES)
    for replica in replicas:
        parameters[f"replica{replica.position}"] = replica.replica_id
        parameters[f"sequence{replica.position}"] = replica.sequence
    return parameters


def _find_statement(replicas: Sequence[ComparedReplica], missing: Sequence[MissingDirectory]) -> str:
    """Return `find_diverging` with an expression for each participant."""
    positions = [replica.position for replica in replicas]
    voters = [f"version{replica.position} IS NOT NULL" for replica in replicas if replica.has_vote]
    identities = [IDENTITY.format(position=replica.position, identity=replica.identity) for replica in replicas]
    recent_positions = sorted({position for absence in missing for position, _sequence in absence.recent_from})

    return statement(
        "find_diverging",
        versions=", ".join(f"version{position}" for position in positions),
        cells=" || ".join(CELL.format(position=position) for position in positions),
        newest_versions=", ".join(f"max(version{position}) AS version{position}" for position in positions),
        unreadable=", ".join(
            f"bool_or(blind AND version{position} IS NOT NULL) AS unreadable{position}" for position in positions
        ),
        has_voter=" OR ".join(voters) or "false",
        identity=" # ".join(identities),
        own_versions=", ".join(
            f"max(id) FILTER (WHERE position = {position}) AS version{position}" for position in positions
        ),
        states=" UNION ALL ".join(STATE.format(position=position) for position in positions),
        is_recent=" OR ".join(IS_RECENT.format(position=position) for position in recent_positions) or "false",
    )


def _find_parameters(
    replicas: Sequence[ComparedReplica], missing: Sequence[MissingDirectory], *, equal: bool
) -> dict[str, Any]:
    parameters = numbered_state_parameters(replicas) | {
        "participants": len(replicas),
        "only_rare": equal,
        "directories": [absence.directory for absence in missing],
        "holders": [len(replicas) - len(absence.lacking) for absence in missing],
        "any_own_rows": any(absence.keeps_own_rows for absence in missing),
        "own_rows": [absence.keeps_own_rows for absence in missing],
    }

    for replica in replicas:
        sequences = [dict(absence.recent_from).get(replica.position) for absence in missing]
        parameters[f"recent_from{replica.position}"] = sequences
    return parameters
