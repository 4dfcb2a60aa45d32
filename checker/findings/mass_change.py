"""Recognise a mass change: a run that changed or removed more than is usual for its replica."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from checker.findings import packing, ransomware, rotation, whole_run
from checker.findings.candidates import age_parameters
from checker.models import AuditEntry, Change, Comparison, Finding, Proof
from scanner.db.sql import fetch_all, load_statements
from scanner.format.entry_type import EntryType
from scanner.models import Group, Run

statement = load_statements(__file__)

COUNT_REMOVED_PATHS = statement("count_removed_paths")
COUNT_CHANGED_FILES = statement("count_changed_files")
CLOSE_UNDONE = statement("close_undone")

LEARNED_FROM = 30
"""How many comparisons before this one say what is usual."""
ENOUGH_TO_LEARN = 5
"""With fewer comparisons than this nothing is usual yet."""
OFTEN_ENOUGH = 3
"""How many of these comparisons must have changed as much for it to be usual. One that is far above all others says
nothing, nor does a series that climbs from night to night."""
TIMES_USUAL = 3
"""How many times the usual a run may change."""
MOST_LEARNED_PERMILLE = 500
"""No history allows a run to change more than half of the files."""
DEFAULT_FILES = 100
"""Limit of files, whatever is usual."""
DEFAULT_PERMILLE = 100
"""Limit of the share, whatever is usual."""
DEFAULT_PERMILLE_WITHOUT_HISTORY = 200
"""Limit of the share while nothing is usual yet."""
SMALLEST_REPLICA = 10
"""Where there are more files than this and the group sets no limits, a run that changes or removes more than half of
them holds: a small replica can lose nearly everything and stay below the limits of a large one."""
LEAST_ENCRYPTED = 20
"""Files that got new endings and another content; fewer are somebody's work."""
COUNTED_KINDS = (
    Change.Kind.CORRUPTED,
    Change.Kind.REWRITTEN,
    Change.Kind.MODIFIED,
    Change.Kind.REVERTED,
    Change.Kind.RETYPED,
    Change.Kind.REMOVED,
)
"""Kinds of change that a mass change consists of."""
ENDED_BY_RESTORING = (
    Finding.Kind.CORRUPTED,
    Finding.Kind.REWRITTEN,
    Finding.Kind.UNREADABLE,
    Finding.Kind.UNSTABLE,
    Finding.Kind.REMOVED,
    Finding.Kind.MODIFIED,
    Finding.Kind.REVERTED,
    Finding.Kind.RETYPED,
    Finding.Kind.ADDED,
    Finding.Kind.MOVED,
)
"""Kinds of finding of paths that were opened since a mass change, and are over when all is as before it."""


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


class Signs(NamedTuple):
    """Signs of a mass change beside the limits."""

    most: int = 0
    """How many files changed or went, when they are more than half. Otherwise zero."""
    ending: ransomware.Ending | None = None
    unknown_endings: int = 0
    """How many files got an ending that no file had before, when they are many. Otherwise zero."""

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self.most or self.ending or self.unknown_endings)


class UsualChange(NamedTuple):
    """The paths that an earlier comparison changed, and the files that there were."""

    changed: int
    files: int

    @property
    def permille(self) -> int:
        """The share that it changed."""
        return _permille(self.changed, self.files)


def check_mass_change(comparison: Comparison) -> dict[str, Any] | None:
    """Return the evidence of a mass change; None when the comparison is none, or is logged as one already."""
    if _is_logged(comparison):
        return None

    assert comparison.base is not None
    group = comparison.run.replica.group
    changed = _count_changed(comparison, group)
    history = _read_history(comparison, group)
    limits = _limits(comparison, history)
    signs = _find_signs(comparison, history)

    if not limits.are_exceeded(changed, comparison.base.files) and not signs:
        return None
    return _evidence(comparison, changed, limits, signs)


def limits_for(comparison: Comparison) -> Limits:
    """Return the group's limits; where it leaves one open, what the replica's own history makes usual.

    Where one is zero and the other left open, nothing at all may change.
    """
    return _limits(comparison, _read_history(comparison, comparison.run.replica.group))


