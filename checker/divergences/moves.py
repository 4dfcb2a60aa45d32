"""Pair what is missing under one name with what is there under another: moves, and names that are almost alike.

The work goes on in `diverging`. Names beyond ASCII are compared in Python: what PostgreSQL folds of them depends on how
it was built.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from django.db import connection

from checker.changes.kinds import EMPTY_SHA256
from checker.divergences.compare import ComparedReplica
from checker.divergences.statements import statement
from scanner.db.sql import fetch_batches

EMPTY_FILE = bytes.fromhex(EMPTY_SHA256)
"""The digest of a file without content. Such files are never paired by it."""

PATTERNS = "SELECT cells FROM diverging WHERE contents = 1 AND cells LIKE '%%-%%' GROUP BY cells"
# Beside each path the name that it shares with all that are almost alike, and the one in which the case is kept.
CREATE_NAMES = """
CREATE TEMPORARY TABLE diverging_name (path text COLLATE "C", folded text COLLATE "C", composed text COLLATE "C")
"""
INSERT_NAMES = """
INSERT INTO diverging_name SELECT * FROM unnest(%(paths)s::text[], %(folded)s::text[], %(composed)s::text[])
"""

KEYS = ("spelling", "name", "directory", "content")
"""By what a missing path is paired with one of the same content, in this order; see `pair_moved`."""

PRESENT = frozenset("+!~")
LACKING = frozenset("-?>.~")
"""Cells of a path that may be present, or may be missing. What is allowed to differ may be either."""


def pair_names(replicas: Sequence[ComparedReplica]) -> None:
    """Mark in `diverging` what is missing on a replica and is there under another name."""
    with connection.cursor() as cursor:
        cursor.execute(PATTERNS, {})
        patterns = [cells for (cells,) in cursor.fetchall()]

        # Most comparisons have no pair to find, and this spares the work on names.
        crossed = [cells for cells in patterns if any(may_be_pair(cells, other) for other in patterns)]
        if not crossed:
            return

        cursor.execute(CREATE_NAMES)
        cursor.execute(statement("name_ascii"), {"patterns": crossed})
        _name_beyond_ascii(crossed)

        cursor.execute(statement("find_pair_sides"), {"positions": [replica.position for replica in replicas]})
        # The closest likeness comes first: what one key has paired, the next one leaves alone.
        for key in KEYS:
            cursor.execute(statement("pair_moved"), {"key": key, "empty_file": EMPTY_FILE})
        cursor.execute(statement("pair_alike"))


def composed(path: str) -> str:
    """Return the name that all names share that differ only in Unicode normalisation (UAX #15, NFC)."""
    return unicodedata.normalize("NFC", path)


def folded(path: str) -> str:
    """Return the name that all names share that differ only in Unicode normalisation or in letter case."""
    return unicodedata.normalize("NFC", composed(path).casefold())


def may_be_pair(cells: str, other_cells: str) -> bool:
    """Return whether one of two paths with these cells can be the new name of the other.

    That takes a position where the first may be present and the other missing, and one where it is the other way round.
    """
    pairs = list(zip(cells, other_cells, strict=True))
    first_is_missing = any(cell in LACKING and other in PRESENT for cell, other in pairs)
    other_is_missing = any(cell in PRESENT and other in LACKING for cell, other in pairs)
    return first_is_missing and other_is_missing


def _name_beyond_ascii(patterns: list[str]) -> None:
    for rows in fetch_batches(statement("names_beyond_ascii"), {"patterns": patterns}):
        paths = [path for (path,) in rows]
        names = {
            "paths": paths,
            "folded": [folded(path) for path in paths],
            "composed": [composed(path) for path in paths],
        }
        with connection.cursor() as cursor:
            cursor.execute(INSERT_NAMES, names)
