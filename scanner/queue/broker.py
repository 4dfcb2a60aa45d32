"""Give django-q2's cluster its tasks: scheduled ones from the list in code, others from rows that hold JSON.

django-q2 wants each task as a signed pickle and keeps results as pickles. Here a pickle is made and read within the
cluster's memory only: rows hold JSON, and no result is kept.
"""

from __future__ import annotations

import logging
import time
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.core.cache.backends.dummy import DummyCache
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from scanner.errors import RefusedTask
from scanner.queue import judging, registry
from scanner.queue.registry import Call, ListedTask

logger = logging.getLogger(__name__)

JUDGING_KEY = "judging"
"""The key of rows whose task needs a slot. All others have the cluster's name."""
DEFERRED = timedelta(seconds=2)
"""How long a task that found no slot waits before the broker hands it out again."""
SOON = timedelta(minutes=1)
"""A row that is locked for less than this waits, or was deferred; one that was handed out is locked for an hour."""


class ListedTaskBroker(ORM):  # type: ignore[misc]  # django-q2 has no types
    """Hands out calls of listed functions. Its rows are those of django-q2's table `django_q_ormq`."""

    def __init__(self, list_key: str | None = None) -> None:
        """Begin with every scheduled task due: nobody knows how long the cluster was away."""
        super().__init__(list_key)
        self._due_at: dict[str, float] = {}

    def __setstate__(self, state: Any) -> None:
        """Take over what a process that is spawned, and not forked, is sent."""
        super().__setstate__(state)
        self._due_at = {}

    @staticmethod
    def get_cache() -> DummyCache:
        """Return a cache that keeps nothing: results, and the cluster's own status, would be kept as pickles."""
        return DummyCache("", {})

    def enqueue(self, task: str) -> Any:
        """Add a row and return its key. Refuse what is not a call of a listed task, such as what `async_task` makes.

        Where the same call waits already no row is added, and its key is returned: one look finds all the work.
        """
        return self._add(registry.decode(task), task, timezone.now())

    def defer(self, task: str) -> Any:
        """Add a row for a task that found no slot. It is handed out a little later."""
        return self._add(registry.decode(task), task, timezone.now() + DEFERRED)

    def _add(self, call: Call, task: str, handed_out_from: datetime) -> Any:
        rows = self.get_connection()
        waiting = rows.filter(payload=task, lock__lt=timezone.now() + SOON).values_list("pk", flat=True).first()
        if waiting is not None:
            return waiting
        key = JUDGING_KEY if call.task.judges else self.list_key
        return rows.create(key=key, payload=task, lock=handed_out_from).pk

    def dequeue(self) -> list[tuple[int | None, str]]:
        """Return the scheduled tasks that are due, else the call of the next row. Called by the cluster's pusher.

        Tasks that judge come only while they would find a slot, and after all others. Each call comes with the key of
        its row, by which it is acknowledged; a scheduled one has none. A row that does not hold a call of a listed task
        is deleted and logged.
        """
        due = self._take_due()
        if due:
            return [(None, _package(Call(task, ()))) for task in due]

        packages: list[tuple[int | None, str]] = []
        row = self._take_row(self.list_key)
        if row is None and judging.is_slot_free():
            row = self._take_row(JUDGING_KEY)
        if row is None:
            time.sleep(Conf.POLL)
            return []

        try:
            packages.append((row.pk, _package(registry.decode(row.payload))))
        except RefusedTask as refusal:
            logger.error("row %s of the queue was refused: %s", row.pk, refusal)
            self.delete(row.pk)
        return packages

    def _take_row(self, key: str) -> OrmQ | None:
        """Lock the oldest row that waits under a key, and return it. None when there is none."""
        row = self.get_connection().filter(key=key, lock__lt=timezone.now()).order_by("id").first()
        if row is None:
            return None
        # Another cluster may have been faster.
        locked = self.get_connection().filter(pk=row.pk, lock=row.lock).update(lock=self.timeout(row))
        return row if locked else None

    def _take_due(self) -> list[ListedTask]:
        """Return the scheduled tasks that are due now, and set when each is due again."""
        now = time.monotonic()
        due = [task for task in registry.scheduled_tasks() if self._due_at.get(task.name, now) <= now]
        for task in due:
            self._due_at[task.name] = now + task.minutes * 60
        return due


def enqueue(name: str, *arguments: int | str) -> None:
    """Have the cluster call a listed function. Raise RefusedTask when it is not listed or takes other arguments."""
    get_broker().enqueue(registry.encode(name, arguments))


def defer(name: str, *arguments: int | str) -> None:
    """Have the cluster call a listed function a little later: there was no slot. A scheduled task comes by itself."""
    if arguments:
        get_broker().defer(registry.encode(name, arguments))


def _package(call: Call) -> str:
    """Return a call in the form that django-q2's pusher unpacks at once, in the same process."""
    package = {
        # New for each call: nobody who writes to the database can have a result ready under this name.
        "id": uuid.uuid4().hex,
        "name": call.task.name,
        # The function itself. django-q2 would import whatever a name says.
        "func": call.task.function,
        "args": call.arguments,
        "kwargs": {},
        "started": timezone.now(),
        # A row is work for one attempt, whatever becomes of it: the task is only a wake-up.
        "ack_failure": True,
        # The result goes to `get_cache`. Otherwise django-q2 saves failures, and reads the table of results to do so.
        "cached": 1,
    }
    return str(SignedPackage.dumps(package))
