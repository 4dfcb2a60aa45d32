"""Directories of which some replicas hold nothing, while all others hold the same.

A replica that is empty, or that lost a share, lacks each of a million paths in the same way: `diverging` of `replicas`
leaves them out, and one row tells them all (`diverging_absence`). Which paths they are stands in the history of those
that hold them.
"""

# ruff: noqa: S608  # statements are put together from constants of this package; values travel as parameters

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import reduce
from operator import xor
from typing import Any

from django.db import connection

from checker.changes.moves import KEYS
from checker.changes.rules import EMPTY
from checker.divergences import compare
from checker.divergences.attribution import Before, Told, told
from checker.divergences.compare import BLIND, COVERS, STANDS, Absence, ComparedReplica, given_of, place_of
from checker.divergences.moves import folded
from checker.divergences.within import ABOVE, LEVELS, MEMBER, below
from scanner.db.sql import fetch_all, fetch_batches

LEAST = 1000
"""Fewer paths are told one by one: they are quickly kept."""
MOST = 200
"""The largest absences; what lies below others is told path by path."""
MOST_OWN = 100_000
"""Where more paths than these have rows of their own, all have: a hash of more does not fit into memory."""

STATE = f"SELECT {{0}} AS position, path, {BLIND} AS blind {STANDS}"
HOLD = f"""
CREATE TEMPORARY TABLE diverging_held AS
SELECT position, {KEYS[1]} AS folder, count(*) AS number, count(*) FILTER (WHERE NOT blind) AS seen
FROM ({{states}}) AS state GROUP BY 1, 2
"""
PRESENCE = f"""
CREATE TEMPORARY TABLE diverging_presence AS
WITH split AS (
    SELECT position, number, string_to_array(folder, '/') AS parts FROM diverging_held
), above AS (
    SELECT position, {ABOVE.format("level")} AS directory, {ABOVE.format("greatest(level - 1, 0)")} AS parent,
        sum(number) AS number FROM split, {LEVELS} AS level GROUP BY 1, 2, 3
)
SELECT directory, parent, array_agg(position) AS here, max(number) AS number FROM above GROUP BY 1, 2
"""
# The topmost ones that somebody holds and somebody does not: what is above is on all sides, or is to be split.
FIND = """
SELECT one.directory, one.here FROM diverging_presence AS one JOIN diverging_presence AS upper
    ON upper.directory = one.parent
WHERE cardinality(one.here) < %(sides)s AND one.directory <> ALL(%(split)s::text[]) AND (one.directory = ''
        OR cardinality(upper.here) = %(sides)s OR upper.directory = ANY(%(split)s::text[]))
    AND one.number >= %(least)s ORDER BY one.number DESC, one.directory LIMIT %(most)s
"""
COVERED = f"""
SELECT directory FROM unnest(%(directories)s::text[]) AS directory
WHERE EXISTS (SELECT FROM ({COVERS}) AS cover WHERE starts_with(directory, cover.path || '/'))
"""

FIRST_SINCE = """
SELECT coalesce(max(sequence), 0) + 1 FROM scanner_run WHERE replica_id = %(replica)s AND ingested_at <= %(moment)s
"""
OWN = f"""
CREATE TEMPORARY TABLE diverging_own AS
SELECT own.path FROM unnest(%(directories)s::text[]) AS one(path) CROSS JOIN LATERAL (
    SELECT row.path FROM checker_divergence AS row WHERE row.comparison_id = %(comparison)s AND row.number IS NULL
        AND {below("row", "one")} OFFSET 0) AS own;
ANALYZE diverging_own
"""
OWN_NUMBER = "SELECT count(*) FROM diverging_own"