def find_restored_run(finding: Finding, run: Run) -> Run | None:
    """Return the run from before a mass change that a later run is byte for byte equal to, or None.

    That is the last good run, or the one before the mass change.
    """
    if not run.content:
        return None

    before = Run.objects.filter(
        replica=finding.replica_id, state=Run.State.INGESTED, sequence__lt=finding.first_run.sequence
    )
    is_reference = Q(sequence=finding.evidence.get("base"))
    if finding.evidence.get("good_run"):
        is_reference |= Q(uuid=finding.evidence["good_run"])
    # The signed digests of all contents. A file that could not be read has none, so it is not equal to one that was.
    equal = before.filter(is_reference, content=bytes(run.content), errors=run.errors)
    return equal.order_by("-sequence").first()


def resolve_hold(finding: Finding, run: Run) -> bool:
    """End a hold when a run proves that the mass change was undone. Return whether it does.

    What was found since then, and is over with it, is closed, too: of a path that is gone no later run says anything.
    """
    restored = find_restored_run(finding, run)
    if restored is None:
        return False

    finding.evidence = {**finding.evidence, "restored": restored.sequence}
    finding.save(update_fields=["evidence"])
    whole_run.resolve(finding, run)

    parameters = {
        "replica": finding.replica_id,
        "since": finding.first_run.sequence,
        "sequence": run.sequence,
        "run": run.pk,
        "kinds": list(ENDED_BY_RESTORING),
        "error": EntryType.ERROR.value,
        "special": EntryType.SPECIAL.value,
    }
    with connection.cursor() as cursor:
        cursor.execute(CLOSE_UNDONE, parameters)
    return True


def _limits(comparison: Comparison, history: Sequence[UsualChange]) -> Limits:
    group = comparison.run.replica.group
    group_limits = {group.limit_files, group.limit_share}
    if 0 in group_limits and group_limits <= {0, None}:
        return Limits(0, 0, automatic=False)

    files = DEFAULT_FILES
    permille = DEFAULT_PERMILLE_WITHOUT_HISTORY
    learned = len(history) >= ENOUGH_TO_LEARN
    if learned:
        files, permille = _learned_limits(comparison, history)

    if group.limit_files is not None:
        files = group.limit_files
    if group.limit_share is not None:
        permille = group.limit_share * 10
    return Limits(files, permille, automatic=None in group_limits, learned=learned)


