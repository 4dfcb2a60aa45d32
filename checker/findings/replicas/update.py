"""Findings between replicas: opened, kept and closed by each comparison of the newest runs."""

from __future__ import annotations

from typing import Any

from checker.divergences import queries as divergences
from checker.divergences.evidence import Witness, evidence
from checker.divergences.queries import Row
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
    witness = Witness(comparison)
    store.grow(witness.run)
    store.part({side.position: side.replica for side in witness.sides if side.current})
    audit_log.log_actions(store.keep_own(comparison.group_id), AuditEntry.Action.SEEN_AGAIN, witness.run)
    for kind in (Divergence.Kind.MISMATCH, Divergence.Kind.LOST):
        if comparison.counts.get(kind):
            _open_folded(witness, Pick(comparison.pk, kind, table=divergences.GATHERED))


def update_findings(comparison: GroupComparison) -> None:
    """Open findings of damaged copies that are told by none, renew those that go on, resolve those that are over.

    Call in the transaction that keeps the divergences.
    """
    witness = Witness(comparison)
    _open_damaged(witness)
    _resolve(witness)


def resolve_now(group_id: int) -> None:
    """Close what is over by the newest comparison of a group: a finding that was accepted may be open again since."""
    comparison = GroupComparison.objects.filter(group=group_id, moment=None, state=GroupComparison.State.DONE).first()
    if comparison is not None and (witness := Witness(comparison)).seats:
        _resolve(witness)


def _resolve(witness: Witness) -> None:
    renewal.follow(witness)
    there, runs = [side.replica for side in witness.sides], [side.run for side in witness.sides]
    for finding in store.renew(witness.comparison, witness.run, there, runs):
        audit_log.log_action(finding, AuditEntry.Action.RESOLVED, run=witness.run)
    renewal.follow_spread(witness)


def _open_damaged(witness: Witness) -> None:
    """A damaged copy is never folded away: each path has a finding of its own."""
    wish = divergences.Wish((Divergence.Kind.MISMATCH,), Divergence.Verdict.DAMAGED)
    after, going = "", witness.comparison.counts.get(Divergence.Verdict.DAMAGED, 0) > 0
    while going:
        rows, after = divergences.page(witness.comparison.pk, wish, after, BATCH)
        _open_each(witness, [row for row in rows if row.finding is None and row.current])
        going = bool(after)


def _open_each(witness: Witness, rows: list[Row]) -> None:
    """A finding for each row, begun or seen again: many at once, since they come by hundreds when a disk rots."""
    lives = divergences.lives(witness.sides, [row.path for row in rows])
    same: dict[str, Any] = {"group": witness.comparison.group, "replica": None, "kind": Finding.Kind.MISMATCH}
    known = Finding.objects.select_for_update().filter(**same, folded=False, state=Finding.State.OPEN)
    open_ones = {one.path: one for one in known.filter(path__in=[row.path for row in rows])}
    begun: list[Finding] = []
    for row in rows:
        finding = open_ones.get(row.path) or Finding(**same, path=row.path, first_run=witness.run)
        renewal.say(witness, finding, row, lives[row.path])
        if row.path not in open_ones:
            begun.append(finding)
    again = list(open_ones.values())
    Finding.objects.bulk_create(begun)
    Finding.objects.bulk_update(again, renewal.RENEWED)
    store.take_each(witness.comparison.pk, [*begun, *again])
    audit_log.log_actions(begun, AuditEntry.Action.OPENED, witness.run)
    audit_log.log_actions(again, AuditEntry.Action.SEEN_AGAIN, witness.run)


def _open_folded(witness: Witness, pick: Pick) -> None:
    for branch in queries.fold(pick, LINES):
        facts: dict[str, Any] = {"comparison": witness.comparison.pk}
        if not branch.folded:
            row = store.row(witness.comparison.pk, branch.path)
            facts = evidence(witness, row, divergences.lives(witness.sides, [row.path])[row.path])
        _open(witness, pick, branch, facts)


def _open(witness: Witness, pick: Pick, branch: Branch, facts: dict[str, Any]) -> None:
    """The open finding of this kind and path, begun or seen again."""
    group, run = witness.comparison.group, witness.run
    same = {"group": group, "replica": None, "kind": pick.kind.value, "path": branch.path, "folded": branch.folded}
    finding = Finding.objects.select_for_update().filter(**same, state=Finding.State.OPEN).first()
    what = AuditEntry.Action.SEEN_AGAIN
    if finding is None:
        what = AuditEntry.Action.OPENED
        finding = Finding.objects.create(
            **same, severity=Finding.Severity.WARNING, number=branch.number, first_run=run, last_run=run, evidence=facts
        )
    concerned = {*finding.concerns, *witness.replicas(store.take(pick, finding))}
    finding.concerns, finding.last_run = sorted(concerned), run
    finding.evidence = facts | {"names": witness.names(concerned)}
    finding.save(update_fields=["concerns", "last_run", "evidence"])
    audit_log.log_action(finding, what, run=run)
