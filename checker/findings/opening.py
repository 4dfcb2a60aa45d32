"""Make findings of the candidates: one for each path, or one for each of a few directories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection

from checker.findings import audit_log, candidates
from checker.findings.candidates import Branch
from checker.models import AuditEntry, Change, Comparison, Finding
from scanner.db.sql import fetch_all, load_statements

statement = load_statements(__file__)

OPEN_EACH = statement("open_each")
COUNT_PATHS = statement("count_paths")

BRANCHES = 20
"""One kind of finding of one run has no more findings than this. Damage is never folded."""

Facts = dict[str, Any]
CompleteFacts = Callable[[Comparison, Branch, Facts], Facts]
"""Adds to the facts of a finding what its kind knows beside them."""


def open_each(
    comparison: Comparison, kind: Finding.Kind, severity: Finding.Severity, usual_change: Change.Kind
) -> None:
    """Open, or renew, a finding for each candidate, and log it."""
    candidates.describe(comparison, usual_change)

    parameters: dict[str, Any] = {
        "kind": kind.value,
        "severity": severity.value,
        "run": comparison.run_id,
        "replica": comparison.replica_id,
        "group": comparison.run.replica.group_id,
    }
    with connection.cursor() as cursor:
        cursor.execute(OPEN_EACH, parameters)


def open_folded(
    comparison: Comparison,
    kind: Finding.Kind,
    severity: Finding.Severity,
    usual_change: Change.Kind,
    complete_facts: CompleteFacts,
) -> None:
    """Open, or renew, a finding for each branch of the candidates, and log it."""
    branches = candidates.fold(BRANCHES)
    paths = [branch.path for branch in branches if not branch.folded]
    facts_by_path = candidates.read_facts(comparison, usual_change, paths) if paths else {}

    facts_of: dict[Branch, Facts] = {}
    for branch in branches:
        # A branch of many paths has no versions that its finding could show.
        facts = facts_by_path.get(branch.path, shared_facts(comparison))
        facts_of[branch] = complete_facts(comparison, branch, facts)
    open_branches(comparison, kind, severity, facts_of)


def open_branches(
    comparison: Comparison, kind: Finding.Kind, severity: Finding.Severity, facts_of: Mapping[Branch, Facts]
) -> None:
    """Open, or renew, a finding with these facts for each branch of the candidates, and log it."""
    known: set[Branch] = set()
    findings: dict[Branch, Finding] = {}
    for branch, facts in facts_of.items():
        finding = _find_open(comparison, kind, branch)
        if finding is None:
            finding = _create(comparison, kind, severity, branch, facts)
        else:
            known.add(branch)
        findings[branch] = finding

    # Taken all at once: the candidates are read only one more time, however many findings there are.
    candidates.take(findings)

    for branch, finding in findings.items():
        if branch in known:
            _renew(comparison, finding, severity, facts_of[branch])
        else:
            audit_log.log_action(finding, AuditEntry.Action.OPENED, run=comparison.run)


def shared_facts(comparison: Comparison) -> Facts:
    """Return the facts of a finding that stands for many paths."""
    return {"base": comparison.base.sequence if comparison.base else None, "comparison": comparison.pk}


def _find_open(comparison: Comparison, kind: Finding.Kind, branch: Branch) -> Finding | None:
    # Locked, so that nobody accepts it between this and its renewal.
    findings = Finding.objects.select_for_update().filter(
        replica=comparison.replica_id,
        kind=kind,
        path=branch.path,
        folded=branch.folded,
        state=Finding.State.OPEN,
    )
    return findings.first()


def _create(
    comparison: Comparison, kind: Finding.Kind, severity: Finding.Severity, branch: Branch, facts: Facts
) -> Finding:
    run = comparison.run
    return Finding.objects.create(
        group=run.replica.group,
        replica=run.replica,
        kind=kind,
        severity=severity,
        path=branch.path,
        folded=branch.folded,
        number=branch.number,
        first_run=run,
        last_run=run,
        evidence=facts,
    )


def _renew(comparison: Comparison, finding: Finding, severity: Finding.Severity, facts: Facts) -> None:
    finding.last_run = comparison.run
    finding.severity = max(finding.severity, severity)
    # A path that changed again is counted once.
    finding.number = int(fetch_all(COUNT_PATHS, {"finding": finding.pk})[0][0])
    # The first facts stay: they say what the path was before the finding.
    finding.evidence = {**finding.evidence, "latest": facts}
    finding.save(update_fields=["last_run", "severity", "number", "evidence"])

    audit_log.log_action(finding, AuditEntry.Action.SEEN_AGAIN, run=comparison.run)