def _learned_limits(comparison: Comparison, history: Sequence[UsualChange]) -> tuple[int, int]:
    """Return the limits of files and of the share that a history makes."""
    files = TIMES_USUAL * _often_reached([usual.changed for usual in history])
    permille = TIMES_USUAL * _often_reached([usual.permille for usual in history])
    if not _changes_most_usually(history):
        assert comparison.base is not None
        files = min(files, comparison.base.files * MOST_LEARNED_PERMILLE // 1000)
        permille = min(permille, MOST_LEARNED_PERMILLE)
    return max(DEFAULT_FILES, files), max(DEFAULT_PERMILLE, permille)


def _often_reached(numbers: list[int]) -> int:
    """Return the largest number that was reached often enough."""
    return sorted(numbers, reverse=True)[OFTEN_ENOUGH - 1]


def _changes_most_usually(history: Sequence[UsualChange]) -> bool:
    """Return whether more than half of the earlier comparisons changed more than half of the files."""
    if len(history) < ENOUGH_TO_LEARN:
        return False
    large = [usual for usual in history if usual.changed * 2 > usual.files]
    return len(large) * 2 > len(history)


def _is_logged(comparison: Comparison) -> bool:
    """Return whether the run was found to be a mass change before: a comparison may be judged again."""
    return _mass_change_log(comparison).filter(run=comparison.run).exists()


def _mass_change_log(comparison: Comparison) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(
        finding__replica=comparison.replica_id, finding__kind=Finding.Kind.MASS_CHANGE, run__isnull=False
    )


def _read_history(comparison: Comparison, group: Group) -> list[UsualChange]:
    """Return how much the newest adjacent comparisons before this one changed, without those of mass changes.

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
    newest = usual.select_related("base", "run").order_by("-run__sequence")[:LEARNED_FROM]

    history = []
    for earlier in newest:
        assert earlier.base is not None
        history.append(UsualChange(_count_changed(earlier, group), earlier.base.files))
    return history


def _count_changed(comparison: Comparison, group: Group) -> int:
    """Return how many paths changed or went, without those that were due to go and what grew out of what was there."""
    counts = comparison.counts
    changed = sum(int(counts.get(kind, 0)) for kind in COUNTED_KINDS)
    if not changed:
        return 0

    changed -= _count_harmless(comparison, group)
    kept = rotation.kept_until(group, comparison.run.ended_at)
    if kept is None or not counts.get(Change.Kind.REMOVED):
        return changed

    parameters = {"comparison": comparison.pk, "type": None, **age_parameters(kept)}
    removed_early = int(fetch_all(COUNT_REMOVED_PATHS, parameters)[0][0])
    return changed - int(counts[Change.Kind.REMOVED]) + removed_early


def _count_harmless(comparison: Comparison, group: Group) -> int:
    """Return how many files were packed, or, in a rotating group, appended to."""
    kept = rotation.kept_until(group, comparison.run.ended_at)
    packed = packing.find_packed(comparison, kept).values()
    # Those that were due to go are not counted anyway.
    harmless = sum(files.number_early for files in packed)
    if group.policy == Group.Policy.ROTATING:
        harmless += packing.count_grown(comparison)
    return harmless


def _find_signs(comparison: Comparison, history: Sequence[UsualChange]) -> Signs:
    most = _count_most(comparison)
    # What changes nearly whole every night does so again.
    if most and (_changes_most_usually(history) or _is_released_often(comparison)):
        most = 0
    # Each renamed file is removed under one name and added under another. Most comparisons are spared the queries.
    counts = comparison.counts
    if min(counts.get(Change.Kind.REMOVED, 0), counts.get(Change.Kind.ADDED, 0)) < LEAST_ENCRYPTED:
        return Signs(most)

    packed = {ending: files.number for ending, files in packing.find_packed(comparison, None).items()}
    endings = ransomware.find_new_endings(comparison, LEAST_ENCRYPTED, packed)
    unknown_endings = endings.number_unknown
    # One ending that all of them got says more.
    if unknown_endings < LEAST_ENCRYPTED or (endings.common is not None and endings.common.number >= unknown_endings):
        unknown_endings = 0
    return Signs(most, endings.common, unknown_endings)


def _is_released_often(comparison: Comparison) -> bool:
    """Return whether people said often enough of late that a change of more than half was meant."""
    released = Finding.objects.filter(
        replica=comparison.replica_id,
        kind=Finding.Kind.MASS_CHANGE,
        state=Finding.State.ACCEPTED,
        evidence__most__gt=0,
        first_run__sequence__gte=comparison.run.sequence - LEARNED_FROM,
    )
    return released.count() >= OFTEN_ENOUGH


def _count_most(comparison: Comparison) -> int:
    """Return how many files changed or went when they are more than half, and the group sets no limit; else zero."""
    base = comparison.base
    assert base is not None
    group = comparison.run.replica.group
    if group.limit_files is not None or group.limit_share is not None or base.files <= SMALLEST_REPLICA:
        return 0

    # What is counted with each comparison spares two queries nearly always.
    counted = sum(int(comparison.counts.get(kind, 0)) for kind in COUNTED_KINDS)
    if counted * 2 <= base.files:
        return 0

    kept = rotation.kept_until(group, comparison.run.ended_at)
    parameters = {"comparison": comparison.pk, "type": EntryType.FILE.value, **age_parameters(kept)}
    removed = int(fetch_all(COUNT_REMOVED_PATHS, parameters)[0][0])
    # What was damaged has findings of its own, one for each file: nobody changed it.
    not_counted = (Change.Kind.REMOVED, Change.Kind.CORRUPTED)
    kinds = [kind.value for kind in COUNTED_KINDS if kind not in not_counted]
    parameters = {"comparison": comparison.pk, "kinds": kinds, "file": EntryType.FILE.value}
    changed = int(fetch_all(COUNT_CHANGED_FILES, parameters)[0][0])

    most = removed + changed - _count_harmless(comparison, group)
    if most * 2 <= base.files:
        return 0
    return most


def _permille(changed: int, files: int) -> int:
    # A run without files has no share.
    return changed * 1000 // max(1, files)


def _evidence(comparison: Comparison, changed: int, limits: Limits, signs: Signs) -> dict[str, Any]:
    base = comparison.base
    assert base is not None
    facts: dict[str, Any] = {
        "changed": changed,
        "files": base.files,
        "permille": _permille(changed, base.files),
        "limit_files": limits.files,
        "limit_permille": limits.permille,
        "automatic": limits.automatic,
        "learned": limits.learned,
        "counts": comparison.counts,
        "ending": None,
        "renamed": signs.unknown_endings,
        "unknown_endings": bool(signs.unknown_endings),
        "had_ending": 0,
        "good": None,
        "good_run": None,
        "base": base.sequence,
        "comparison": comparison.pk,
        "most": signs.most,
    }

    ending = signs.ending
    if ending is not None and not signs.unknown_endings:
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
