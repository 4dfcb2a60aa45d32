"""The SQL that makes divergences a finding's own, and that sees what a comparison has made of open findings."""

# ruff: noqa: S608  # statements are put together from constants of this package; values travel as parameters

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.utils import timezone

from checker.divergences import queries as divergences
from checker.divergences.queries import DivergenceRow
from checker.findings.queries import BELOW, OF_PATH
from checker.findings.replicas.queries import Pick
from checker.models import Finding, GroupComparison
from scanner.db import keyset
from scanner.models import Run

TAKE = """
WITH taken AS (
    UPDATE {0} AS change SET finding_id = %(finding)s WHERE {1} {2} RETURNING cells, judged
)
SELECT DISTINCT position FROM taken, generate_series(1, length(cells)) AS position
WHERE substr(cells, position, 1) = '-' OR substr(judged, position, 1) IN ('d', 'o', 'u') ORDER BY position
"""


TAKE_EACH = """
UPDATE checker_divergence AS divergence SET finding_id = finding.id
FROM unnest(%(paths)s::text[], %(findings)s::bigint[]) AS finding(path, id)
WHERE divergence.comparison_id = %(comparison)s AND left(divergence.path, 512) = left(finding.path, 512)
    AND divergence.path = finding.path
"""


def take_each(comparison_id: int, findings: Sequence[Finding]) -> None:
    """Make the divergence of the path of each finding its own."""
    given: dict[str, Any] = {
        "comparison": comparison_id,
        "paths": [finding.path for finding in findings],
        "findings": [finding.pk for finding in findings],
    }
    with connection.cursor() as cursor:
        cursor.execute(TAKE_EACH, given)


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


# A finding speaks for those whom it concerns: what is lost or damaged on one more is told anew, accepted or not. Of
# many divergences few are unlike each other in this.
ON_ONE_MORE = f"""
UPDATE {divergences.GATHERED_TABLE} AS divergence SET finding_id = NULL
FROM (SELECT finding_id, cells, judged FROM {divergences.GATHERED_TABLE}
        WHERE finding_id IS NOT NULL AND current GROUP BY finding_id, cells, judged) AS told
    JOIN checker_finding AS finding ON finding.id = told.finding_id
WHERE divergence.finding_id = told.finding_id AND divergence.current
    AND divergence.cells = told.cells AND divergence.judged = told.judged
    AND EXISTS (SELECT FROM unnest(%(positions)s::int[], %(replicas)s::int[]) AS seat(position, replica_id)
        WHERE (substr(told.cells, position, 1) = '-' OR substr(told.judged, position, 1) = 'd')
            AND NOT replica_id = ANY(finding.concerns))
"""


def part(current: Mapping[int, int]) -> None:
    """Take from findings the gathered divergences that now concern one more replica; `current`: by position who has a
    vote."""
    with connection.cursor() as cursor:
        cursor.execute(ON_ONE_MORE, {"positions": list(current), "replicas": list(current.values())})


GROWN = """
UPDATE checker_finding SET last_run_id = %(run)s WHERE state = 'open' AND id IN (SELECT finding_id FROM diverging_grown)
"""


def grow(run: Run) -> None:
    """What open findings tell is another one now: who looked at it before has not seen it."""
    with connection.cursor() as cursor:
        cursor.execute(GROWN, {"run": run.pk})


# What was damaged and is not any more goes on in its finding, as long as it diverges.
OWN = f"""
UPDATE {divergences.GATHERED_TABLE} AS divergence SET finding_id = finding.id FROM checker_finding AS finding
WHERE finding.group_id = %(group)s AND finding.replica_id IS NULL AND finding.state = 'open' AND NOT finding.folded
    AND finding.kind = 'mismatch' AND finding.severity = 2 AND divergence.kind = 'mismatch'
    AND divergence.verdict <> 'damaged' AND divergence.finding_id IS NULL AND divergence.current
    AND left(divergence.path, 512) = left(finding.path, 512) AND divergence.path = finding.path
RETURNING finding.id
"""


