"""The SQL that makes divergences a finding's own, and that sees what a comparison has made of open findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.utils import timezone

from checker.divergences import queries as divergences
from checker.divergences.queries import Row
from checker.findings.between.queries import Pick
from checker.findings.queries import BELOW, OF_PATH
from checker.models import Finding, GroupComparison
from scanner import keyset
from scanner.models import Run

TAKE = """
WITH taken AS (
    UPDATE {0} AS change SET finding_id = %(finding)s WHERE {1} {2} RETURNING cells, judged
)
SELECT DISTINCT position FROM taken, generate_series(1, length(cells)) AS position
WHERE substr(cells, position, 1) = '-' OR substr(judged, position, 1) IN ('d', 'o', 'u') ORDER BY position
"""


def take(pick: Pick, finding: Finding) -> list[int]:
    """Make the divergences that a finding tells its own; the positions at which they are not as they should be."""
    given = pick.parameters() | {"finding": finding.pk, "path": finding.path}
    condition = pick.condition
    if not finding.folded:
        condition += OF_PATH
    elif finding.path:
        given |= keyset.bounds(finding.path)
        condition += "".join(f" AND {BELOW[edge]}" for edge in ("lower", "upper"))
    with connection.cursor() as cursor:
        cursor.execute(TAKE.format(pick.table, pick.untold, condition), given)
        return [position for (position,) in cursor.fetchall()]


# Open findings of the group with what is left of them; one that concerns a replica of which nothing is known stays.
LEFT = """
UPDATE checker_finding AS finding SET number = left_over.number, last_run_id = %(run)s
FROM (SELECT finding_id, count(*) AS number FROM checker_divergence WHERE comparison_id = %(comparison)s
    AND finding_id IS NOT NULL GROUP BY finding_id) AS left_over
WHERE finding.id = left_over.finding_id AND finding.state = 'open' AND finding.number <> left_over.number
"""
OVER = """
UPDATE checker_finding AS finding SET state = 'resolved', closed_at = %(now)s, last_run_id = %(run)s
WHERE finding.group_id = %(group)s AND finding.replica_id IS NULL AND finding.state = 'open'
    AND finding.kind IN ('lost', 'mismatch') AND finding.concerns <@ %(there)s::int[]
    AND NOT EXISTS (SELECT FROM checker_divergence AS divergence WHERE divergence.finding_id = finding.id)
RETURNING finding.id
"""


def renew(comparison: GroupComparison, run: Run, there: Sequence[int]) -> list[Finding]:
    """Count again what open findings tell, and close those of which nothing is left; these come back."""
    given: dict[str, Any] = {
        "comparison": comparison.pk,
        "group": comparison.group_id,
        "run": run.pk,
        "now": timezone.now(),
    }
    with connection.cursor() as cursor:
        cursor.execute(LEFT, given)
        cursor.execute(OVER, given | {"there": list(there)})
        closed = [pk for (pk,) in cursor.fetchall()]
    return list(Finding.objects.filter(pk__in=closed).order_by("pk"))


def row(comparison_id: int, path: str) -> Row:
    """The divergence of one path, before it is written."""
    found = divergences.exactly(comparison_id, path, divergences.GATHERED)
    assert found is not None
    return found
