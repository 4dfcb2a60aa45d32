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
from checker.replicas import COVERS, STANDS, Absence, Side, given_of
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
# The topmost ones that somebody holds and somebody does not: what is above is on all sides.
FIND = f"""
WITH held AS (
    SELECT position, {KEYS[1]} AS folder, count(*) AS number FROM ({{states}}) AS state GROUP BY 1, 2
), split AS (
    SELECT position, number, string_to_array(folder, '/') AS parts FROM held
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
STATE = f"SELECT {{0}} AS position, path {STANDS}"
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

# How many paths lie directly in each directory below an absence; those that diverge otherwise are told one by one.
KEEP = f"""
CREATE TEMPORARY TABLE diverging_absence AS
SELECT * FROM unnest(%(directories)s::text[], %(cells)s::text[], %(marks)s::bytea[], %(currents)s::boolean[],
    %(replicas)s::int[], %(sequences)s::int[]) AS absence(path, cells, mark, current, replica_id, sequence);
CREATE TEMPORARY TABLE diverging_folder AS
SELECT absence.path AS directory, {KEYS[1].replace("path", "member.path")} AS folder, count(*) AS number
FROM diverging_absence AS absence
CROSS JOIN LATERAL (SELECT held.path {MEMBER.format("absence")}
    AND NOT EXISTS (SELECT FROM diverging WHERE diverging.path = held.path)) AS member
GROUP BY 1, 2
"""


def find(sides: Sequence[Side], certain: Collection[int], *, equal: bool, news: tuple[int, int] | None = None) -> None:
    """Fill `diverging` and the tables of absences. At the positions in `certain` all that is missing is lost, whatever
    its name, unless it is `news`; these and `equal` as for `replicas.find`."""
    absent = [] if equal else list(_candidates(sides, certain))
    replicas.find(sides, equal=equal, absent=absent, news=news)
    if crossed := set(_crossed(sides, absent)):
        absent = [one for one in absent if one.directory not in crossed]
        replicas.find(sides, equal=equal, absent=absent, news=news)
    _keep(sides, absent)


def _candidates(sides: Sequence[Side], certain: Collection[int]) -> Iterator[Absence]:
    """Absences in which nothing can have moved from or to another one, and of which all is known."""
    records = [side.records for side in sides]
    if max(records) - min(records) < LEAST:
        return
    given = given_of(sides) | {"sides": len(sides), "least": LEAST, "most": MOST}
    everywhere = frozenset(side.position for side in sides)
    states = " UNION ALL ".join(STATE.format(side.position) for side in sides)
    found = [Absence(path, everywhere - {*here}) for path, here in _fetch(FIND.format(states=states), given)]
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
        "replicas": [some[0].replica for some in holders],
        "sequences": [some[0].sequence for some in holders],
    }
    with connection.cursor() as cursor:
        cursor.execute(KEEP, given)


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