def keep_own(group_id: int) -> list[Finding]:
    """Give gathered divergences to the findings of their paths that spoke of damage; which ones."""
    with connection.cursor() as cursor:
        cursor.execute(OWN, {"group": group_id})
        return list(Finding.objects.filter(pk__in=[pk for (pk,) in cursor.fetchall()]).order_by("pk"))


# Of an open finding of one path, what it said last is not what the comparison says.
OUTDATED = """
SELECT finding.id, finding.path FROM checker_finding AS finding JOIN LATERAL (
    SELECT kind, cells, judged FROM checker_divergence AS divergence WHERE divergence.comparison_id = %(comparison)s
        AND divergence.number IS NULL AND left(divergence.path, 512) = left(finding.path, 512)
        AND divergence.path = finding.path AND divergence.finding_id = finding.id
    UNION ALL SELECT kind, cells, judged FROM checker_divergence AS absence WHERE absence.finding_id = finding.id
        AND absence.comparison_id = %(comparison)s AND absence.number IS NOT NULL) AS now ON now.kind = finding.kind
WHERE finding.group_id = %(group)s AND finding.replica_id IS NULL AND finding.state = 'open' AND NOT finding.folded
    AND (now.cells, now.judged) IS DISTINCT FROM (finding.evidence ->> 'cells', finding.evidence ->> 'judged')
ORDER BY finding.id
"""


def outdated(comparison: GroupComparison) -> list[tuple[int, str]]:
    """Open findings of one path of which a comparison says something else than they do, with their paths."""
    with connection.cursor() as cursor:
        cursor.execute(OUTDATED, {"comparison": comparison.pk, "group": comparison.group_id})
        return [(pk, path) for pk, path in cursor.fetchall()]


# Open findings of the group with what is left of them; one that concerns a replica of which nothing is known stays.
LEFT = """
UPDATE checker_finding AS finding SET number = left_over.number, last_run_id = %(run)s
FROM (SELECT finding_id, sum(coalesce(number, 1)) AS number FROM checker_divergence WHERE comparison_id = %(comparison)s
    AND finding_id IS NOT NULL GROUP BY finding_id) AS left_over
WHERE finding.id = left_over.finding_id AND finding.state = 'open' AND finding.number <> left_over.number
"""
# Who lacks how many of the paths that an open finding tells now.
LACKING = """
UPDATE checker_finding AS finding SET evidence = finding.evidence || jsonb_build_object('lacking', now.lacking)
FROM (SELECT finding_id, jsonb_agg(jsonb_build_object('name', name, 'number', number) ORDER BY position) AS lacking
    FROM (SELECT finding_id, position, name, sum(number) AS number
        FROM (SELECT finding_id, cells, sum(coalesce(number, 1)) AS number FROM checker_divergence
            WHERE comparison_id = %(comparison)s AND finding_id IS NOT NULL AND kind = 'lost'
            GROUP BY finding_id, cells) AS told
        JOIN unnest(%(positions)s::int[], %(names)s::text[]) AS seat(position, name)
            ON substr(cells, position, 1) = '-' GROUP BY finding_id, position, name) AS each GROUP BY finding_id) AS now
WHERE finding.id = now.finding_id AND finding.state = 'open' AND finding.kind = 'lost'
    AND finding.evidence -> 'lacking' IS DISTINCT FROM now.lacking
"""


def count_lacking(comparison_id: int, names: Mapping[int, str]) -> None:
    """Let open findings name who lacks what they tell, and how much of it; `names` are by position."""
    given: dict[str, Any] = {"comparison": comparison_id, "positions": list(names), "names": list(names.values())}
    with connection.cursor() as cursor:
        cursor.execute(LACKING, given)


