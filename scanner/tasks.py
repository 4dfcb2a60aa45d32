"""What the task cluster does for scanner.

A task is a wake-up for a row: losing one, or doing one twice, is harmless.
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
from scanner.signals import run_received

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 50.0
"""A sweep begins nothing new after that: the next one comes each minute."""
STALE = timedelta(days=2)
"""A run that has said nothing for so long will not arrive under its progress any more."""
KEEP_TASKS = timedelta(days=7)
"""How long failed tasks are kept to be looked at."""
UNSAVED = {"save": False}


def wake(run: Run, **_: Any) -> None:
    """Receiver of `run_received`: have the run's replica looked after at once."""
    if run.state == Run.State.RECEIVED:
        async_task("scanner.tasks.ingest_replica", run.replica_id, q_options=UNSAVED)


def ingest_replica(replica_id: int) -> int:
    """Take in what waits of a replica; what cannot be done now is left to the sweep."""
    try:
        return worker.ingest_replica(replica_id)
    except RetryableError as error:
        logger.warning("ingest of replica %s waits: %s", replica_id, error)
        return 0


def sweep() -> int:
    """Each minute: journal and ingest what a lost wake-up left."""
    journal.journal_pending()
    return worker.ingest_waiting(SWEEP_SECONDS)


def tidy() -> None:
    """Each hour: forget progress that leads nowhere, files that no run names, tasks that failed long ago."""
    now = timezone.now()
    Progress.objects.filter(updated_at__lt=now - STALE).delete()
    inbox.remove_orphans()
    Task.objects.filter(stopped__lt=now - KEEP_TASKS).delete()


def schedule(name: str, function: str, minutes: int) -> None:
    """Make or mend a schedule, known by its name; doing it again changes nothing."""
    if Schedule._meta.db_table not in connection.introspection.table_names():
        return
    wanted: dict[str, Any] = {
        "func": function,
        "schedule_type": Schedule.MINUTES,
        "minutes": minutes,
        "repeats": -1,
        "kwargs": f"q_options={UNSAVED}",
    }
    Schedule.objects.update_or_create(name=name, defaults=wanted)


def make_schedules(**_: Any) -> None:
    """Receiver of `post_migrate`: the schedules of this module."""
    schedule("Ingest of what waits", "scanner.tasks.sweep", 1)
    schedule("Removal of what is stale", "scanner.tasks.tidy", 60)


def connect() -> None:
    """Hear of runs that arrive."""
    run_received.connect(wake, dispatch_uid="scanner.tasks.wake")
