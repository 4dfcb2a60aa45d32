"""Comparisons as work: each ingested run with the one before, in order; any other pair when somebody asks for it."""

from __future__ import annotations

import time
from datetime import timedelta

from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone
from django_q.tasks import async_task

from checker.changes import compare, store
from checker.findings import update
from checker.models import Comparison
from scanner import scopes
from scanner.db import attempts
from scanner.db.errors import translate_database_errors
from scanner.db.locks import LockClass, advisory_lock
from scanner.format.envelope import open_envelope
from scanner.format.errors import ExcludeError, ReportError
from scanner.format.excludes import Excludes, parse_excludes
from scanner.format.statement import read_statement
from scanner.models import Run
from scanner.tasks import WITHOUT_RESULT

STEPS = compare.STEPS
STATES = attempts.WorkStates(queued=Comparison.State.WAITING, set_aside=Comparison.State.SET_ASIDE)
IMMEDIATE_VERSIONS = 20_000
"""Versions begun and ended between two runs: when they are fewer, a page waits for the comparison."""
UNUSED_AFTER = timedelta(days=30)


def catch_up(replica_id: int) -> int:
    """Make the adjacent comparisons that a replica lacks, oldest first; how many. Another worker at it: none."""
    done = 0
    while True:
        with advisory_lock(LockClass.RUN_COMPARISON, replica_id) as mine:
            if not mine:
                return done
            while _next(replica_id):
                done += 1
        if not _lacking(replica_id).exists():  # what came after the last look found the lock taken
            return done


def replicas_to_compare() -> list[int]:
    """Replicas with runs that nobody has compared yet."""
    compared = Comparison.objects.filter(adjacent=True).exclude(state=Comparison.State.WAITING)
    runs = Run.objects.filter(state=Run.State.INGESTED).exclude(comparisons__in=compared)
    return list(runs.order_by("replica").values_list("replica", flat=True).distinct())


def get_or_request(base: Run, run: Run) -> Comparison:
    """The comparison of two complete runs of a replica, whichever is named first.

    Done at once when little lies between them; else WAITING, and a task does it. LookupError, in words, for runs that
    cannot be compared.
    """
    base, run = sorted((base, run), key=lambda one: one.sequence)
    _check(base, run)
    comparison = Comparison.objects.filter(base=base, run=run).select_related("base", "run__replica").first()
    if comparison is None:
        adjacent = _before(run) == base
        comparison, _new = Comparison.objects.get_or_create(
            base=base, run=run, defaults={"replica_id": run.replica_id, "adjacent": adjacent}
        )
    Comparison.objects.filter(pk=comparison.pk).update(asked_at=timezone.now())
    if comparison.state != Comparison.State.WAITING:
        return comparison
    if _size(base, run) < IMMEDIATE_VERSIONS:
        compute(comparison.pk)
        comparison.refresh_from_db()
    else:
        async_task("checker.tasks.compare", comparison.pk, q_options=WITHOUT_RESULT)
    return comparison


def retry_set_aside(base: Run, run: Run) -> None:
    """Have the comparison of two runs wait again that was set aside, and the adjacent ones before it that were.

    LookupError, in words, when a worker is at it, and where later changes were judged meanwhile: the findings would be
    told out of order, and what is right again by now would open.
    """
    base, run = sorted((base, run), key=lambda one: one.sequence)
    _check(base, run)
    with advisory_lock(LockClass.RUN_COMPARISON, run.replica_id) as mine:
        if not mine:
            raise LookupError("another process compares runs of this replica: try again in a minute")
        of_replica = Comparison.objects.filter(replica=run.replica_id)
        judged = of_replica.filter(adjacent=True, state=Comparison.State.DONE).exclude(counts={})
        last = judged.aggregate(last=Max("run__sequence"))["last"] or 0
        aside = of_replica.filter(state=Comparison.State.SET_ASIDE)
        if run.sequence < last and aside.filter(base=base, run=run, adjacent=True).exists():
            raise LookupError(f"it is too late: the changes of run {last} were judged meanwhile")
        asked, before = Q(base=base, run=run), Q(run__sequence__gt=last, run__sequence__lte=run.sequence)
        aside.filter(asked | before & Q(adjacent=True)).update(
            state=Comparison.State.WAITING, attempts=0, reason="", step="", steps_done=0
        )


def requested_comparisons() -> list[int]:
    """Comparisons that somebody asked for and that are still to be made."""
    found = Comparison.objects.filter(state=Comparison.State.WAITING, adjacent=False).order_by("asked_at")
    return list(found.values_list("pk", flat=True))


