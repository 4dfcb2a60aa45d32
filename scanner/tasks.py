"""Run scanner's work in the task cluster: ingest, and removal of what is stale.

A task wakes a worker for a row. Losing a task, or running it twice, is harmless.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone
from django_q.models import Schedule, Task
from django_q.tasks import async_task

from scanner.errors import RetryableError
from scanner.ingest import inbox, journal, worker
from scanner.models import Progress, Run

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 50.0
"""A sweep starts nothing after this time: the next sweep comes each minute."""
KEEP_PROGRESS = timedelta(days=2)
"""A run that has sent no progress for this long will not arrive any more."""
KEEP_TASKS = timedelta(days=7)
"""How long failed tasks can be looked at."""
WITHOUT_RESULT = {"save": False}
"""Options of a task whose result nobody reads."""


def on_run_received(run: Run, **_: Any) -> None:
    """Queue the ingest of the run's replica at once. Receiver of `run_received`."""
    if run.state == Run.State.RECEIVED:
        async_task("scanner.tasks.ingest_replica", run.replica_id, q_options=WITHOUT_RESULT)


def ingest_replica(replica_id: int) -> int:
    """Ingest the queued runs of a replica and return how many; leave to the sweep what cannot be done now."""
    try:
        return worker.ingest_replica(replica_id)
    except RetryableError as error:
        logger.warning("ingest of replica %s waits: %s", replica_id, error)
        return 0


def sweep() -> int:
    """Journal and ingest what a lost task left, each minute. Return how many runs were done."""
    journal.journal_pending()
    # After the journal: a run waits for ingest only when it stands there.
    return worker.ingest_waiting(SWEEP_SECONDS)


def tidy() -> None:
    """Delete old progress, files that no run names and old failed tasks, each hour."""
    now = timezone.now()
    Progress.objects.filter(updated_at__lt=now - KEEP_PROGRESS).delete()
    inbox.remove_orphans()
    Task.objects.filter(stopped__lt=now - KEEP_TASKS).delete()


def save_schedule(name: str, function: str, minutes: int) -> None:
    """Create a schedule, or correct the one of this name."""
    # A database that is migrated in part may not have the cluster's tables.
    if Schedule._meta.db_table not in connection.introspection.table_names():
        return

    defaults: dict[str, Any] = {
        "func": function,
        "schedule_type": Schedule.MINUTES,
        "minutes": minutes,
        "repeats": -1,
        "kwargs": f"q_options={WITHOUT_RESULT}",
    }
    Schedule.objects.update_or_create(name=name, defaults=defaults)


def save_schedules(**_: Any) -> None:
    """Save the schedules of this module. Receiver of `post_migrate`."""
    save_schedule("Ingest of what waits", "scanner.tasks.sweep", 1)
    save_schedule("Removal of what is stale", "scanner.tasks.tidy", 60)
