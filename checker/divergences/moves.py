"""What is missing under one name and there under another: moves, and names that are almost alike.

Works on `diverging` of `replicas`. Names beyond ASCII are compared in Python: what PostgreSQL folds of them depends on
how it was built.
"""

# ruff: noqa: S608  # statements are put together from constants of this package; values travel as parameters

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from django.db import connection

from checker.changes.rules import EMPTY
from checker.divergences.compare import ComparedReplica
from scanner.db.sql import fetch_batches

PATTERNS = "SELECT cells FROM diverging WHERE contents = 1 AND cells LIKE '%%-%%' GROUP BY cells"
HERE, LACKING = frozenset("+!~"), frozenset("-?>.~")
"""What a cell may say of a path at its place; what is allowed to differ may be there or not."""

# Beside each path the name that it shares with those that are almost alike, and that in which only case is folded.
NAMES = """
CREATE TEMPORARY TABLE diverging_name (path text COLLATE "C", name text COLLATE "C", composed text COLLATE "C")
"""
SPELLED = """
SELECT path{0} FROM diverging
WHERE contents = 1 AND cells = ANY(%(patterns)s) AND octet_length(path) {1} length(path)
"""
# Most names are of ASCII alone, which PostgreSQL folds as Python does.
NAME_PLAIN = "INSERT INTO diverging_name " + SPELLED.format(", lower(path), path", "=")
NAME_THEM = (
    "INSERT INTO diverging_name SELECT * FROM unnest(%(paths)s::text[], %(folded)s::text[], %(composed)s::text[])"
)

# Hash indexes: a name may be longer than what a B-tree holds.
SIDES = """
CREATE INDEX ON diverging_name USING hash (path);
CREATE INDEX ON diverging_name USING hash (name);
ANALYZE diverging_name;
CREATE TEMPORARY TABLE diverging_side AS
SELECT row.path, spelled.name, position, substr(row.cells, position, 1) AS cell, row.cells, held.sha256
FROM diverging AS row JOIN diverging_name AS spelled USING (path)
JOIN scanner_version AS held ON held.id = (SELECT max(id) FROM unnest(row.versions) AS id)
CROSS JOIN unnest(%(positions)s::int[]) AS position
WHERE substr(row.cells, position, 1) IN ('-', '+');
ANALYZE diverging_side
"""
# A path that is missing at a place, another one that is there, and a third place where it is the other way round.
SWAPPED = """EXISTS (SELECT FROM generate_series(1, length(gone.cells)) AS at
    WHERE substr(gone.cells, at, 1) = '+' AND substr(come.cells, at, 1) = '-')"""
NAME = "right(path, strpos(reverse(path), '/') - 1)"
FOLDER = "left(path, length(path) - strpos(reverse(path), '/') + 1)"
KEYS = (
    "name",
    f"CASE WHEN strpos(path, '/') > 0 THEN {NAME} ELSE path END",
    f"CASE WHEN strpos(path, '/') > 0 THEN {FOLDER} ELSE '' END",
    "''",
)
"""By what a missing path is paired with one of the same content: nearly the same path, the same name, the same folder,
then nothing but the content."""
MOVE = f"""
WITH ranked AS (
    SELECT path, position, cell, cells, sha256, {{key}} AS key,
        row_number() OVER (PARTITION BY position, cell, sha256, {{key}} ORDER BY path) AS rank
    FROM diverging_side WHERE sha256 <> '\\x{EMPTY}'
), pair AS (
    SELECT gone.path, gone.position, come.path AS other FROM ranked AS gone JOIN ranked AS come
        USING (position, sha256, key, rank)
    WHERE gone.cell = '-' AND come.cell = '+' AND {SWAPPED}
), paired AS (
    DELETE FROM diverging_side AS side USING pair
    WHERE side.position = pair.position AND side.path IN (pair.path, pair.other)
), told AS (
    SELECT path, jsonb_object_agg(position, other) AS others, array_agg(position) AS positions FROM pair GROUP BY path
)
UPDATE diverging SET others = coalesce(diverging.others, '{{{{}}}}') || told.others, cells = (
    SELECT string_agg(CASE WHEN at = ANY(told.positions) THEN '>' ELSE substr(cells, at, 1) END, '' ORDER BY at)
    FROM generate_series(1, length(cells)) AS at)
FROM told WHERE diverging.path = told.path
"""
ALIKE = """
WITH pair AS (
    SELECT gone.path, place.position, min(come.path) AS other, bool_or(one.composed = another.composed) AS unicode
    FROM diverging_name AS one JOIN diverging_name AS another ON another.name = one.name AND another.path <> one.path
    JOIN diverging AS gone ON gone.path = one.path
    JOIN diverging AS come ON come.path = another.path
    CROSS JOIN LATERAL (SELECT generate_series(1, length(gone.cells)) AS position) AS place
    WHERE gone.versions[place.position] IS NULL AND come.versions[place.position] IS NOT NULL
        AND EXISTS (SELECT FROM generate_series(1, length(gone.cells)) AS at
            WHERE gone.versions[at] IS NOT NULL AND come.versions[at] IS NULL)
    GROUP BY gone.path, place.position
), told AS (
    SELECT path, jsonb_object_agg(position, other) AS others, bool_or(unicode) AS unicode FROM pair GROUP BY path
)
UPDATE diverging SET others = told.others || coalesce(diverging.others, '{}'),
    alike = CASE WHEN told.unicode THEN 'unicode' ELSE 'case' END
FROM told WHERE diverging.path = told.path
"""


def pair(sides: Sequence[ComparedReplica]) -> None:
    """Tell what is missing on a side and is there under another name."""
    with connection.cursor() as cursor:
        cursor.execute(PATTERNS)
        patterns = [cells for (cells,) in cursor.fetchall()]
        crossed = [one for one in patterns if any(_cross(one, other) for other in patterns)]
        if not crossed:
            return
        cursor.execute(NAMES)
        cursor.execute(NAME_PLAIN, {"patterns": crossed})
        _spell(crossed)
        cursor.execute(SIDES, {"positions": [side.position for side in sides]})
        for key in KEYS:
            cursor.execute(MOVE.format(key=key))
        cursor.execute(ALIKE)


def composed(path: str) -> str:
    """What names have in common that differ only in Unicode's normalisation (UAX #15, NFC)."""
    return unicodedata.normalize("NFC", path)


def folded(path: str) -> str:
    """What names have in common that differ only in that, or in letter case."""
    return unicodedata.normalize("NFC", composed(path).casefold())


def _cross(one: str, other: str) -> bool:
    """Whether of two paths with such cells one may be at a place where the other is missing, and the other way round
    elsewhere: of two that are not so neither can be the other's new name."""
    pairs = list(zip(one, other, strict=True))
    return any(a in LACKING and b in HERE for a, b in pairs) and any(a in HERE and b in LACKING for a, b in pairs)


def _spell(patterns: list[str]) -> None:
    for rows in fetch_batches(SPELLED.format("", "<>"), {"patterns": patterns}):
        paths = [path for (path,) in rows]
        names = {"paths": paths, "folded": [*map(folded, paths)], "composed": [*map(composed, paths)]}
        with connection.cursor() as cursor:
            cursor.execute(NAME_THEM, names)