# What is here where the absence is, and not where the absent paths are: they may have come under these names.
EXTRA = """
FROM diverging AS row CROSS JOIN unnest(%(lacking)s::int[]) AS at
WHERE row.versions[at] IS NOT NULL
    AND EXISTS (SELECT FROM unnest(%(holding)s::int[]) AS place WHERE row.versions[place] IS NULL)
"""
ANY_EXTRA = f"SELECT EXISTS (SELECT {EXTRA})"
EXTRA_PATHS = f"SELECT DISTINCT row.path {EXTRA}"
# Joined by hashes: nobody knows before how many there are of either.
EXTRA_CONTENT = f"""
DROP TABLE IF EXISTS diverging_extra;
CREATE TEMPORARY TABLE diverging_extra AS SELECT DISTINCT version.sha256
    FROM (SELECT row.versions[at] AS id {EXTRA} OFFSET 0) AS extra JOIN scanner_version AS version USING (id)
    WHERE version.sha256 <> '\\x{EMPTY}';
ANALYZE diverging_extra
"""
SAME_CONTENT = f"""
SELECT DISTINCT one.path FROM (SELECT path, %(replica)s::int AS replica_id, %(sequence)s::int AS sequence
    FROM unnest(%(directories)s::text[]) AS path) AS one
CROSS JOIN LATERAL (SELECT held.sha256 {MEMBER.format("one")} AND held.sha256 IS NOT NULL OFFSET 0) AS held
JOIN diverging_extra USING (sha256)
"""

