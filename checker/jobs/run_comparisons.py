"""Compare the runs of a replica: each ingested run with the one before it, in order, and any other pair on demand."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial

from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from checker.changes import compare, store
from checker.changes.compare import RunScope
from checker.findings import update
from checker.models import Comparison
from scanner import scopes
from scanner.db import attempts
from scanner.db.errors import translate_database_errors
from scanner.db.locks import LockClass, advisory_lock
from scanner.format.envelope import open_envelope
from scanner.format.errors import ExcludeError, ReportError
from scanner.format.excludes import parse_excludes
from scanner.format.statement import read_statement
from scanner.models import Run, Scope
from scanner.queue.broker import enqueue

STEPS = compare.STEPS
IMMEDIATE_VERSIONS = 20_000
"""Versions that began or ended between two runs. When there are fewer, a page waits for the comparison."""
UNUSED_AFTER = timedelta(days=30)
DELETED_AT_ONCE = 100
"""Comparisons that one call deletes, so that it ends soon."""

State = Comparison.State
STATES = attempts.WorkStates(queued=State.WAITING, set_aside=State.SET_ASIDE, failed_at="failed_at")


def catch_up(replica_id: int) -> int:
    """Compute the adjacent comparisons that a replica lacks, oldest first. Return how many.

    None are computed while another worker does it.
    """
    computed = 0
    while True:
        with advisory_lock(LockClass.RUN_COMPARISON, replica_id) as is_alone:
            if not is_alone:
                return computed
            while _compute_next(replica_id):
                computed += 1

        # Whoever brought a run after the last look found the lock taken, and left the run to this worker.
        if not _runs_to_compare(replica_id).exists():
            return computed


def replicas_to_compare() -> list[int]:
    """Return the replicas that have runs which nobody has compared yet."""
    compared = Comparison.objects.filter(adjacent=True).exclude(state=State.WAITING)
    runs = Run.objects.filter(state=Run.State.INGESTED).exclude(comparisons__in=compared)
    return list(runs.order_by("replica_id").values_list("replica", flat=True).distinct())


def get_or_request(first: Run, second: Run) -> Comparison:
    """Return the comparison of two complete runs of a replica, whichever is named first.

    It is computed at once when little lies between them; else it is WAITING, and a task computes it. Raise LookupError
    with a sentence for runs that cannot be compared.
    """
    base, run = _in_order(first, second)
    comparison = Comparison.objects.filter(base=base, run=run).select_related("base", "run__replica").first()
    if comparison is None:
        is_adjacent = _previous_run(run) == base
        comparison, _created = Comparison.objects.get_or_create(
            base=base, run=run, defaults={"replica_id": run.replica_id, "adjacent": is_adjacent}
        )
    # While somebody asks, `delete_unused` leaves it.
    Comparison.objects.filter(pk=comparison.pk).update(asked_at=timezone.now())

    if comparison.state != State.WAITING:
        return comparison
    if _versions_between(base, run) < IMMEDIATE_VERSIONS:
        compute(comparison.pk)
        comparison.refresh_from_db()
    else:
        enqueue("checker.tasks.compare", comparison.pk)
    return comparison


def retry_set_aside(first: Run, second: Run) -> None:
    """Queue the comparison of two runs again that was set aside, with the adjacent ones before it that were, too.

    Raise LookupError with a sentence while a worker compares runs of the replica, and when changes of later runs have
    been judged: findings would open out of order, also for what is right again by now.
    """
    base, run = _in_order(first, second)
    with advisory_lock(LockClass.RUN_COMPARISON, run.replica_id) as is_alone:
        if not is_alone:
            raise LookupError("another process compares runs of this replica: try again in a minute")

        comparisons = Comparison.objects.filter(replica=run.replica_id)
        # A comparison without changes has judged nothing.
        judged = comparisons.filter(adjacent=True, state=State.DONE).exclude(counts={})
        last_judged = judged.aggregate(last=Max("run__sequence"))["last"] or 0

        set_aside = comparisons.filter(state=State.SET_ASIDE)
        if run.sequence < last_judged and set_aside.filter(base=base, run=run, adjacent=True).exists():
            raise LookupError(f"it is too late: the changes of run {last_judged} were judged meanwhile")

        named = Q(base=base, run=run)
        before = Q(adjacent=True, run__sequence__gt=last_judged, run__sequence__lte=run.sequence)
        set_aside.filter(named | before).update(state=State.WAITING, attempts=0, reason="", step="", steps_done=0)


def requested_comparisons() -> list[int]:
    """Return the comparisons that somebody asked for and that are not computed yet, oldest first."""
    waiting = Comparison.objects.filter(state=State.WAITING, adjacent=False)
    return list(waiting.order_by("asked_at").values_list("pk", flat=True))


def compute(comparison_id: int) -> None:
    """Compute one comparison, unless it is done or another process does it. An adjacent one follows those before it."""
    comparison = Comparison.objects.select_related("base", "run").get(pk=comparison_id)
    if comparison.adjacent:
        catch_up(comparison.replica_id)
        return

    with advisory_lock(LockClass.RUN_COMPARISON, comparison.replica_id) as is_alone:
        # A stale state is harmless: an attempt counts only while the row itself is waiting.
        if is_alone and comparison.state == State.WAITING:
            _attempt(comparison)


def find_adjacent(run: Run) -> Comparison | None:
    """Return the comparison of a run with the complete run before it, or None before it is begun."""
    return Comparison.objects.filter(run=run, adjacent=True).select_related("base", "run__replica").first()


def skipped_runs(comparison: Comparison) -> QuerySet[Run]:
    """Return the runs between the two that have no state: they failed, were refused or were set aside."""
    base_sequence = 0
    if comparison.base is not None:
        base_sequence = comparison.base.sequence

    between = Run.objects.filter(
        replica=comparison.replica_id, sequence__gt=base_sequence, sequence__lt=comparison.run.sequence
    )
    return between.exclude(state=Run.State.INGESTED).defer("envelope").order_by("sequence")


def delete_unused() -> int:
    """Delete comparisons on demand that nobody has looked at for long. Return how many."""
    unused = Comparison.objects.filter(adjacent=False, asked_at__lt=timezone.now() - UNUSED_AFTER)
    deleted = 0
    for comparison in unused[:DELETED_AT_ONCE]:
        with transaction.atomic():
            store.delete_changes(comparison)
            comparison.delete()
        deleted += 1
    return deleted


def _in_order(first: Run, second: Run) -> tuple[Run, Run]:
    """Return two runs that can be compared, the earlier one first. Raise LookupError for others."""
    base, run = sorted((first, second), key=lambda candidate: candidate.sequence)
    if base.replica_id != run.replica_id:
        raise LookupError("the runs are of different replicas")
    if base.pk == run.pk:
        raise LookupError("a run is not compared with itself")
    for candidate in (base, run):
        if candidate.state != Run.State.INGESTED:
            raise LookupError(f"run {candidate.sequence} is not complete: {candidate.get_state_display()}")
    return base, run


def _versions_between(base: Run, run: Run) -> int:
    """Return how many versions began or ended between two runs: what their comparison costs."""
    between = Run.objects.filter(replica=run.replica_id, sequence__gt=base.sequence, sequence__lte=run.sequence)

    # Versions and not files: a comparison reads what changed, however much there is.
    versions = 0
    for opened, closed in between.values_list("opened", "closed"):
        versions += (opened or 0) + (closed or 0)
    return versions


def _runs_to_compare(replica_id: int) -> QuerySet[Run]:
    """Return the complete runs that have no adjacent comparison yet, oldest first."""
    # One that was set aside counts as made: what keeps failing does not hold up the runs behind it.
    compared = Comparison.objects.filter(replica=replica_id, adjacent=True).exclude(state=State.WAITING)
    complete = Run.objects.filter(replica=replica_id, state=Run.State.INGESTED)
    return complete.exclude(comparisons__in=compared).order_by("sequence")


def _previous_run(run: Run) -> Run | None:
    """Return the newest complete run before `run`."""
    complete = Run.objects.filter(replica=run.replica_id, state=Run.State.INGESTED, sequence__lt=run.sequence)
    return complete.order_by("-sequence").first()


def _compute_next(replica_id: int) -> bool:
    """Make one attempt at the oldest comparison that is lacking. Return whether there was one. Call with the lock."""
    run = _runs_to_compare(replica_id).first()
    if run is None:
        return False

    with translate_database_errors():
        comparison, _created = Comparison.objects.select_related("base", "run").get_or_create(
            run=run, adjacent=True, defaults={"replica_id": replica_id, "base": _previous_run(run)}
        )
    _attempt(comparison)
    return True


def _attempt(comparison: Comparison) -> None:
    """Make one attempt at a comparison. Call with the lock."""
    name = f"comparison of run {comparison.run.uuid}"
    attempts.attempt(comparison, STATES, name, partial(_compute, comparison))


def _compute(comparison: Comparison) -> None:
    started = time.monotonic_ns()
    compare.find_changes(comparison, partial(_differing_scopes, comparison), partial(_report_step, comparison))

    _report_step(comparison, STEPS[-1])
    # Changes and findings appear together: a worker that dies here leaves neither.
    with transaction.atomic():
        comparison.counts = store.write_changes(comparison)
        if comparison.adjacent:
            # Findings come from adjacent comparisons alone: a wider one neither opens nor withdraws any.
            update.update_findings(comparison)
        comparison.state = State.DONE
        comparison.reason = ""
        comparison.failed_at = None
        comparison.step = ""
        comparison.steps_done = len(STEPS)
        comparison.computed_at = timezone.now()
        comparison.duration_ns = time.monotonic_ns() - started
        comparison.save()
    compare.drop_tables()


def _report_step(comparison: Comparison, step: str) -> None:
    # Outside any transaction, so that the page that waits sees each step.
    Comparison.objects.filter(pk=comparison.pk).update(step=step, steps_done=STEPS.index(step))


def _differing_scopes(comparison: Comparison) -> tuple[RunScope, RunScope] | None:
    """Return the scopes of both runs when they are known and differ."""
    if comparison.base is None:
        return None
    old_digest = _scope_digest(comparison.base)
    new_digest = _scope_digest(comparison.run)
    if old_digest is None or new_digest is None or old_digest == new_digest:
        return None

    old_scope = scopes.find_scope(old_digest)
    new_scope = scopes.find_scope(new_digest)
    if old_scope is None or new_scope is None:
        return None
    try:
        return _run_scope(old_scope), _run_scope(new_scope)
    except ExcludeError:
        # Somebody changed the row of a scope, so that nothing is known of it.
        return None


def _run_scope(scope: Scope) -> RunScope:
    return RunScope(parse_excludes(scope.excludes), scope.cross_mounts)


def _scope_digest(run: Run) -> bytes | None:
    """Return the digest of the scope that a run was made with, as its statement has it."""
    if run.envelope is None:
        return None
    try:
        statement = read_statement(open_envelope(bytes(run.envelope)).payload)
    except ReportError:
        # Somebody changed the row of the run: its proof says so.
        return None
    return bytes.fromhex(statement.config)
