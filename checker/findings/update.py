"""What opens, is seen again and closes when a run was compared with the one before."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from checker.findings import audit_log, mass_change, policy, queries, store
from checker.findings.queries import Branch, Member, Pick
from checker.models import AuditEntry, Comparison, Finding, Kind
from scanner.models import Group, Run

LINES = 20
"""One kind of one run is told in no more lines; damage is told file by file."""


def update_findings(comparison: Comparison) -> None:
    """Open, renew and resolve findings by an adjacent comparison. Call in its transaction, in the order of the runs.

    What was judged before is left as it is: a change belongs to one finding, and an act tells its run.
    """
    store.mark_restored(comparison)
    store.resolve(comparison)
    _open_by_kind(comparison)
    _open_restless(comparison)
    if comparison.base is not None:
        mass_change.check_mass_change(comparison)
        _expect_new_files(comparison)


def _open_by_kind(comparison: Comparison) -> None:
    group = comparison.run.replica.group
    kept = policy.kept_until(group, comparison.run.finished_at)
    if comparison.counts.get(Kind.REVERTED):
        for pick in (queries.lapsed(comparison), queries.relapsed(comparison)):
            store.open_each(pick, Finding.Severity.CRITICAL)  # damage, though the file knew this content before
    for kind in policy.opens(group):
        if not comparison.counts.get(kind):
            continue
        if kind == Kind.CORRUPTED:
            store.open_each(Pick(comparison, kind), Finding.Severity.CRITICAL)  # damage is never folded away
        elif kind == Kind.UNREADABLE:
            store.open_each(queries.broken(comparison, medium=True), Finding.Severity.CRITICAL)
            _open_folded(queries.broken(comparison, medium=False))
        elif kind == Kind.REMOVED and kept is not None:
            _open_folded(queries.early(comparison, kept))
        else:
            _open_folded(Pick(comparison, kind))


def _open_folded(pick: Pick) -> None:
    for branch in queries.fold(pick, LINES):
        facts = _folded_facts(pick, branch) if branch.folded else _facts(pick, queries.member(pick, branch.path))
        _open(pick, branch, facts)


def _open(pick: Pick, branch: Branch, facts: dict[str, Any]) -> None:
    """The open finding of this kind and path, begun or seen again by the comparison's run."""
    run, severity = pick.comparison.run, policy.severity(pick.kind)
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
        store.take(pick, finding)
        audit_log.log_action(finding, AuditEntry.Action.OPENED, run=run)
        return
    store.take(pick, finding)
    finding.last_run, finding.severity, finding.number = (
        run,
        max(finding.severity, severity),
        store.count_paths(finding),
    )
    finding.evidence = {**finding.evidence, "latest": facts}  # the first facts stay: they hold what it was before
    finding.save(update_fields=["last_run", "severity", "number", "evidence"])
    audit_log.log_action(finding, AuditEntry.Action.SEEN_AGAIN, run=run)


def _facts(pick: Pick, member: Member) -> dict[str, Any]:
    """What the words of a path's finding are made of."""
    facts = _where(pick) | {"old": member.old, "new": member.new, "other": member.other, "notes": member.notes or {}}
    if pick.kind == Finding.Kind.RESTLESS:
        return facts | {"since": member.new["from"], "runs": policy.RESTLESS_RUNS}
    if pick.kind == Kind.REMOVED and "kept" in pick.given:
        facts["age"] = _age(pick, member)
    if member.new.get("type") == 2 and member.new.get("stage") in ("list", "stat"):
        facts["hidden"] = queries.hidden_below(pick.comparison, member.path + "/")
    return facts


def _age(pick: Pick, member: Member) -> dict[str, Any]:
    """How old what was removed was, in seconds, by its own time or since it was first seen, and the days it is kept."""
    run = pick.comparison.run
    by_time = (member.old.get("mtime_ns") or 0) >= queries.CALENDAR_NS
    if by_time:
        begun = member.old["mtime_ns"] / 10**9
    else:
        begun = run.replica.runs.get(sequence=member.old["from"]).finished_at.timestamp()
    days = run.replica.group.keep_days
    return {"seconds": round(run.finished_at.timestamp() - begun), "by_time": by_time, "kept_days": days}


def _folded_facts(pick: Pick, branch: Branch) -> dict[str, Any]:
    facts = _where(pick)
    if pick.kind == Finding.Kind.RESTLESS:
        return facts | {"since": branch.since, "runs": policy.RESTLESS_RUNS}
    if pick.kind == Kind.UNREADABLE and pick.comparison.counts.get(Kind.UNKNOWN):
        facts["hidden"] = queries.hidden_below(pick.comparison, branch.path)
    return facts


def _where(pick: Pick) -> dict[str, Any]:
    base = pick.comparison.base
    return {"base": base.sequence if base else None, "comparison": pick.comparison.pk}


def _open_restless(comparison: Comparison) -> None:
    """Looked for each run, also when nothing changed."""
    run = comparison.run
    complete = run.replica.runs.filter(state=Run.State.INGESTED, sequence__lte=run.sequence).order_by("-sequence")
    newest = list(complete.values_list("sequence", flat=True)[: policy.RESTLESS_RUNS])
    if len(newest) == policy.RESTLESS_RUNS:
        _open_folded(queries.restless(comparison, newest[-1]))


def _expect_new_files(comparison: Comparison) -> None:
    """Of rotating data a new file is expected in each interval."""
    run = comparison.run
    if run.replica.group.policy != Group.Policy.ROTATING:
        return
    missed = Finding.objects.filter(replica=run.replica, kind=Finding.Kind.NO_NEW_FILE)
    if queries.new_files(comparison):
        for finding in missed.select_for_update().filter(state=Finding.State.OPEN):
            finding.state, finding.closed_at, finding.last_run = Finding.State.RESOLVED, timezone.now(), run
            finding.save(update_fields=["state", "closed_at", "last_run"])
            audit_log.log_action(finding, AuditEntry.Action.RESOLVED, run=run)
        return
    last = mass_change.last_new_file(comparison)
    if last is None or run.finished_at <= policy.new_file_due(run.replica.group, last.finished_at):
        return
    if missed.filter(first_run__sequence__gt=last.sequence).exists():
        return  # told since, and open or accepted: what could resolve it has not come
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
    audit_log.log_action(finding, AuditEntry.Action.OPENED, run=run)
