"""Findings between replicas: opened, kept and closed by each comparison of the newest runs."""

from __future__ import annotations

from typing import Any

from checker.divergences import queries as divergences
from checker.divergences.evidence import ComparisonContext, build_evidence
from checker.divergences.queries import DivergenceRow
from checker.findings import audit_log, queries
from checker.findings.queries import Branch
from checker.findings.replicas import renewal, store
from checker.findings.replicas.queries import Pick
from checker.models import AuditEntry, Divergence, Finding, GroupComparison

LINES = 20
"""One kind is told in no more lines; a damaged copy is told file by file."""
BATCH = 500


def open_folded(comparison: GroupComparison) -> None:
    """Open findings of what diverges, is told by none and may be told together. Call before it is written."""
    context = ComparisonContext(comparison)
    store.grow(context.newest_run)
    store.part({side.position: side.replica_id for side in context.compared if side.has_vote})
    audit_log.log_actions(store.keep_own(comparison.group_id), AuditEntry.Action.SEEN_AGAIN, context.newest_run)
    for kind in (Divergence.Kind.MISMATCH, Divergence.Kind.LOST):
        if comparison.counts.get(kind):
            _open_folded(context, Pick(comparison.pk, kind, table=divergences.GATHERED_TABLE))


def update_findings(comparison: GroupComparison) -> None:
    """Open findings of damaged copies that are told by none, renew those that go on, resolve those that are over.

    Call in the transaction that keeps the divergences.
    """
    context = ComparisonContext(comparison)
    _open_damaged(context)
    _resolve(context)


def resolve_now(group_id: int) -> None:
    """Close what is over by the newest comparison of a group: a finding that was accepted may be open again since."""
    comparison = GroupComparison.objects.filter(group=group_id, moment=None, state=GroupComparison.State.DONE).first()
    if comparison is not None and (context := ComparisonContext(comparison)).participants:
        _resolve(context)


def _resolve(context: ComparisonContext) -> None:
    renewal.follow(context)
    there, runs = [side.replica_id for side in context.compared], [side.run_id for side in context.compared]
    for finding in store.renew(context.comparison, context.newest_run, there, runs):
        audit_log.log_action(finding, AuditEntry.Action.RESOLVED, run=context.newest_run)
    renewal.follow_spread(context)


def _open_damaged(context: ComparisonContext) -> None:
    """A damaged copy is never folded away: each path has a finding of its own."""
    wish = divergences.DivergenceFilter((Divergence.Kind.MISMATCH,), Divergence.PathVerdict.DAMAGED)
    after, going = "", context.comparison.counts.get(Divergence.PathVerdict.DAMAGED, 0) > 0
    while going:
        rows, after = divergences.read_page(context.comparison.pk, wish, after, BATCH)
        _open_each(context, [row for row in rows if row.finding is None and row.current])
        going = bool(after)


def _open_each(context: ComparisonContext, rows: list[DivergenceRow]) -> None:
    """A finding for each row, begun or seen again: many at once, since they come by hundreds when a disk rots."""
    lives = divergences.read_path_histories(context.compared, [row.path for row in rows])
    same: dict[str, Any] = {"group": context.comparison.group, "replica": None, "kind": Finding.Kind.MISMATCH}
    known = Finding.objects.select_for_update().filter(**same, folded=False, state=Finding.State.OPEN)
    open_ones = {one.path: one for one in known.filter(path__in=[row.path for row in rows])}
    begun: list[Finding] = []
    for row in rows:
        finding = open_ones.get(row.path) or Finding(**same, path=row.path, first_run=context.newest_run)
        renewal.say(context, finding, row, lives[row.path])
        if row.path not in open_ones:
            begun.append(finding)
    again = list(open_ones.values())
    Finding.objects.bulk_create(begun)
    Finding.objects.bulk_update(again, renewal.RENEWED)
    store.take_each(context.comparison.pk, [*begun, *again])
    audit_log.log_actions(begun, AuditEntry.Action.OPENED, context.newest_run)
    audit_log.log_actions(again, AuditEntry.Action.SEEN_AGAIN, context.newest_run)


def _open_folded(context: ComparisonContext, pick: Pick) -> None:
    for branch in queries.fold(pick, LINES):
        facts: dict[str, Any] = {"comparison": context.comparison.pk}
        if not branch.folded:
            row = store.row(context.comparison.pk, branch.path)
            facts = build_evidence(
                context, row, divergences.read_path_histories(context.compared, [row.path])[row.path]
            )
        _open(context, pick, branch, facts)


def _open(context: ComparisonContext, pick: Pick, branch: Branch, facts: dict[str, Any]) -> None:
    """The open finding of this kind and path, begun or seen again."""
    group, run = context.comparison.group, context.newest_run
    same = {"group": group, "replica": None, "kind": pick.kind.value, "path": branch.path, "folded": branch.folded}
    finding = Finding.objects.select_for_update().filter(**same, state=Finding.State.OPEN).first()
    what = AuditEntry.Action.SEEN_AGAIN
    if finding is None:
        what = AuditEntry.Action.OPENED
        finding = Finding.objects.create(
            **same, severity=Finding.Severity.WARNING, number=branch.number, first_run=run, last_run=run, evidence=facts
        )
    concerned = {*finding.concerns, *context.replica_ids(store.take(pick, finding))}
    finding.concerns, finding.last_run = sorted(concerned), run
    finding.evidence = facts | {"names": context.replica_names(concerned)}
    finding.save(update_fields=["concerns", "last_run", "evidence"])
    audit_log.log_action(finding, what, run=run)