DROP = """
DROP TABLE IF EXISTS diverging_held, diverging_presence, diverging_own, diverging_extra, diverging_absence,
    diverging_folder
"""
TABLES = """
CREATE TEMPORARY TABLE diverging_absence (path text COLLATE "C", cells text COLLATE "C", mark bytea, current boolean,
    position int, holder bigint, finding_id bigint, since timestamptz);
CREATE TEMPORARY TABLE diverging_folder (directory text COLLATE "C", folder text COLLATE "C", number bigint)
"""
KEEP = """
INSERT INTO diverging_absence
SELECT * FROM unnest(%(directories)s::text[], %(cells)s::text[], %(marks)s::bytea[], %(currents)s::boolean[],
    %(positions)s::int[], %(runs)s::bigint[], %(findings)s::bigint[], %(sinces)s::timestamptz[])
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


def find(
    sides: Sequence[ComparedReplica],
    certain: Collection[int],
    before: Before,
    *,
    equal: bool,
    news: tuple[int, int] | None = None,
) -> None:
    """Fill `diverging` and the tables of absences. At the positions in `certain` all that is missing is lost, whatever
    its name, unless it began at the position and with the run of `news`, or later; `equal` as for `replicas.find`."""
    with connection.cursor() as cursor:
        cursor.execute(DROP)
    telling = {} if equal else _but_for_own(before, _candidates(sides, certain, before, news))
    compare.find(sides, equal=equal, absent=telling)
    if crossed := set(_crossed(sides, list(telling))):
        telling = {one: by for one, by in telling.items() if one.directory not in crossed}
        compare.find(sides, equal=equal, absent=telling)
    _keep(sides, dict(sorted(telling.items())))


def clear() -> None:
    """Drop the temporary tables, and take back what was set for them."""
    compare.clear()
    with connection.cursor() as cursor:
        cursor.execute(DROP)


def _candidates(
    sides: Sequence[ComparedReplica], certain: Collection[int], before: Before, news: tuple[int, int] | None
) -> dict[Absence, Told]:
    """Absences of which all is known, in which nothing can have moved from or to another one; with what tells them."""
    records = [side.entries for side in sides]
    if max(records) - min(records) < LEAST:
        return {}
    with connection.cursor() as cursor:
        states = " UNION ALL ".join(STATE.format(side.position) for side in sides)
        cursor.execute(HOLD.format(states=states), given_of(sides))
        cursor.execute(PRESENCE)
    telling = _alike(sides, before)
    everywhere = {side.position for side in sides}
    lackings = {one.lacking for one in telling}
    directories = [one.directory for one in telling]
    covered = {(path, at) for at in everywhere for path in _covered(at, directories, given_of(sides))}
    return {
        _without(sides, one, by, news): by
        for one, by in telling.items()
        if one.lacking <= {*certain}
        and not any(one.lacking - other and other - one.lacking for other in lackings)
        and not any((one.directory, at) in covered for at in one.lacking)
    }


def _alike(sides: Sequence[ComparedReplica], before: Before) -> dict[Absence, Told]:
    """The topmost directories that somebody lacks and whose paths were told alike."""
    everywhere = frozenset(side.position for side in sides)
    telling: dict[str, Told] = {}
    split: list[str] = []
    while True:
        given = {"sides": len(sides), "least": LEAST, "most": MOST, "split": split}
        found = [Absence(path, everywhere - {*here}) for path, here in fetch_all(FIND, given)]
        marks = {one.directory: _mark(_holding(sides, one)) for one in found}
        fresh = [one for one in found if one.directory not in telling]
        telling |= told(before, sides, fresh, marks)
        mixed = [one.directory for one in fresh if one.directory not in telling]
        if not mixed:
            return {one: telling[one.directory] for one in found}
        split += mixed


def _without(sides: Sequence[ComparedReplica], one: Absence, by: Told, news: tuple[int, int] | None) -> Absence:
    """An absence but for what it must not tell: news, and what its finding did not tell when it was accepted."""
    firsts = dict([news] if news else [])
    if by.accepted_at is not None:
        holder = _holding(sides, one)[0]
        ((first,),) = fetch_all(FIRST_SINCE, {"replica": holder.replica_id, "moment": by.accepted_at})
        firsts[holder.position] = min(first, firsts.get(holder.position, first))
    return one._replace(news=tuple(firsts.items()), closed=by.was_absence)


def _but_for_own(before: Before, telling: dict[Absence, Told]) -> dict[Absence, Told]:
    """The same, `diverging_own` filled with what has had a row of its own in what was an absence before."""
    closed = [one.directory for one in telling if one.closed]
    if not closed:
        return telling
    with connection.cursor() as cursor:
        cursor.execute(OWN, {"comparison": before.comparison_id, "directories": closed})
    ((number,),) = fetch_all(OWN_NUMBER, {})
    if number > MOST_OWN:
        return {one: by for one, by in telling.items() if not one.closed}
    return telling if number else {one._replace(closed=False): by for one, by in telling.items()}


def _covered(position: int, directories: list[str], given: dict[str, Any]) -> list[str]:
    """Those of the directories that a side could not look into."""
    return [path for (path,) in fetch_all(COVERED.format(position), given | {"directories": directories})]


def _crossed(sides: Sequence[ComparedReplica], absent: Sequence[Absence]) -> Iterator[str]:
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
            "replica": holding[0].replica_id,
            "sequence": holding[0].sequence,
        }
        ((any_extra,),) = fetch_all(ANY_EXTRA, given)
        if not any_extra:
            continue
        with connection.cursor() as cursor:
            cursor.execute(EXTRA_CONTENT, given)
        yield from (path for (path,) in fetch_all(SAME_CONTENT, given))
        names = [(folded(path), path) for path in directories]
        starts = tuple(name for name, _path in names)
        for rows in fetch_batches(EXTRA_PATHS, given):
            near = {folded(path) for (path,) in rows if folded(path).startswith(starts)}
            yield from (path for name, path in names if any(one.startswith(name) for one in near))


def _keep(sides: Sequence[ComparedReplica], telling: Mapping[Absence, Told]) -> None:
    first = [_holding(sides, one)[0] for one in telling]
    given: dict[str, Any] = {
        "directories": [one.directory for one in telling],
        "cells": ["".join("-" if side.position in one.lacking else "+" for side in sides) for one in telling],
        "marks": [_mark(_holding(sides, one)) for one in telling],
        "currents": [_current(sides, one) for one in telling],
        "positions": [side.position for side in first],
        "runs": [side.run_id for side in first],
        "findings": [by.finding for by in telling.values()],
        "sinces": [by.since for by in telling.values()],
    }
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        for statement in (KEEP, COUNT) if telling else ():
            cursor.execute(statement, given)


def _holding(sides: Sequence[ComparedReplica], absence: Absence) -> list[ComparedReplica]:
    return [side for side in sides if side.position not in absence.lacking]


def _mark(holders: Sequence[ComparedReplica]) -> bytes:
    """Who holds it: while they stay, the absence is the same, whatever comes and goes below."""
    return reduce(xor, (side.identity for side in holders)).to_bytes(8, "big", signed=True) * 2


def _current(sides: Sequence[ComparedReplica], absence: Absence) -> bool:
    """Whether those who have a vote differ among themselves."""
    return len({side.position in absence.lacking for side in sides if side.has_vote}) > 1
