"""Open, renew and close findings between replicas by each comparison of the newest runs of a group."""

from __future__ import annotations

from typing import Any

from checker.divergences import queries as divergences
from checker.divergences.evidence import ComparisonContext, build_evidence
from checker.divergences.queries import DivergenceRow
from checker.findings import audit_log, candidates
from checker.findings.candidates import Branch
from checker.findings.kinds.base import ReplicasFindingKind
from checker.findings.kinds.mismatch import MISMATCH
from checker.findings.kinds.registry import REPLICAS_KINDS
from checker.findings.opening import BRANCHES
from checker.findings.replicas import renewal, store
from checker.models import AuditEntry, Divergence, Finding, GroupComparison

BATCH = 500
"""Damaged paths that become findings at once."""


def open_folded(comparison: GroupComparison) -> None:
    """Open and renew the findings of divergences that may be folded.

    Call it when the divergences are gathered and not yet written: a million rows are expensive to write twice.
    """
    context = ComparisonContext(comparison)
    store.touch_grown_findings(context.newest_run)
    store.detach_newly_concerned(
        {replica.position: replica.replica_id for replica in context.compared if replica.has_vote}
    )
    attached = store.attach_former_damage(comparison.group_id)
    audit_log.log_actions(attached, AuditEntry.Action.SEEN_AGAIN, context.newest_run)

    for kind in REPLICAS_KINDS:
        if comparison.counts.get(kind.divergence) and store.select_divergences(comparison.pk, kind.divergence):
            _open_branches(context, kind)


def update_findings(comparison: GroupComparison) -> None:
    """Open findings of damaged copies, renew those that go on, and close those that are over.

    Call it in the transaction that wrote the divergences.
    """
    context = ComparisonContext(comparison)
    _open_damaged(context)
    _renew_and_close(context)


def resolve_now(group_id: int) -> None:
    """Close what is over by the newest comparison of a group: a finding that was accepted may be open again since."""
    comparisons = GroupComparison.objects.filter(group=group_id, moment=None, state=GroupComparison.State.DONE)
    comparison = comparisons.first()
    if comparison is None:
        return

    context = ComparisonContext(comparison)
    if context.participants:
        _renew_and_close(context)


def _renew_and_close(context: ComparisonContext) -> None:
    # Renewed before anything is closed: what a finding says decides whether a proof closes it.
    renewal.renew_outdated(context)
    unproven = renewal.renew_spread_damage(context)
    closed = store.recount_and_close(context, unproven)
    store.link_findings(context.comparison.group_id)
    for finding in [*closed, *store.close_linked(closed, context.newest_run)]:
        audit_log.log_action(finding, AuditEntry.Action.RESOLVED, run=context.newest_run)


def _open_damaged(context: ComparisonContext) -> None:
    """Open a finding for each path with a damaged copy: damage is never folded."""
    if not context.comparison.counts.get(Divergence.PathVerdict.DAMAGED):
        return

    damaged = divergences.DivergenceFilter(kinds=(Divergence.Kind.MISMATCH,), verdict=Divergence.PathVerdict.DAMAGED)
    after = ""
    while True:
        page = divergences.read_page(context.comparison.pk, damaged, after, BATCH)
        _open_each(context, [row for row in page.rows if row.finding is None and row.current])
        if not page.after:
            return
        after = page.after


def _open_each(context: ComparisonContext, rows: list[DivergenceRow]) -> None:
    """Open a finding for each divergence, or renew the one that is open for its path."""
    paths = [row.path for row in rows]
    histories = divergences.read_path_histories(context.compared, paths, context.comparison.moment)
    identity: dict[str, Any] = {"group": context.comparison.group, "replica": None, "kind": MISMATCH.value}
    # Locked, so that nobody accepts a finding between this and its renewal.
    open_findings = Finding.objects.select_for_update().filter(
        **identity, folded=False, state=Finding.State.OPEN, path__in=paths
    )
    known = {finding.path: finding for finding in open_findings}

    opened: list[Finding] = []
    for row in rows:
        finding = known.get(row.path)
        if finding is None:
            finding = Finding(**identity, path=row.path, first_run=context.newest_run)
            opened.append(finding)
        renewal.renew(context, finding, row, histories[row.path])

    renewed = list(known.values())
    Finding.objects.bulk_create(opened)
    Finding.objects.bulk_update(renewed, renewal.RENEWED_FIELDS)
    store.take_each(context.comparison.pk, [*opened, *renewed])

    audit_log.log_actions(opened, AuditEntry.Action.OPENED, context.newest_run)
    audit_log.log_actions(renewed, AuditEntry.Action.SEEN_AGAIN, context.newest_run)


def _open_branches(context: ComparisonContext, kind: ReplicasFindingKind) -> None:
    """Open, or renew, a finding for each branch of the selected divergences."""
    actions: dict[Branch, AuditEntry.Action] = {}
    facts: dict[Branch, dict[str, Any]] = {}
    findings: dict[Branch, Finding] = {}
    for branch in candidates.fold(BRANCHES):
        facts[branch] = _build_facts(context, branch)
        finding = _find_open(context, kind, branch)
        actions[branch] = AuditEntry.Action.SEEN_AGAIN
        if finding is None:
            finding = _create(context, kind, branch, facts[branch])
            actions[branch] = AuditEntry.Action.OPENED
        findings[branch] = finding

    positions = store.take_divergences(context.comparison.pk, kind.divergence, findings)

    for branch, finding in findings.items():
        concerned = {*finding.concerns, *context.replica_ids(positions.get(finding.pk, []))}
        finding.concerns = sorted(concerned)
        finding.last_run = context.newest_run
        was_damage = bool(finding.evidence.get("was_damage"))
        finding.evidence = facts[branch] | {"names": context.replica_names(concerned), "was_damage": was_damage}
        finding.save(update_fields=["concerns", "last_run", "evidence"])
        audit_log.log_action(finding, actions[branch], run=context.newest_run)


def _build_facts(context: ComparisonContext, branch: Branch) -> dict[str, Any]:
    if branch.folded:
        return {"comparison": context.comparison.pk}

    divergence = store.read_gathered(context.comparison.pk, branch.path)
    histories = divergences.read_path_histories(context.compared, [branch.path], context.comparison.moment)
    return build_evidence(context, divergence, histories[branch.path])


def _find_open(context: ComparisonContext, kind: ReplicasFindingKind, branch: Branch) -> Finding | None:
    # Locked, so that nobody accepts it between this and its renewal.
    findings = Finding.objects.select_for_update().filter(
        group=context.comparison.group_id,
        replica=None,
        kind=kind.value,
        path=branch.path,
        folded=branch.folded,
        state=Finding.State.OPEN,
    )
    return findings.first()


def _create(context: ComparisonContext, kind: ReplicasFindingKind, branch: Branch, facts: dict[str, Any]) -> Finding:
    return Finding.objects.create(
        group=context.comparison.group,
        replica=None,
        kind=kind.value,
        severity=kind.severity,
        path=branch.path,
        folded=branch.folded,
        number=branch.number,
        first_run=context.newest_run,
        last_run=context.newest_run,
        evidence=facts,
    )
