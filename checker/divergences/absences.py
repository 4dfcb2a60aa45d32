"""Directories of which some replicas hold nothing, while all others hold the same.

A replica that is empty, or that lost a share, lacks each of a million paths in the same way: `diverging` of `replicas`
leaves them out, and one row tells them all (`diverging_absence`). Which paths they are stands in the history of those
that hold them.
"""

# ruff: noqa: S608  # statements are put together from constants of this package; values travel as parameters

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import reduce
from operator import xor
from typing import Any

from django.db import connection

from checker import replicas
from checker.divergences.moves import folded
from checker.models import Branch
from checker.moves import KEYS
from checker.replicas import BLIND, COVERS, STANDS, Absence, Side, given_of, place_of
from checker.rules import EMPTY
from scanner.queries import fetched

LEAST = 1000
"""Fewer paths are told one by one: they are quickly kept."""
MOST = 200
"""The largest absences; what lies below others is told path by path."""

LAST = "repeat(chr(1114111), 512)"
"""No 512 characters come after these."""


def below(path: str, directory: str) -> str:
    """SQL: that the path of one row lies below the directory of another, which ends with a slash or is empty; '0'
    follows '/'."""
    upper = f"CASE {directory}.path WHEN '' THEN {LAST} ELSE left(left({directory}.path, -1) || '0', 512) END"
    return f"""left({path}.path, 512) >= left({directory}.path, 512) AND left({path}.path, 512) <= {upper}
        AND {path}.path <> {directory}.path AND starts_with({path}.path, {directory}.path)"""


LEVELS = f"generate_series(0, greatest(0, least(cardinality(parts) - 1, {Branch.DEPTH})))"
"""The depths of the directories above a path, of which `parts` are the names; that of the root is 0."""
ABOVE = "CASE {0} WHEN 0 THEN '' ELSE array_to_string(parts[1:{0}], '/') || '/' END"
"""The directory at a depth."""
STATE = f"SELECT {{0}} AS position, path, {BLIND} AS blind {STANDS}"
HOLD = f"""
CREATE TEMPORARY TABLE diverging_held AS
SELECT position, {KEYS[1]} AS folder, count(*) AS number, count(*) FILTER (WHERE NOT blind) AS seen
FROM ({{states}}) AS state GROUP BY 1, 2
"""
# The topmost ones that somebody holds and somebody does not: what is above is on all sides.
FIND = f"""
WITH split AS (
    SELECT position, number, string_to_array(folder, '/') AS parts FROM diverging_held
), above AS (
    SELECT position, {ABOVE.format("level")} AS directory, {ABOVE.format("greatest(level - 1, 0)")} AS parent,
        sum(number) AS number FROM split, {LEVELS} AS level GROUP BY 1, 2, 3
), presence AS (
    SELECT directory, parent, array_agg(position) AS here, max(number) AS number FROM above GROUP BY 1, 2
)
SELECT one.directory, one.here FROM presence AS one JOIN presence AS upper ON upper.directory = one.parent
WHERE cardinality(one.here) < %(sides)s AND (one.directory = '' OR cardinality(upper.here) = %(sides)s)
    AND one.number >= %(least)s ORDER BY one.number DESC LIMIT %(most)s
"""
COVERED = f"""
SELECT directory FROM unnest(%(directories)s::text[]) AS directory
WHERE EXISTS (SELECT FROM ({COVERS}) AS cover WHERE starts_with(directory, cover.path || '/'))
"""

# What is here where the absence is, and not where the absent paths are: they may have come under these names.
EXTRA = """
FROM diverging AS row CROSS JOIN unnest(%(lacking)s::int[]) AS at
WHERE row.versions[at] IS NOT NULL
    AND EXISTS (SELECT FROM unnest(%(holding)s::int[]) AS place WHERE row.versions[place] IS NULL)
"""
ANY_EXTRA = f"SELECT EXISTS (SELECT {EXTRA})"
EXTRA_PATHS = f"SELECT DISTINCT row.path {EXTRA}"
MEMBER = f"""FROM scanner_version AS held WHERE held.replica_id = {{0}}.replica_id AND held.from_seq <= {{0}}.sequence
    AND (held.until_seq IS NULL OR held.until_seq > {{0}}.sequence) AND {below("held", "{0}")}
    AND held.type <> 2 AND (held.type <> 4 OR held.detail <> 'mount')"""
"""The entries below the directory `path` in the state of `replica_id` at `sequence`, as `held`."""
SAME_CONTENT = f"""
SELECT one.path FROM (SELECT path, %(replica)s::int AS replica_id, %(sequence)s::int AS sequence
    FROM unnest(%(directories)s::text[]) AS path) AS one
WHERE EXISTS (SELECT {MEMBER.format("one")}
    AND held.sha256 <> '\\x{EMPTY}' AND held.sha256 IN (
        SELECT extra.sha256 FROM scanner_version AS extra WHERE extra.id IN (SELECT row.versions[at] {EXTRA})))
"""

