"""What opens, is seen again and closes when a run was compared with the one before."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from checker.findings import breaker, policy, queries, trail
from checker.findings.queries import Branch, Member, Pick
from checker.models import Act, Comparison, Finding, Kind
from scanner.models import Group

LINES = 10
"""One kind of one run is told in no more lines; damage is told file by file."""


def judge(comparison: Comparison) -> None:
    """Open, renew and resolve findings by an adjacent comparison. Call in its transaction, in the order of the runs."""
    queries.mark_restored(comparison)
    _resolve(comparison)
    _open_by_kind(comparison)
    _open_restless(comparison)
    if comparison.base is not None:
        breaker.look(comparison)
        _expect_new_files(comparison)


def _resolve(comparison: Comparison) -> None:
    proven = queries.proven_right(comparison)
    for finding in Finding.objects.select_for_update().filter(pk__in=proven, state=Finding.State.OPEN):
        resolve(finding, comparison)


def resolve(finding: Finding, comparison: Comparison) -> None:
    """Close a finding by the proof of a run."""
    finding.state, finding.closed_at, finding.last_run = Finding.State.RESOLVED, timezone.now(), comparison.run
    finding.save(update_fields=["state", "closed_at", "last_run"])
    trail.note(finding, Act.What.RESOLVED, run=comparison.run)


def _open_by_kind(comparison: Comparison) -> None:
    group = comparison.run.replica.group
    kept = policy.kept_until(group, comparison.run.finished_at)
    for kind in policy.opens(group):
        if not comparison.counts.get(kind):
            continue
        if kind == Kind.CORRUPTED:
            _open_each(Pick(comparison, kind))
        elif kind == Kind.UNREADABLE:
            _open_each(queries.broken(comparison, medium=True))
            _open_folded(queries.broken(comparison, medium=False))
        elif kind == Kind.REMOVED and kept is not None:
            _open_folded(queries.early(comparison, kept))
        else:
            _open_folded(Pick(comparison, kind))


def _open_each(pick: Pick) -> None:
    """A finding for each path: damage is never folded away."""
    while members := queries.members(pick):
        for one in members:
            finding = _open(pick, Branch(one.path, False, 1), Finding.Severity.CRITICAL, _facts(pick, one))
            queries.take(pick, finding)


def _open_folded(pick: Pick) -> None:
    for branch in queries.fold(pick, LINES):
        facts = {} if branch.folded else _facts(pick, queries.member(pick, branch.path))
        finding = _open(pick, branch, policy.severity(pick.kind), facts)
        queries.take(pick, finding)


def _facts(pick: Pick, member: Member) -> dict[str, Any]:
    """What the words of a path's finding are made of."""
    facts: dict[str, Any] = {"old": member.old, "new": member.new, "other": member.other, "notes": member.notes or {}}
    if member.new.get("type") == 2 and member.new.get("stage") in ("list", "stat"):
        facts["hidden"] = queries.hidden_below(pick.comparison, member.path)
    return facts


def _open(pick: Pick, branch: Branch, severity: Finding.Severity, facts: dict[str, Any]) -> Finding:
    """The open finding of this kind and path, begun or seen again by the comparison's run."""
    run, base = pick.comparison.run, pick.comparison.base
    facts = {**facts, "base": base.sequence if base else None, "comparison": pick.comparison.pk}
    same = {"replica": run.replica, "kind": pick.kind.value, "path": branch.path, "folded": branch.folded}
    finding = Finding.objects.select_for_update().filter(**same, state=Finding.State.OPEN).first()
    if finding is None:
        finding = Finding.objects.create(
            **same,
            group=run.replica.group,
            severity=severity,
            number=branch.number,
            first_run=run,
            last_run=run,
            evidence=facts,
        )
        trail.note(finding, Act.What.OPENED, run=run)
        return finding
    finding.last_run, finding.severity = run, max(finding.severity, severity)
    finding.number += branch.number if branch.folded else 0
    finding.evidence = {**finding.evidence, "latest": facts}
    finding.save(update_fields=["last_run", "severity", "number", "evidence"])
    trail.note(finding, Act.What.SEEN_AGAIN, run=run)
    return finding


def _open_restless(comparison: Comparison) -> None:
    run = comparison.run
    for path, first, change in queries.restless(comparison, policy.RESTLESS_RUNS):
        finding = Finding.objects.create(
            group=run.replica.group,
            replica=run.replica,
            kind=Finding.Kind.RESTLESS,
            severity=Finding.Severity.WARNING,
            path=path,
            first_run=run.replica.runs.get(sequence=first),
            last_run=run,
            evidence={"since": first, "runs": policy.RESTLESS_RUNS},
        )
        trail.note(finding, Act.What.OPENED, run=run)
        queries.take_change(change, finding)


def _expect_new_files(comparison: Comparison) -> None:
    """Of rotating data a new file is expected in each interval."""
    run = comparison.run
    if run.replica.group.policy != Group.Policy.ROTATING:
        return
    missed = Finding.objects.filter(replica=run.replica, kind=Finding.Kind.NO_NEW_FILE, state=Finding.State.OPEN)
    if comparison.counts.get(Kind.ADDED):
        for finding in missed.select_for_update():
            resolve(finding, comparison)
        return
    last = breaker.last_new_file(comparison)
    if last is None or missed.exists() or run.finished_at <= policy.new_file_due(run.replica.group, last.finished_at):
        return
    finding = Finding.objects.create(
        group=run.replica.group,
        replica=run.replica,
        kind=Finding.Kind.NO_NEW_FILE,
        severity=Finding.Severity.WARNING,
        folded=True,
        number=0,
        first_run=run,
        last_run=run,
        evidence={"last": last.sequence, "last_at": last.finished_at.isoformat()},
    )
    trail.note(finding, Act.What.OPENED, run=run)
