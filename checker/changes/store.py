"""What is kept of a comparison: its changes, and how many there are below each directory."""

# ruff: noqa: S608  # statements are put together from constants of this package; values travel as parameters

from __future__ import annotations

from django.db import connection

from checker.changes.moves import KEYS
from checker.models import Branch, Comparison

FORGET_CHANGES = "DELETE FROM checker_change WHERE comparison_id = %(comparison)s"
FORGET_BRANCHES = "DELETE FROM checker_branch WHERE comparison_id = %(comparison)s"
KEEP_CHANGES = """
INSERT INTO checker_change (comparison_id, old_id, new_id, kind, departed, restores, path, other, notes)
SELECT %(comparison)s, old_id, new_id, kind, departed, false, path, other, notes FROM compared_change ORDER BY path
"""
# Each directory above a change, the root (empty) among them, down to a depth that no honest tree reaches.
KEEP_BRANCHES = f"""
WITH parent AS (
    SELECT {KEYS[1]} AS folder, kind, count(*) AS number FROM compared_change GROUP BY 1, 2
), split AS (
    SELECT string_to_array(folder, '/') AS parts, kind, number FROM parent
)
INSERT INTO checker_branch (comparison_id, number, depth, kind, directory)
SELECT %(comparison)s, sum(number), level, kind,
    CASE level WHEN 0 THEN '' ELSE array_to_string(parts[1:level], '/') || '/' END AS directory
FROM split, generate_series(0, greatest(0, least(cardinality(parts) - 1, {Branch.DEPTH}))) AS level
GROUP BY level, kind, directory
"""
COUNTS = "SELECT kind, count(*) FROM compared_change WHERE NOT departed GROUP BY kind"
# The planner knows nothing yet of rows that this transaction wrote; with so many of them it would go wrong for minutes.
MANY = 50_000
TELL_PLANNER = "ANALYZE checker_change"


def write_changes(comparison: Comparison) -> dict[str, int]:
    """Store what `compare.find_changes` found, instead of what was stored. Return paths by kind; a move counts once."""
    given = {"comparison": comparison.pk}
    with connection.cursor() as cursor:
        for statement in (FORGET_CHANGES, FORGET_BRANCHES, KEEP_CHANGES, KEEP_BRANCHES):
            cursor.execute(statement, given)
        cursor.execute(COUNTS)
        counts: dict[str, int] = dict(cursor.fetchall())
        if sum(counts.values()) >= MANY:
            cursor.execute(TELL_PLANNER)
        return counts


def delete_changes(comparison: Comparison) -> None:
    """Delete what is kept of a comparison."""
    with connection.cursor() as cursor:
        for statement in (FORGET_CHANGES, FORGET_BRANCHES):
            cursor.execute(statement, {"comparison": comparison.pk})
