"""What the task cluster does for checker: runs are compared and verified when they are taken in, older ones verified
again in rotation."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, QuerySet
from django.utils import timezone
from django_q.tasks import async_task

from checker.findings import actions
from checker.jobs import group_comparisons, run_comparisons
from checker.models import Proof
from checker.proofs import queries, verifier
from scanner.ingest import inbox
from scanner.models import Replica, Run
from scanner.tasks import WITHOUT_RESULT, save_schedule

SWEEP_SECONDS = 50.0
"""A sweep begins nothing new after that: the next one comes each minute."""
ROTATION_MINUTES = 10


def on_run_ingested(run: Run, **_: Any) -> None:
    """Receiver of `run_ingested`: have the run compared with the one before, and verified."""
    async_task("checker.tasks.catch_up", run.replica_id, q_options=WITHOUT_RESULT)
    async_task("checker.tasks.verify_run", run.pk, q_options=WITHOUT_RESULT)


def catch_up(replica_id: int) -> int:
    """Make the comparisons that a replica lacks; returns how many."""
    done = run_comparisons.catch_up(replica_id)
    _wake_group(replica_id)
    return done


def compare_replicas(group_id: int) -> bool:
    """Compare the replicas of a group, unless there is nothing new; returns whether that was done."""
    return group_comparisons.catch_up(group_id)


def compare_moment(comparison_id: int) -> None:
    """Make a comparison of replicas that somebody asked for."""
    group_comparisons.compute(comparison_id)


def compare_groups() -> int:
    """Each minute: compare the replicas of the groups in which something is new. Returns of how many."""
    until, done = time.monotonic() + SWEEP_SECONDS, 0
    for group_id in group_comparisons.groups_to_compare(timezone.now()):
        if time.monotonic() > until:
            break
        done += group_comparisons.catch_up(group_id)
    for comparison_id in group_comparisons.requested_comparisons():
        if time.monotonic() > until:
            break
        group_comparisons.compute(comparison_id)
        done += 1
    return done


def _wake_group(replica_id: int) -> None:
    """A run is compared and verified by two tasks, in any order: the one that ends last has the group compared."""
    group_id = Replica.objects.values_list("group", flat=True).get(pk=replica_id)
    async_task("checker.tasks.compare_replicas", group_id, q_options=WITHOUT_RESULT)


def compare(comparison_id: int) -> None:
    """Make a comparison that somebody asked for."""
    run_comparisons.compute(comparison_id)


def compare_new() -> int:
    """Each minute: make the comparisons that a lost wake-up left. Returns how many."""
    until, done = time.monotonic() + SWEEP_SECONDS, 0
    for replica_id in run_comparisons.replicas_to_compare():
        if time.monotonic() > until:
            break
        done += run_comparisons.catch_up(replica_id)
    for comparison_id in run_comparisons.requested_comparisons():
        if time.monotonic() > until:
            break
        run_comparisons.compute(comparison_id)
        done += 1
    return done


def reopen_findings() -> int:
    """Open again what was accepted until a moment that has passed. Returns how many."""
    return actions.reopen_expired()


def forget_comparisons() -> int:
    """Delete comparisons made on demand that nobody has looked at for long. Returns how many."""
    return run_comparisons.delete_unused() + group_comparisons.delete_unused()


def verify_run(run_id: int) -> bool:
    """Verify one run, and return whether it is proven."""
    run = _runs().get(pk=run_id)
    ok = verifier.verify_run(run).ok
    _wake_group(run.replica_id)
    return ok


def verify_new() -> int:
    """Each minute: verify what was taken in and never verified, the newest first. Returns how many."""
    until, done = time.monotonic() + SWEEP_SECONDS, 0
    for run in _provable().filter(proof=None).order_by("-ingested_at")[:1000]:
        if time.monotonic() > until:
            break
        verifier.verify_run(run)
        done += 1
    return done


def rotate() -> int:
    """Verify again what was not looked at for longest, while the hour's time lasts. Returns how many."""
    begun, done = time.monotonic(), 0
    left = (
        (settings.BACKUP_SYNCER_VERIFY_SECONDS_PER_HOUR - queries.seconds_spent_on_rotation()) * ROTATION_MINUTES / 60
    )
    for run in _provable().exclude(proof=None).order_by(F("proof__checked_at"))[:10_000]:
        if time.monotonic() - begun > left:
            break
        verifier.verify_run(run)
        done += 1
    return done


def forget_uploads() -> int:
    """Delete uploaded bytes of runs that were proven from the rows long enough ago. Returns how many."""
    before = timezone.now() - timedelta(days=settings.BACKUP_SYNCER_KEEP_UPLOADED_DAYS)
    proven = Proof.objects.filter(ok=True, proven_at__lte=before, run__ingested_at__lte=before)
    kept = _provable().filter(proof__in=proven).exclude(upload="")
    done = 0
    for run in kept.iterator(chunk_size=100):
        inbox.delete_upload(run)
        done += 1
    return done


def _runs() -> QuerySet[Run]:
    return Run.objects.select_related("replica__server", "replica__group", "key")


def _provable() -> QuerySet[Run]:
    """Runs in the history of a replica whose reports are signed."""
    return _runs().filter(state=Run.State.INGESTED, replica__origin=Replica.Origin.COLLECTOR)


def save_schedules(**_: Any) -> None:
    """Receiver of `post_migrate`: the schedules of this module."""
    save_schedule("Comparison of new runs", "checker.tasks.compare_new", 1)
    save_schedule("Comparison of replicas", "checker.tasks.compare_groups", 1)
    save_schedule("Findings accepted for a time", "checker.tasks.reopen_findings", 10)
    save_schedule("Removal of forgotten comparisons", "checker.tasks.forget_comparisons", 60)
    save_schedule("Verification of new runs", "checker.tasks.verify_new", 1)
    save_schedule("Verification in rotation", "checker.tasks.rotate", ROTATION_MINUTES)
    save_schedule("Removal of proven uploads", "checker.tasks.forget_uploads", 60)
