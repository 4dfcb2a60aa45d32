"""Store what a comparison of replicas found: its divergences, and how many there are below each directory.

`gather_divergences` puts everything together in a temporary table, findings are given to it there, and then
`write_divergences` stores it: a million rows cost too much to be written twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import connection

from checker.divergences.attribution import PreviousComparison
from checker.divergences.compare import ComparedReplica
from checker.divergences.judgement import PathJudgement
from checker.divergences.statements import ENTRY_TYPES, statement
from checker.models import Branch

BATCH = 4096
"""Verdicts that are written at a time."""

DROP_JUDGED = "DROP TABLE IF EXISTS diverging_judged"
CREATE_JUDGED = """
CREATE TEMPORARY TABLE diverging_judged (
    path text COLLATE "C", verdict text COLLATE "C", judged text, grounds text, undamaged text, is_suspicious boolean
)
"""
DROP_KEPT = "DROP TABLE IF EXISTS diverging_kept"
HAS_DIVERGENCES = "SELECT EXISTS (SELECT FROM checker_divergence WHERE comparison_id = %(comparison)s)"
DELETE_DIVERGENCES = "DELETE FROM checker_divergence WHERE comparison_id = %(comparison)s"
DELETE_BRANCHES = "DELETE FROM checker_divergencebranch WHERE comparison_id = %(comparison)s"
COUNTS = "SELECT kind, verdict, sum(coalesce(number, 1)) FROM diverging_kept GROUP BY kind, verdict"
PATTERNS = "SELECT cells, judged, sum(coalesce(number, 1)) FROM diverging_kept GROUP BY cells, judged"

WRONG = """
count(*) FILTER (
    WHERE substr(cells, {position}, 1) IN ('-', '?', '!', '>') OR substr(judged, {position}, 1) IN ('d', 'o', 'u')
) AS wrong{position}
"""
MISSING = "CASE substr(cells, {position}, 1) WHEN '-' THEN directory.number ELSE 0 END"


def store_verdicts(judgements: Iterable[PathJudgement]) -> None:
    """Take up the verdicts. Of what may lag only damage, and what may be damage, counts."""
    with connection.cursor() as cursor:
        cursor.execute(DROP_JUDGED)
        cursor.execute(CREATE_JUDGED)
        remaining = iter(judgements)
        while batch := list(islice(remaining, BATCH)):
            parameters: dict[str, Any] = {
                "paths": [judgement.path for judgement in batch],
                "verdicts": [judgement.verdict for judgement in batch],
                "judged": [judgement.judged for judgement in batch],
                "grounds": [judgement.grounds for judgement in batch],
                "undamaged": [judgement.undamaged for judgement in batch],
                "is_suspicious": [judgement.is_suspicious for judgement in batch],
            }
            cursor.execute(statement("keep_verdicts"), parameters)

        cursor.execute(statement("unsettle_suspicious"))
        cursor.execute(statement("forget_settled_verdicts"))


def remember_damage(group_id: int, replicas: Sequence[ComparedReplica], now: datetime) -> None:
    """Store which contents the verdicts call damaged, and why, so that later comparisons know it."""
    parameters: dict[str, Any] = ENTRY_TYPES | {
        "group": group_id,
        "positions": [replica.position for replica in replicas],
        "replicas": [replica.replica_id for replica in replicas],
        "runs": [replica.run_id for replica in replicas],
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement("remember_damage"), parameters)


def gather_divergences(
    previous: PreviousComparison,
    replicas: Sequence[ComparedReplica],
    primary: ComparedReplica | None,
    now: datetime,
) -> dict[str, int]:
    """Fill `diverging_kept` with what is to be stored, and count it below each directory.

    Return how many paths there are of each kind, and with each verdict.
    """
    parameters: dict[str, Any] = ENTRY_TYPES | {
        "comparison": previous.comparison_id,
        "primary_position": primary.position if primary else 0,
        "missing_on_voter": ["_" * (replica.position - 1) + "-%" for replica in replicas if replica.has_vote],
        "now": now,
        "deepest": Branch.DEPTH,
    }

    with connection.cursor() as cursor:
        cursor.execute(DROP_KEPT)
        cursor.execute(statement("gather_divergences"), parameters)

        # Most comparisons have no missing directories, and spare themselves the index that this statement makes.
        if _is_true(cursor, statement("has_missing_directories"), parameters):
            keep_findings = statement(
                "keep_findings_of_split",
                holding=previous.new_holders("candidate", replicas),
                held=previous.old_holders("old", replicas),
            )
            cursor.execute(keep_findings, parameters)

        cursor.execute(statement("find_grown"), parameters)
        cursor.execute(DELETE_BRANCHES, parameters)
        cursor.execute(_count_branches([replica.position for replica in replicas]), parameters)
        return _count_paths(cursor)


def write_divergences(comparison_id: int) -> None:
    """Store what was gathered instead of what was stored before."""
    with connection.cursor() as cursor:
        # A first comparison, which may bring a million rows, looks none of them up.
        has_divergences = _is_true(cursor, HAS_DIVERGENCES, {"comparison": comparison_id})

        parameters = {"comparison": comparison_id, "nothing_stored": not has_divergences}
        if has_divergences:
            cursor.execute(statement("delete_ended"), parameters)
            cursor.execute(statement("update_changed"), parameters)
        cursor.execute(statement("insert_new"), parameters)


def count_cells() -> dict[int, Counter[str]]:
    """Return, for each position, how many gathered paths have each character of `cells` and of `judged` there."""
    counts: dict[int, Counter[str]] = {}

    with connection.cursor() as cursor:
        cursor.execute(PATTERNS)
        for cells, judged, number in cursor.fetchall():
            for position, cell in enumerate(cells, 1):
                counter = counts.setdefault(position, Counter())
                counter[cell] += int(number)

                # A slice and no index: paths that were not judged have no verdicts at all.
                verdict = judged[position - 1 : position].strip()
                if verdict:
                    counter[verdict] += int(number)
    return counts


def delete_divergences(comparison_id: int) -> None:
    """Delete all that is stored of a comparison."""
    with connection.cursor() as cursor:
        cursor.execute(DELETE_DIVERGENCES, {"comparison": comparison_id})
        cursor.execute(DELETE_BRANCHES, {"comparison": comparison_id})


def _count_branches(positions: Sequence[int]) -> str:
    """Return `count_branches` with a column for each position."""
    return statement(
        "count_branches",
        wrong=", ".join(WRONG.format(position=position) for position in positions),
        missing=", ".join(MISSING.format(position=position) for position in positions),
        sums=", ".join(f"sum(wrong{position})" for position in positions),
    )


def _is_true(cursor: Any, question: str, parameters: dict[str, Any]) -> bool:
    cursor.execute(question, parameters)
    return bool(cursor.fetchone()[0])


def _count_paths(cursor: Any) -> dict[str, int]:
    """Return how many gathered paths there are of each kind, and with each verdict."""
    counts: Counter[str] = Counter()
    cursor.execute(COUNTS)
    for kind, verdict, number in cursor.fetchall():
        counts[kind] += int(number)
        if verdict:
            counts[verdict] += int(number)
    return dict(counts)
