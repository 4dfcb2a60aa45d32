"""Run checker's work in the task cluster: compare and verify runs when they are ingested, older ones in rotation.

A task wakes a worker for a row; losing it, or running it twice, is harmless. Tasks that judge leave one worker free for
ingest (`scanner.queue.judging`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, QuerySet
from django.utils import timezone

from checker.findings import actions
from checker.jobs import group_comparisons, run_comparisons, verifications
from checker.models import Proof, ProofAttempt
from checker.proofs import queries, verifier
from scanner.db.sweeps import Sweep
from scanner.ingest import inbox
from scanner.models import Replica, Run, ServerKey
from scanner.queue.broker import defer, enqueue
from scanner.queue.judging import judges
from scanner.queue.registry import ListedTask

SWEEP_SECONDS = 50.0
"""A sweep starts nothing new after this time, since the next sweep comes after a minute."""
ROTATION_MINUTES = 10
NEW_RUNS_AT_ONCE = 1000
ROTATION_RUNS_AT_ONCE = 10_000


def on_run_ingested(run: Run, **_: Any) -> None:
    """Receive `run_ingested`: queue the comparison of the run with the one before it, and its verification."""
    enqueue("checker.tasks.catch_up", run.replica_id)
    enqueue("checker.tasks.verify_run", run.pk)


def on_key_compromised(key: ServerKey, **_: Any) -> None:
    """Receive `key_compromised`: take back the proofs of its runs, and compare without their votes."""
    for replica_id in verifier.distrust_runs(key):
        _queue_group(replica_id)


@judges(otherwise=defer)
def catch_up(replica_id: int) -> int:
    """Compute the comparisons that a replica lacks. Return how many."""
    computed = run_comparisons.catch_up(replica_id)
    _queue_group(replica_id)
    return computed


@judges(otherwise=defer)
def compare_replicas(group_id: int) -> bool:
    """Compare the replicas of a group, unless there is nothing new. Return whether that was done."""
    return group_comparisons.catch_up(group_id)


@judges(otherwise=defer)
def compare_moment(comparison_id: int) -> None:
    """Compute a comparison of replicas that somebody asked for."""
    group_comparisons.compute(comparison_id)


@judges(otherwise=defer)
def compare_groups() -> int:
    """Compare the replicas of the groups in which something is new, and as of the moments asked for. Return how many.

    It runs each minute, for what a lost task has left undone.
    """
    sweep = Sweep(SWEEP_SECONDS)
    sweep.perform(group_comparisons.catch_up, group_comparisons.groups_to_compare(timezone.now()))
    sweep.perform(group_comparisons.compute, group_comparisons.requested_comparisons())
    return sweep.finish()


@judges(otherwise=defer)
def compare(comparison_id: int) -> None:
    """Compute a comparison of runs that somebody asked for."""
    run_comparisons.compute(comparison_id)


@judges(otherwise=defer)
def compare_new() -> int:
    """Compute the comparisons of runs that a lost task has left undone. Return how many. It runs each minute."""
    sweep = Sweep(SWEEP_SECONDS)
    sweep.perform(run_comparisons.catch_up, run_comparisons.replicas_to_compare())
    sweep.perform(run_comparisons.compute, run_comparisons.requested_comparisons())
    return sweep.finish()


def reopen_findings() -> int:
    """Open the findings again that were accepted until a moment which has passed. Return how many."""
    return actions.reopen_expired()


def forget_comparisons() -> int:
    """Delete comparisons on demand that nobody has looked at for long. Return how many."""
    return run_comparisons.delete_unused() + group_comparisons.delete_unused()


@judges(otherwise=defer)
def verify_run(run_id: int) -> bool:
    """Verify one run. Return whether it is proven."""
    run = _runs().get(pk=run_id)
    verifications.verify(run)
    _queue_group(run.replica_id)
    return Proof.objects.filter(run=run, ok=True).exists()


@judges(otherwise=defer)
def verify_new() -> int:
    """Verify the runs that were ingested and never verified, newest first. Return how many. It runs each minute."""
    # Newest first: a group is compared by its newest proven runs, and people wait for those.
    runs = _verifiable_runs().filter(proof=None).order_by("-ingested_at")
    sweep = Sweep(SWEEP_SECONDS)
    sweep.perform(verifications.verify, runs[:NEW_RUNS_AT_ONCE])
    return sweep.finish()


@judges(otherwise=defer)
def rotate() -> int:
    """Re-verify the least recently verified runs within the hourly budget. Return how many."""
    hourly_budget = settings.BACKUP_SYNCER_VERIFY_SECONDS_PER_HOUR - queries.seconds_spent_on_rotation()
    # This call's part of the budget. Nothing is left, and nothing is done, when the last hour has used up all of it.
    sweep = Sweep(hourly_budget * ROTATION_MINUTES / 60)
    runs = _verifiable_runs().exclude(proof=None).order_by(F("proof__checked_at"))
    sweep.perform(verifications.verify, runs[:ROTATION_RUNS_AT_ONCE])
    return sweep.finish()


def forget_uploads() -> int:
    """Delete the uploaded bytes of runs that were proven from the rows long enough ago. Return how many."""
    proven_before = timezone.now() - timedelta(days=settings.BACKUP_SYNCER_KEEP_UPLOADED_DAYS)
    proofs = Proof.objects.filter(ok=True, proven_at__lte=proven_before, run__ingested_at__lte=proven_before)
    runs = _provable_runs().filter(proof__in=proofs).exclude(upload="")

    deleted = 0
    for run in runs.iterator(chunk_size=100):
        inbox.delete_upload(run)
        deleted += 1
    return deleted


def _queue_group(replica_id: int) -> None:
    """Queue the comparison of a replica's group.

    A run is compared and verified by two tasks, in any order. The one that ends last has the group compared.
    """
    group_id = Replica.objects.values_list("group", flat=True).get(pk=replica_id)
    enqueue("checker.tasks.compare_replicas", group_id)


def _runs() -> QuerySet[Run]:
    return Run.objects.select_related("replica__server", "replica__group", "key")


def _provable_runs() -> QuerySet[Run]:
    """Return the runs in the history of replicas whose reports are signed."""
    return _runs().filter(state=Run.State.INGESTED, replica__origin=Replica.Origin.COLLECTOR)


def _verifiable_runs() -> QuerySet[Run]:
    """Return the provable runs without those whose verification was set aside."""
    return _provable_runs().exclude(proof_attempt__state=ProofAttempt.State.SET_ASIDE)


TASKS = (
    ListedTask(catch_up),
    ListedTask(compare_replicas),
    ListedTask(compare_moment),
    ListedTask(compare),
    ListedTask(verify_run),
    ListedTask(compare_new, minutes=1),
    ListedTask(compare_groups, minutes=1),
    ListedTask(reopen_findings, minutes=10),
    ListedTask(forget_comparisons, minutes=60),
    ListedTask(verify_new, minutes=1),
    ListedTask(rotate, minutes=ROTATION_MINUTES),
    ListedTask(forget_uploads, minutes=60),
)
"""What the task cluster may call of this module, and how often it does so by itself."""
