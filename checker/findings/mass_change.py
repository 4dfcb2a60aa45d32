"""The mass-change breaker: a run that changes or removes more than is usual holds its replica until a person looks."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet

from checker.findings import audit_log, policy, queries, ransomware
from checker.models import AuditEntry, Comparison, Finding, Kind, Proof
from scanner.models import Group, Run

HISTORY = 30
"""Comparisons before this one that tell what is usual."""
ENOUGH = 5
"""With fewer of them nothing is usual yet."""
LEAST_FILES, LEAST_PERMILLE, YOUNG_PERMILLE = 100, 100, 200
USUAL = 3
"""So many times what was the most until now."""
EMPTIED = 10
"""Files removed, when they are more than half of all, that hold a replica whose group leaves its limits open: a small
replica can lose nearly everything and stay below what is too much for a large one."""
ENCRYPTED = 20
"""Files that got one new ending and another content: fewer are somebody's work."""


class Limits(NamedTuple):
    """What a run may change or remove before it holds its replica: more than both."""

    files: int
    permille: int
    """Of the files of the run before."""
    automatic: bool
    """Whether the group leaves one of them open."""
    learned: bool = False
    """Whether what is left open comes from the replica's own history; else it is what a young one has."""

    def passed(self, changed: int, files: int) -> bool:
        """Whether so many changed files are more than both, of so many of the run before."""
        return changed > self.files and changed * 1000 > self.permille * files


def check_mass_change(comparison: Comparison) -> None:
    """Open the finding that holds the replica, when the comparison is a mass change."""
    assert comparison.base is not None
    told = AuditEntry.objects.filter(
        finding__replica=comparison.replica_id, finding__kind=Finding.Kind.MASS_CHANGE, run=comparison.run
    )
    if told.exists():
        return
    changed, limits = _changed(comparison, comparison.run.replica.group), limits_for(comparison)
    ending = ransomware.new_ending(comparison, ENCRYPTED) if comparison.counts.get(Kind.REMOVED) else None
    emptied = _emptied(comparison)
    if not limits.passed(changed, comparison.base.files) and ending is None and not emptied:
        return
    _hold(comparison, changed, _facts(comparison, changed, limits, ending) | {"emptied": emptied})


def _emptied(comparison: Comparison) -> int:
    """How many files were removed, where they are more than half and nobody set a limit; else nought."""
    base, group = comparison.base, comparison.run.replica.group
    assert base is not None
    if (group.limit_files, group.limit_share) != (None, None) or comparison.counts.get(Kind.REMOVED, 0) < EMPTIED:
        return 0
    removed = queries.removed_files(comparison, policy.kept_until(group, comparison.run.finished_at))
    return removed if removed >= EMPTIED and removed * 2 > base.files else 0


def _facts(comparison: Comparison, changed: int, limits: Limits, ending: ransomware.Ending | None) -> dict[str, Any]:
    base = comparison.base
    assert base is not None
    good = _last_good(comparison)
    return {
        "changed": changed,
        "files": base.files,
        "permille": _permille(changed, base),
        "limit_files": limits.files,
        "limit_permille": limits.permille,
        "automatic": limits.automatic,
        "learned": limits.learned,
        "counts": comparison.counts,
        "ending": ending.name if ending else None,
        "renamed": ending.number if ending else 0,
        "had_ending": ending.had if ending else 0,
        "good": good.sequence if good else None,
        "good_run": str(good.uuid) if good else None,
        "base": base.sequence,
        "comparison": comparison.pk,
    }


def _hold(comparison: Comparison, changed: int, facts: dict[str, Any]) -> None:
    run = comparison.run
    held = Finding.objects.select_for_update().filter(
        replica=run.replica, kind=Finding.Kind.MASS_CHANGE, state=Finding.State.OPEN
    )
    finding = held.first()
    if finding is not None:
        finding.last_run = run
        finding.number = max(changed, facts["renamed"])
        finding.evidence = {**finding.evidence, "latest": facts}
        finding.save(update_fields=["last_run", "number", "evidence"])
        audit_log.log_action(finding, AuditEntry.Action.SEEN_AGAIN, run=run)
        return
    finding = Finding.objects.create(
        group=run.replica.group,
        replica=run.replica,
        kind=Finding.Kind.MASS_CHANGE,
        severity=Finding.Severity.CRITICAL,
        folded=True,
        number=max(changed, facts["renamed"]),
        first_run=run,
        last_run=run,
        evidence=facts,
    )
    audit_log.log_action(finding, AuditEntry.Action.OPENED, run=run)