DROP = "DROP TABLE IF EXISTS diverging_held, diverging_absence, diverging_folder"
TABLES = """
CREATE TEMPORARY TABLE diverging_absence (path text COLLATE "C", cells text COLLATE "C", mark bytea, current boolean,
    position int);
CREATE TEMPORARY TABLE diverging_folder (directory text COLLATE "C", folder text COLLATE "C", number bigint)
"""
KEEP = """
INSERT INTO diverging_absence
SELECT * FROM unnest(%(directories)s::text[], %(cells)s::text[], %(marks)s::bytea[], %(currents)s::boolean[],
    %(positions)s::int[])
"""
# How many paths lie directly in each directory below an absence, as one of those has it that hold it; what diverges
# otherwise is told one by one.
COUNT = f"""
INSERT INTO diverging_folder
SELECT absence.path, folder, held.seen - coalesce(other.number, 0)
FROM (SELECT *, (%(directories)s::text[])[{place_of("folder")}] AS path FROM diverging_held) AS held
JOIN diverging_absence AS absence USING (path, position)
LEFT JOIN (SELECT {KEYS[1]} AS folder, position, count(*) AS number
    FROM diverging CROSS JOIN (SELECT DISTINCT unnest(%(positions)s::int[]) AS position) AS holder
    WHERE versions[position] IS NOT NULL AND substr(cells, position, 1) <> '!' GROUP BY 1, 2) AS other
    USING (folder, position)
WHERE starts_with(folder, absence.path) AND held.seen > coalesce(other.number, 0)
"""


def find(sides: Sequence[Side], certain: Collection[int], *, equal: bool, news: tuple[int, int] | None = None) -> None:
    """Fill `diverging` and the tables of absences. At the positions in `certain` all that is missing is lost, whatever
    its name, unless it is `news`; these and `equal` as for `replicas.find`."""
    with connection.cursor() as cursor:
        cursor.execute(DROP)
    absent = [] if equal else list(_candidates(sides, certain))
    replicas.find(sides, equal=equal, absent=absent, news=news)
    if crossed := set(_crossed(sides, absent)):
        absent = [one for one in absent if one.directory not in crossed]
        replicas.find(sides, equal=equal, absent=absent, news=news)
    _keep(sides, sorted(absent))


def clear() -> None:
    """Drop the temporary tables, and take back what was set for them."""
    replicas.clear()
    with connection.cursor() as cursor:
        cursor.execute(DROP)


def _candidates(sides: Sequence[Side], certain: Collection[int]) -> Iterator[Absence]:
    """Absences in which nothing can have moved from or to another one, and of which all is known."""
    records = [side.records for side in sides]
    if max(records) - min(records) < LEAST:
        return
    given = given_of(sides) | {"sides": len(sides), "least": LEAST, "most": MOST}
    everywhere = frozenset(side.position for side in sides)
    states = " UNION ALL ".join(STATE.format(side.position) for side in sides)
    with connection.cursor() as cursor:
        cursor.execute(HOLD.format(states=states), given)
    found = [Absence(path, everywhere - {*here}) for path, here in _fetch(FIND, given)]
    lackings = {one.lacking for one in found}
    covered = {(path, at) for at in everywhere for path in _covered(at, [one.directory for one in found], given)}
    for one in found:
        crosses = any(one.lacking - other and other - one.lacking for other in lackings)
        if not crosses and one.lacking <= {*certain} and not any((one.directory, at) in covered for at in one.lacking):
            yield one


def _covered(position: int, directories: list[str], given: dict[str, Any]) -> list[str]:
    """Those of the directories that a side could not look into."""
    return [path for (path,) in _fetch(COVERED.format(position), given | {"directories": directories})]


def _crossed(sides: Sequence[Side], absent: Sequence[Absence]) -> Iterator[str]:
    """Directories from which something may have moved, or been spelled otherwise, where they are lacked."""
    by_lacking: dict[frozenset[int], list[str]] = {}
    for one in absent:
        by_lacking.setdefault(one.lacking, []).append(one.directory)
    for lacking, directories in by_lacking.items():
        holding = [side for side in sides if side.position not in lacking]
        given: dict[str, Any] = {
            "lacking": sorted(lacking),
            "holding": [side.position for side in holding],
            "directories": directories,
            "replica": holding[0].replica,
            "sequence": holding[0].sequence,
        }
        ((any_extra,),) = _fetch(ANY_EXTRA, given)
        if not any_extra:
            continue
        yield from (path for (path,) in _fetch(SAME_CONTENT, given))
        names = {folded(path): path for path in directories}
        starts = tuple(names)
        for rows in fetched(EXTRA_PATHS, given):
            near = {folded(path) for (path,) in rows if folded(path).startswith(starts)}
            yield from (path for name, path in names.items() if any(one.startswith(name) for one in near))


def _keep(sides: Sequence[Side], absent: Sequence[Absence]) -> None:
    holders = [[side for side in sides if side.position not in one.lacking] for one in absent]
    given: dict[str, Any] = {
        "directories": [one.directory for one in absent],
        "cells": ["".join("-" if side.position in one.lacking else "+" for side in sides) for one in absent],
        "marks": [_mark(some) for some in holders],
        "currents": [_current(sides, one) for one in absent],
        "positions": [some[0].position for some in holders],
    }
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        for statement in (KEEP, COUNT) if absent else ():
            cursor.execute(statement, given)


def _mark(holders: Sequence[Side]) -> bytes:
    """Who holds it: while they stay, the absence is the same, whatever comes and goes below."""
    return reduce(xor, (side.identity for side in holders)).to_bytes(8, "big", signed=True) * 2


def _current(sides: Sequence[Side], absence: Absence) -> bool:
    """Whether those who have a vote differ among themselves."""
    return len({side.position in absence.lacking for side in sides if side.current}) > 1


def _fetch(statement: str, given: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