def compute(comparison_id: int) -> None:
    """Do the work of one waiting comparison; an adjacent one has its turn after those before it."""
    comparison = Comparison.objects.select_related("base", "run").get(pk=comparison_id)
    if comparison.adjacent:
        catch_up(comparison.replica_id)
        return
    with advisory_lock(LockClass.RUN_COMPARISON, comparison.replica_id) as mine:
        if mine and comparison.state == Comparison.State.WAITING:
            _try(comparison)


def find_adjacent(run: Run) -> Comparison | None:
    """The comparison of a run with the complete run before it; None until it is begun."""
    found = Comparison.objects.filter(run=run, adjacent=True).select_related("base", "run__replica")
    return found.first()


def skipped_runs(comparison: Comparison) -> QuerySet[Run]:
    """The runs between the two that have no state: failed, refused or set aside."""
    after = comparison.base.sequence if comparison.base else 0
    between = Run.objects.filter(replica=comparison.replica_id, sequence__gt=after)
    return (
        between.filter(sequence__lt=comparison.run.sequence)
        .exclude(state=Run.State.INGESTED)
        .defer("envelope")
        .order_by("sequence")
    )


def delete_unused() -> int:
    """Delete what was compared on demand and not looked at for long; how many."""
    old = Comparison.objects.filter(adjacent=False, asked_at__lt=timezone.now() - UNUSED_AFTER)
    done = 0
    for comparison in old[:100]:
        with transaction.atomic():
            store.delete_changes(comparison)
            comparison.delete()
        done += 1
    return done


def _check(base: Run, run: Run) -> None:
    if base.replica_id != run.replica_id:
        raise LookupError("the runs are of different replicas")
    if base.pk == run.pk:
        raise LookupError("a run is not compared with itself")
    for one in (base, run):
        if one.state != Run.State.INGESTED:
            raise LookupError(f"run {one.sequence} is not complete: {one.get_state_display()}")


def _size(base: Run, run: Run) -> int:
    between = Run.objects.filter(replica=run.replica_id, sequence__gt=base.sequence, sequence__lte=run.sequence)
    return sum((opened or 0) + (closed or 0) for opened, closed in between.values_list("opened", "closed"))


def _lacking(replica_id: int) -> QuerySet[Run]:
    compared = Comparison.objects.filter(replica=replica_id, adjacent=True).exclude(state=Comparison.State.WAITING)
    complete = Run.objects.filter(replica=replica_id, state=Run.State.INGESTED)
    return complete.exclude(comparisons__in=compared).order_by("sequence")


def _before(run: Run) -> Run | None:
    complete = Run.objects.filter(replica=run.replica_id, state=Run.State.INGESTED, sequence__lt=run.sequence)
    return complete.order_by("-sequence").first()


def _next(replica_id: int) -> bool:
    run = _lacking(replica_id).first()
    if run is None:
        return False
    with translate_database_errors():
        comparison, _new = Comparison.objects.select_related("base", "run").get_or_create(
            run=run, adjacent=True, defaults={"replica_id": replica_id, "base": _before(run)}
        )
    _try(comparison)
    return True


def _try(comparison: Comparison) -> None:
    """Make one attempt at the comparison."""
    attempts.attempt(comparison, STATES, f"comparison of run {comparison.run.uuid}", lambda: _make(comparison))


def _make(comparison: Comparison) -> None:
    begun = time.monotonic_ns()
    compare.find_changes(comparison, lambda: _scopes(comparison), lambda step: _tell(comparison, step))
    _tell(comparison, STEPS[-1])
    with transaction.atomic():
        comparison.counts = store.write_changes(comparison)
        if comparison.adjacent:
            update.update_findings(comparison)
        comparison.state, comparison.reason, comparison.step = Comparison.State.DONE, "", ""
        comparison.steps_done, comparison.computed_at = len(STEPS), timezone.now()
        comparison.duration_ns = time.monotonic_ns() - begun
        comparison.save()
    compare.drop_tables()


def _tell(comparison: Comparison, step: str) -> None:
    Comparison.objects.filter(pk=comparison.pk).update(step=step, steps_done=STEPS.index(step))


def _scopes(comparison: Comparison) -> tuple[Excludes, Excludes] | None:
    """What was excluded then and is now, where that differs and is known."""
    if comparison.base is None:
        return None
    was, now = _config(comparison.base), _config(comparison.run)
    if was is None or now is None or was == now:
        return None
    known = [scopes.find_scope(digest) for digest in (was, now)]
    try:
        patterns = [parse_excludes(scope.excludes) for scope in known if scope is not None]
    except ExcludeError:
        return None  # a row that somebody changed: then nothing is known
    return (patterns[0], patterns[1]) if len(patterns) == 2 else None


def _config(run: Run) -> bytes | None:
    if run.envelope is None:
        return None
    try:
        return bytes.fromhex(read_statement(open_envelope(bytes(run.envelope)).payload).config)
    except ReportError:
        return None  # somebody changed the row: the proof says that
