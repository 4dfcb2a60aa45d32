"""Run scanner's work in the task cluster: ingest, and removal of what is stale.

A task wakes a worker for a row. Losing a task, or running it twice, is harmless.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.utils import timezone

from scanner.errors import RetryableError
from scanner.ingest import inbox, journal, worker
from scanner.models import Progress, Run
from scanner.queue.broker import enqueue
from scanner.queue.registry import ListedTask

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 50.0
"""A sweep starts nothing after this time: the next sweep comes each minute."""
KEEP_PROGRESS = timedelta(days=2)
"""A run that has sent no progress for this long will not arrive any more."""


def on_run_received(run: Run, **_: Any) -> None:
    """Queue the ingest of the run's replica at once. Receiver of `run_received`."""
    if run.state == Run.State.RECEIVED:
        enqueue("scanner.tasks.ingest_replica", run.replica_id)


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
    """Delete old progress and files that no run names, each hour."""
    now = timezone.now()
    Progress.objects.filter(updated_at__lt=now - KEEP_PROGRESS).delete()
    inbox.remove_orphans()


TASKS = (
    ListedTask(ingest_replica),
    ListedTask(sweep, minutes=1),
    ListedTask(tidy, minutes=60),
)
"""What the task cluster may call of this module, and how often it does so by itself."""
