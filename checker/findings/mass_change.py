"""Recognise a mass change: a run that changed or removed more than is usual for its replica."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet

from checker.findings import ransomware, rotation
from checker.findings.candidates import age_parameters
from checker.models import AuditEntry, Change, Comparison, Finding, Proof
from scanner.db.sql import fetch_all, load_statements
from scanner.format.entry_type import EntryType
from scanner.models import Group, Run

statement = load_statements(__file__)

COUNT_REMOVED_PATHS = statement("count_removed_paths")

LEARNED_FROM = 30
"""How many comparisons before this one say what is usual."""
ENOUGH_TO_LEARN = 5
"""With fewer comparisons than this nothing is usual yet."""
TIMES_USUAL = 3
"""How many times the most until now a run may change."""
DEFAULT_FILES = 100
"""Limit of files, whatever is usual."""
DEFAULT_PERMILLE = 100
"""Limit of the share, whatever is usual."""
DEFAULT_PERMILLE_WITHOUT_HISTORY = 200
"""Limit of the share while nothing is usual yet."""
LEAST_EMPTIED = 10
"""Files removed, when they are more than half of all, that hold a replica whose group sets no limits: a small replica
can lose nearly everything and stay below the limits of a large one."""
LEAST_ENCRYPTED = 20
"""Files that got one new ending and another content; fewer are somebody's work."""
COUNTED_KINDS = (
    Change.Kind.CORRUPTED,
    Change.Kind.REWRITTEN,
    Change.Kind.MODIFIED,
    Change.Kind.REVERTED,
    Change.Kind.RETYPED,
    Change.Kind.REMOVED,
)
"""Kinds of change that a mass change consists of."""


class Limits(NamedTuple):
    """The most that a run may change or remove. One that exceeds both puts its replica on hold."""

    files: int
    permille: int
    """Share of the files of the run before."""
    automatic: bool
    """Whether the group leaves one of them open."""
    learned: bool = False
    """Whether what is left open comes from the replica's own history. Otherwise it is the default."""

    def are_exceeded(self, changed: int, files: int) -> bool:
        """Return whether `changed` files, of `files` in the run before, are more than both limits."""
        return changed > self.files and changed * 1000 > self.permille * files


def check_mass_change(comparison: Comparison) -> dict[str, Any] | None:
    """Return the evidence of a mass change; None when the comparison is none, or is logged as one already."""
    if _is_logged(comparison):
        return None

    assert comparison.base is not None
    group = comparison.run.replica.group
    changed = _count_changed(comparison, group)
    limits = limits_for(comparison)
    emptied = _count_emptied(comparison)
    ending = None
    if comparison.counts.get(Change.Kind.REMOVED):
        ending = ransomware.find_new_ending(comparison, LEAST_ENCRYPTED)

    if not limits.are_exceeded(changed, comparison.base.files) and ending is None and not emptied:
        return None
    return _evidence(comparison, changed, limits, ending, emptied)


def limits_for(comparison: Comparison) -> Limits:
    """Return the group's limits; where it leaves one open, what the replica's own history makes usual.

    Where one is zero and the other left open, nothing at all may change.
    """
    group = comparison.run.replica.group
    group_limits = {group.limit_files, group.limit_share}
    if 0 in group_limits and group_limits <= {0, None}:
        return Limits(0, 0, automatic=False)

    files = DEFAULT_FILES
    permille = DEFAULT_PERMILLE
    history = _usual_comparisons(comparison)
    learned = len(history) >= ENOUGH_TO_LEARN
    if learned:
        for earlier in history:
            changed = _count_changed(earlier, group)
            files = max(files, TIMES_USUAL * changed)
            if earlier.base is not None:
                permille = max(permille, TIMES_USUAL * _permille(changed, earlier.base))
    else:
        permille = DEFAULT_PERMILLE_WITHOUT_HISTORY

    if group.limit_files is not None:
        files = group.limit_files
    if group.limit_share is not None:
        permille = group.limit_share * 10
    return Limits(files, permille, automatic=None in group_limits, learned=learned)


def _is_logged(comparison: Comparison) -> bool:
    """Return whether the run was found to be a mass change before: a comparison may be judged again."""
    return _mass_change_log(comparison).filter(run=comparison.run).exists()