def limits_for(comparison: Comparison) -> Limits:
    """The group's limits; where it leaves one open, what the replica's own history makes usual.

    Where one is nought and the other left open nothing at all may change.
    """
    group = comparison.run.replica.group
    if {group.limit_files, group.limit_share} <= {0, None} and 0 in (group.limit_files, group.limit_share):
        return Limits(0, 0, automatic=False)
    before = _before(comparison).exclude(run__in=_holding(comparison)).select_related("base", "run")[:HISTORY]
    files, permille = LEAST_FILES, LEAST_PERMILLE
    if len(before) < ENOUGH:
        permille = YOUNG_PERMILLE
    else:
        for one in before:
            changed = _changed(one, group)
            files = max(files, USUAL * changed)
            permille = max(permille, USUAL * _permille(changed, one.base) if one.base else 0)
    return Limits(
        files if group.limit_files is None else group.limit_files,
        permille if group.limit_share is None else group.limit_share * 10,
        group.limit_files is None or group.limit_share is None,
        len(before) >= ENOUGH,
    )


def last_new_file(comparison: Comparison) -> Run | None:
    """The run before this comparison's that last brought a new file; the first run when none did since."""
    brought = queries.last_new_file(comparison)
    if brought is not None:
        return Run.objects.get(pk=brought)
    first = Comparison.objects.filter(replica=comparison.replica_id, adjacent=True, base=None)
    found = first.select_related("run").first()
    return found.run if found else None


def _before(comparison: Comparison) -> QuerySet[Comparison]:
    """The adjacent comparisons before one, newest first."""
    return Comparison.objects.filter(
        replica=comparison.replica_id,
        adjacent=True,
        base__isnull=False,
        state=Comparison.State.DONE,
        run__sequence__lt=comparison.run.sequence,
    ).order_by("-run__sequence")


def _holding(comparison: Comparison) -> QuerySet[AuditEntry, Any]:
    """The runs that held the replica: what a person had to release once is not usual for that."""
    told = AuditEntry.objects.filter(finding__replica=comparison.replica_id, finding__kind=Finding.Kind.MASS_CHANGE)
    return told.exclude(run=None).values("run")


def _changed(comparison: Comparison, group: Group) -> int:
    """How many paths changed or went, without those whose time it was."""
    counts = comparison.counts
    changed = sum(int(counts.get(kind, 0)) for kind in policy.CHANGED)
    kept = policy.kept_until(group, comparison.run.finished_at)
    if kept is None or not counts.get(Kind.REMOVED):
        return changed
    return changed - int(counts[Kind.REMOVED]) + queries.removed_early(comparison, kept)


def _permille(changed: int, base: Run) -> int:
    return changed * 1000 // max(1, base.files)


def _last_good(comparison: Comparison) -> Run | None:
    """The newest complete run before this one that is proven and in which nothing was damaged; None without one.

    Damage and mass changes speak against each run from the one that found them until the one that proved that all is
    again what it was. What a person accepted or released is as it should be, and speaks against none.
    """
    damage = Finding.objects.filter(
        Q(state=Finding.State.OPEN) | Q(state=Finding.State.RESOLVED, last_run__sequence__gt=OuterRef("run__sequence")),
        replica=comparison.replica_id,
        severity=Finding.Severity.CRITICAL,
        first_run__sequence__lte=OuterRef("run__sequence"),
    )
    proven = Proof.objects.filter(
        ~Exists(damage),
        ok=True,
        run__replica=comparison.replica_id,
        run__state=Run.State.INGESTED,
        run__sequence__lt=comparison.run.sequence,
    )
    newest = proven.select_related("run").order_by("-run__sequence").first()
    return newest.run if newest else None
