"""Close findings when the history proves that all their paths are again what they were before."""

from __future__ import annotations

from typing import Any

from django.db import connection

from checker.changes.kinds import MEDIUM_ERRORS
from checker.findings.kinds.base import Resolution
from checker.findings.kinds.registry import values_resolved_by
from checker.models import Comparison, Finding
from scanner.db.sql import load_statements
from scanner.format.entry_type import EntryType

statement = load_statements(__file__)

COLLECT_OPEN_FINDINGS = statement("collect_open_findings")
FIND_TOUCHED_MEMBERS = statement("find_touched_members")
CONCERN_TOUCHED_FINDINGS = statement("concern_touched_findings")
CONCERN_OPEN_FINDINGS = statement("concern_open_findings")
COMPARE_MEMBERS = statement("compare_members")
MARK_RESTORED = statement("mark_restored")
CLOSE_PROVEN = statement("close_proven")
ANY_OPEN = "SELECT EXISTS (SELECT FROM open_finding)"
ANY_CONCERNED = "SELECT EXISTS (SELECT FROM concerned_finding)"


def resolve_findings(comparison: Comparison) -> None:
    """Close the open findings that a comparison touches and all paths of which are as they were before.

    The changes that make a path again what it was are marked: they are no findings of their own.
    """
    parameters = _parameters(comparison)
    with connection.cursor() as cursor:
        # Most replicas have no open finding, and most comparisons touch none.
        cursor.execute(COLLECT_OPEN_FINDINGS, parameters)
        cursor.execute(ANY_OPEN)
        if not cursor.fetchone()[0]:
            return

        cursor.execute(FIND_TOUCHED_MEMBERS, parameters)
        cursor.execute(CONCERN_TOUCHED_FINDINGS, parameters)
        cursor.execute(ANY_CONCERNED)
        if not cursor.fetchone()[0]:
            return

        cursor.execute(COMPARE_MEMBERS, parameters)
        cursor.execute(MARK_RESTORED, parameters)
        cursor.execute(CLOSE_PROVEN, parameters)


def resolve_finding(comparison: Comparison, finding: Finding) -> None:
    """Close an open finding when all its paths are at the comparison's run as they were before."""
    parameters = _parameters(comparison, finding)
    with connection.cursor() as cursor:
        cursor.execute(COLLECT_OPEN_FINDINGS, parameters)
        cursor.execute(CONCERN_OPEN_FINDINGS)
        cursor.execute(COMPARE_MEMBERS, parameters)
        cursor.execute(CLOSE_PROVEN, parameters)


def _parameters(comparison: Comparison, finding: Finding | None = None) -> dict[str, Any]:
    return {
        "comparison": comparison.pk,
        "replica": comparison.replica_id,
        "base": comparison.base.sequence if comparison.base else 0,
        "sequence": comparison.run.sequence,
        "run": comparison.run_id,
        "finding": finding.pk if finding else None,
        "file": EntryType.FILE.value,
        "error": EntryType.ERROR.value,
        "special": EntryType.SPECIAL.value,
        "resolved_when_gone": values_resolved_by(Resolution.GONE),
        "resolved_by_same_entry": values_resolved_by(Resolution.SAME_ENTRY),
        "resolved_by_same_content": values_resolved_by(Resolution.SAME_CONTENT),
        "medium_errors": list(MEDIUM_ERRORS),
        "resolved_by_reading": values_resolved_by(Resolution.READ),
    }
