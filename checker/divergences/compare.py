"""The replicas of a group, each by one complete run: which paths are not the same on all. All in sets.

The work goes through temporary tables of the session; `divergences.store` writes what is kept. In `diverging` a path
has, for each participant in its place, a version (`versions`) and what it is there (`cells`, see Divergence.Cell).
"""

# ruff: noqa: S608  # statements are put together from constants of this package; values travel as parameters

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from django.db import connection

from checker.changes.compare import BELOW
from scanner.db.sql import fetch_batches


class ComparedReplica(NamedTuple):
    """A participant as SQL needs it."""

    position: int
    """From 1, without gaps."""
    replica_id: int
    run_id: int
    sequence: int
    has_vote: bool
    identity: int
    """64 bits that are this replica's alone, whoever takes part with it."""
    entries: int
    """How many entries its run has."""


class Absence(NamedTuple):
    """A directory, with its slash (empty: the root), of which some sides hold nothing."""

    directory: str
    lacking: frozenset[int]
    """The positions of those."""
    news: tuple[tuple[int, int], ...] = ()
    """Positions and runs: what began there by that run or a later one has a row of its own."""
    closed: bool = False
    """Whether what is in `diverging_own` keeps a row of its own, too."""


DROP = "DROP TABLE IF EXISTS diverging, diverging_side, diverging_name, diverging_judged"
WORK_MEM = "SET work_mem = '128MB'"
"""A million paths are grouped in memory: of one worker at a time, for some seconds."""
ONE_PROCESS = "SET max_parallel_workers_per_gather = 0"
BACK = "RESET work_mem; RESET max_parallel_workers_per_gather"

STANDS = """FROM scanner_version WHERE replica_id = %(replica{0})s AND from_seq <= %(sequence{0})s
    AND (until_seq IS NULL OR until_seq > %(sequence{0})s)"""
# Of a hard link the name of the inode's first path says nothing of the content.
STATE = (
    "SELECT {0} AS position, id, path, type, sha256, CASE WHEN type <> 1 THEN detail END AS detail, from_seq " + STANDS
)
RARE = " AND type IN (2, 4)"
BLIND = "(type = 2 OR type = 4 AND detail = 'mount')"
"""What lies there, and below, is not known."""
# What all hold alike falls out here: one pass over the states, grouped by what they say of each path.
FIND = """
CREATE TEMPORARY TABLE diverging AS
SELECT path, ARRAY[{versions}] AS versions, {cells} AS cells, contents, contents_current, false AS settled,
    mark0, mark1, NULL::jsonb AS others, '' COLLATE "C" AS alike
FROM (SELECT path, {newest}, {unreadable}, count(*) FILTER (WHERE NOT blind) AS contents,
        count(*) FILTER (WHERE NOT blind AND ({current})) AS contents_current,
        bit_xor(hash_record_extended(ROW(type, sha256, detail, {identity}), 0)) AS mark0,
        bit_xor(hash_record_extended(ROW(type, sha256, detail, {identity}), 1)) AS mark1
    FROM (SELECT path, type, sha256, detail, {blind} AS blind, {held}
        FROM ({states}) AS state GROUP BY path, type, sha256, detail
            HAVING count(*) < {number} AND NOT {absent} OR type = 2) AS content
    GROUP BY path) AS found
"""


def place_of(path: str) -> str:
    """SQL: which of `directories`, sorted and none in another, comes last before a path: no other can be above it."""
    return f'width_bucket({path}, %(directories)s::text[] COLLATE "C")'


# In an absence those that hold anything hold the same.
ABSENT = f"""coalesce(count(*) = (%(holding)s::int[])[{place_of("path")}] AND NOT {BLIND}
    AND starts_with(path, (%(directories)s::text[])[{place_of("path")}])"""
NEWS = f"""NOT coalesce(
    max(from_seq) FILTER (WHERE position = {{0}}) >= (%(news{{0}})s::int[])[{place_of("path")}], false)"""
OWN = f"NOT ((%(closed)s::boolean[])[{place_of('path')}] AND path IN (SELECT path FROM diverging_own))"
CELL = "CASE WHEN v{0} IS NULL THEN CASE contents WHEN 0 THEN '.' ELSE '-' END WHEN u{0} THEN '!' ELSE '+' END"
ANALYZE = "ANALYZE diverging"