def _mass_change_log(comparison: Comparison) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(
        finding__replica=comparison.replica_id, finding__kind=Finding.Kind.MASS_CHANGE, run__isnull=False
    )


def _usual_comparisons(comparison: Comparison) -> list[Comparison]:
    """Return the newest adjacent comparisons before this one, without those of mass changes.

    That a person had to release a run once does not make it usual.
    """
    before = Comparison.objects.filter(
        replica=comparison.replica_id,
        adjacent=True,
        base__isnull=False,
        state=Comparison.State.DONE,
        run__sequence__lt=comparison.run.sequence,
    )
    usual = before.exclude(run__in=_mass_change_log(comparison).values("run"))
    return list(usual.select_related("base", "run").order_by("-run__sequence")[:LEARNED_FROM])


def _count_changed(comparison: Comparison, group: Group) -> int:
    """Return how many paths changed or went, without those that were due to go."""
    counts = comparison.counts
    changed = sum(int(counts.get(kind, 0)) for kind in COUNTED_KINDS)

    kept = rotation.kept_until(group, comparison.run.finished_at)
    if kept is None or not counts.get(Change.Kind.REMOVED):
        return changed

    parameters = {"comparison": comparison.pk, "type": None, **age_parameters(kept)}
    removed_early = int(fetch_all(COUNT_REMOVED_PATHS, parameters)[0][0])
    return changed - int(counts[Change.Kind.REMOVED]) + removed_early


def _count_emptied(comparison: Comparison) -> int:
    """Return how many files were removed when they are more than half, and the group sets no limit; otherwise zero."""
    base = comparison.base
    assert base is not None
    group = comparison.run.replica.group
    if group.limit_files is not None or group.limit_share is not None:
        return 0
    if comparison.counts.get(Change.Kind.REMOVED, 0) < LEAST_EMPTIED:
        return 0

    kept = rotation.kept_until(group, comparison.run.finished_at)
    parameters = {"comparison": comparison.pk, "type": EntryType.FILE.value, **age_parameters(kept)}
    removed = int(fetch_all(COUNT_REMOVED_PATHS, parameters)[0][0])
    if removed < LEAST_EMPTIED or removed * 2 <= base.files:
        return 0
    return removed


def _permille(changed: int, base: Run) -> int:
    # A run without files has no share.
    return changed * 1000 // max(1, base.files)


def _evidence(
    comparison: Comparison, changed: int, limits: Limits, ending: ransomware.Ending | None, emptied: int
) -> dict[str, Any]:
    base = comparison.base
    assert base is not None
    facts: dict[str, Any] = {
        "changed": changed,
        "files": base.files,
        "permille": _permille(changed, base),
        "limit_files": limits.files,
        "limit_permille": limits.permille,
        "automatic": limits.automatic,
        "learned": limits.learned,
        "counts": comparison.counts,
        "ending": None,
        "renamed": 0,
        "had_ending": 0,
        "good": None,
        "good_run": None,
        "base": base.sequence,
        "comparison": comparison.pk,
        "emptied": emptied,
    }

    if ending is not None:
        facts |= {"ending": ending.name, "renamed": ending.number, "had_ending": ending.number_before}

    good_run = _find_last_good_run(comparison)
    if good_run is not None:
        facts |= {"good": good_run.sequence, "good_run": str(good_run.uuid)}
    return facts


def _find_last_good_run(comparison: Comparison) -> Run | None:
    """Return the newest complete run before this one that is proven and in which nothing was damaged.

    Damage and mass changes speak against each run from the one that found them until the one that proved that all is
    again what it was. What a person accepted or released is as it should be, and speaks against no run.
    """
    still_open = Q(state=Finding.State.OPEN)
    resolved_later = Q(state=Finding.State.RESOLVED, last_run__sequence__gt=OuterRef("run__sequence"))
    damage = Finding.objects.filter(
        still_open | resolved_later,
        replica=comparison.replica_id,
        severity=Finding.Severity.CRITICAL,
        first_run__sequence__lte=OuterRef("run__sequence"),
    )
    good = Proof.objects.filter(
        ~Exists(damage),
        ok=True,
        run__replica=comparison.replica_id,
        run__state=Run.State.INGESTED,
        run__sequence__lt=comparison.run.sequence,
    )
    newest = good.select_related("run").order_by("-run__sequence").first()
    return newest.run if newest else None