# What is so still, though nothing diverges: the damage is everywhere now, or who held what is missing has left.
AS_IT_WAS = """EXISTS (SELECT FROM jsonb_array_elements(finding.evidence -> 'copies') AS copy
    JOIN scanner_run AS run ON run.id = ANY(%(runs)s::bigint[]) AND run.replica_id = (copy ->> 'replica')::int
    LEFT JOIN scanner_version AS held ON held.replica_id = run.replica_id
        AND left(held.path, 512) = left(finding.path, 512) AND held.path = finding.path
        AND held.from_seq <= run.sequence AND (held.until_seq IS NULL OR held.until_seq > run.sequence)
    WHERE {0})"""
ROTTEN = AS_IT_WAS.format("""copy ->> 'copy' = 'd' AND held.type = (copy ->> 'type')::int
        AND encode(held.sha256, 'hex') IS NOT DISTINCT FROM copy ->> 'sha256'
        AND (held.type = 1 OR held.detail = copy ->> 'detail')""")
GONE = AS_IT_WAS.format("copy ->> 'cell' = '-' AND held.id IS NULL")
LEFT_GROUP = """EXISTS (SELECT FROM jsonb_array_elements(finding.evidence -> 'copies') AS copy
    WHERE NOT (copy ->> 'replica')::int = ANY(%(there)s::int[]))"""
NOTHING_LEFT = """finding.group_id = %(group)s AND finding.replica_id IS NULL AND finding.state = 'open'
    AND finding.kind IN ('lost', 'mismatch') AND finding.concerns <@ %(there)s::int[]
    AND NOT EXISTS (SELECT FROM checker_divergence AS divergence WHERE divergence.finding_id = finding.id)"""
OVER = f"""
UPDATE checker_finding AS finding SET state = 'resolved', closed_at = %(now)s, last_run_id = %(run)s
WHERE {NOTHING_LEFT} AND NOT {ROTTEN} AND NOT ({LEFT_GROUP} AND {GONE})
RETURNING finding.id
"""
# Nobody who takes part holds the good copy any more, nor anything but the damage.
SPREAD = f"""
SELECT finding.id, finding.path FROM checker_finding AS finding WHERE {NOTHING_LEFT} AND {ROTTEN}
    AND NOT EXISTS (SELECT FROM checker_divergence AS divergence WHERE divergence.comparison_id = %(comparison)s
        AND left(divergence.path, 512) = left(finding.path, 512) AND divergence.path = finding.path
        AND divergence.kind = 'mismatch')
ORDER BY finding.id
"""


def spread(comparison: GroupComparison, there: Sequence[int], runs: Sequence[int]) -> list[tuple[int, str]]:
    """Open findings of damage beside which nothing else lies any more, with their paths."""
    given: dict[str, Any] = {"comparison": comparison.pk, "group": comparison.group_id}
    given |= {"there": list(there), "runs": list(runs)}
    with connection.cursor() as cursor:
        cursor.execute(SPREAD, given)
        return [(pk, path) for pk, path in cursor.fetchall()]


def renew(comparison: GroupComparison, run: Run, there: Sequence[int], runs: Sequence[int]) -> list[Finding]:
    """With `there`, who took part by `runs`, count again what open findings tell, and close those of which nothing is
    left; these come back."""
    given: dict[str, Any] = {
        "comparison": comparison.pk,
        "group": comparison.group_id,
        "run": run.pk,
        "now": timezone.now(),
    }
    with connection.cursor() as cursor:
        cursor.execute(LEFT, given)
        cursor.execute(OVER, given | {"there": list(there), "runs": list(runs)})
        closed = [pk for (pk,) in cursor.fetchall()]
    return list(Finding.objects.filter(pk__in=closed).order_by("pk"))


def row(comparison_id: int, path: str) -> DivergenceRow:
    """The divergence of one path, before it is written."""
    found = divergences.read_divergence(comparison_id, path, divergences.GATHERED_TABLE)
    assert found is not None
    return found