COVERS = f"SELECT DISTINCT path {STANDS} AND (type = 2 AND stage IN ('list', 'stat') OR type = 4 AND detail = 'mount')"
COVERED = f"SELECT EXISTS ({COVERS})"
BELOW_INDEX = 'CREATE INDEX IF NOT EXISTS diverging_below ON diverging ("left"(path, 512))'
HIDE = f"""
UPDATE diverging SET cells = overlay(cells PLACING '?' FROM {{0}} FOR 1) FROM (
    SELECT below.path FROM ({COVERS}) AS cover CROSS JOIN LATERAL (
        SELECT row.path FROM diverging AS row WHERE {BELOW.format("row", "cover")} OFFSET 0) AS below) AS hidden
WHERE diverging.path = hidden.path AND substr(cells, {{0}}, 1) = '-'
"""
LACKING = "SELECT path FROM diverging WHERE substr(cells, %(position)s, 1) = '-'"
SET_CELL = """
UPDATE diverging SET cells = overlay(cells PLACING %(cell)s FROM %(position)s FOR 1) WHERE path = ANY(%(paths)s)
"""


def find(sides: Sequence[ComparedReplica], *, equal: bool, absent: Collection[Absence] = ()) -> None:
    """Fill `diverging` with the paths that are not the same on all sides, and with those that some could not read.

    `equal` says that the signed digests of all contents are equal: then only what is rare is looked at. Of what lies in
    the directories of `absent`, none of them in another, paths that are the same on all that hold any are left out.
    """
    told = sorted(absent)  # by code points: the order of the bytes
    given = given_of(sides) | {
        "directories": [one.directory for one in told],
        "holding": [len(sides) - len(one.lacking) for one in told],
        "closed": [one.closed for one in told],
    }
    given |= {f"news{side.position}": [dict(one.news).get(side.position) for one in told] for side in sides}
    with connection.cursor() as cursor:
        cursor.execute(DROP)
        cursor.execute(WORK_MEM)
        cursor.execute(ONE_PROCESS)
        cursor.execute(_find(sides, equal, _absent(told)), given)
        cursor.execute(ANALYZE)
        for side in sides:
            cursor.execute(COVERED.format(side.position), given_of(sides))
            if cursor.fetchone()[0]:  # else an index of a million rows serves nobody
                cursor.execute(BELOW_INDEX)
                cursor.execute(HIDE.format(side.position), given_of(sides))


def clear() -> None:
    """Drop the temporary tables, and take back what was set for them."""
    with connection.cursor() as cursor:
        cursor.execute(DROP)
        cursor.execute(BACK)


def mark(position: int, cell: str, chosen: Callable[[str], bool]) -> None:
    """Give the missing paths of a side that `chosen` picks, by their coded names, another cell."""
    for rows in fetch_batches(LACKING, {"position": position}):
        paths = [path for (path,) in rows if chosen(path)]
        if paths:
            with connection.cursor() as cursor:
                cursor.execute(SET_CELL, {"cell": cell, "position": position, "paths": paths})


def given_of(sides: Sequence[ComparedReplica]) -> dict[str, Any]:
    """The parameters of STANDS and COVERS for each side."""
    given: dict[str, Any] = {}
    for side in sides:
        given |= {f"replica{side.position}": side.replica_id, f"sequence{side.position}": side.sequence}
    return given


def _absent(told: Collection[Absence]) -> str:
    """SQL: whether a content of a path is left out, since an absence tells it."""
    if not told:
        return "false"
    news = sorted({position for one in told for position, _first in one.news})
    own = [OWN] if any(one.closed for one in told) else []
    return " AND ".join([ABSENT, *(NEWS.format(position) for position in news), *own]) + ", false)"


def _find(sides: Sequence[ComparedReplica], equal: bool, absent: str) -> str:
    """FIND for so many sides, each with columns of its own: versions `v`, and whether they are unreadable, `u`."""
    places = [side.position for side in sides]
    states = [STATE.format(place) + (RARE if equal else "") for place in places]
    here = " # ".join(f"CASE WHEN v{side.position} IS NULL THEN 0 ELSE {side.identity} END" for side in sides)
    current = " OR ".join(f"v{side.position} IS NOT NULL" for side in sides if side.has_vote)
    return FIND.format(
        versions=", ".join(f"v{place}" for place in places),
        cells=" || ".join(CELL.format(place) for place in places),
        newest=", ".join(f"max(v{place}) AS v{place}" for place in places),
        unreadable=", ".join(f"bool_or(blind AND v{place} IS NOT NULL) AS u{place}" for place in places),
        held=", ".join(f"max(id) FILTER (WHERE position = {place}) AS v{place}" for place in places),
        current=current or "false",
        identity=here,
        blind=BLIND,
        absent=absent,
        states=" UNION ALL ".join(states),
        number=len(places),
    )
