"""Store the changes that a comparison found, and how many there are below each directory."""

from __future__ import annotations

from typing import Any

from django.db import connection

from checker.changes.statements import statement
from checker.models import Branch, Comparison

DELETE_CHANGES = "DELETE FROM checker_change WHERE comparison_id = %(comparison)s"
DELETE_BRANCHES = "DELETE FROM checker_branch WHERE comparison_id = %(comparison)s"
COUNT_CHANGES = "SELECT kind, count(*) FROM found_change WHERE NOT departed GROUP BY kind"

ANALYZE_FROM = 50_000
"""From so many changes on the planner is told of them. It knows nothing of rows that this transaction wrote, and with
so many it would choose plans that take minutes."""
ANALYZE = "ANALYZE checker_change"


def write_changes(comparison: Comparison) -> dict[str, int]:
    """Store what `compare.find_changes` found, instead of what was stored. Return paths by kind; a move counts once."""
    parameters: dict[str, Any] = {"comparison": comparison.pk, "deepest": Branch.DEPTH}

    with connection.cursor() as cursor:
        cursor.execute(DELETE_CHANGES, parameters)
        cursor.execute(DELETE_BRANCHES, parameters)
        cursor.execute(statement("store_changes"), parameters)
        cursor.execute(statement("store_branches"), parameters)

        cursor.execute(COUNT_CHANGES)
        counts: dict[str, int] = dict(cursor.fetchall())

        if sum(counts.values()) >= ANALYZE_FROM:
            cursor.execute(ANALYZE)
        return counts


def delete_changes(comparison: Comparison) -> None:
    """Delete what is stored of a comparison."""
    with connection.cursor() as cursor:
        cursor.execute(DELETE_CHANGES, {"comparison": comparison.pk})
        cursor.execute(DELETE_BRANCHES, {"comparison": comparison.pk})
