"""Give django-q2's cluster its tasks: scheduled ones from the list in code, others from rows that hold JSON.

django-q2 wants each task as a signed pickle and keeps results as pickles. Here a pickle is made and read within the
cluster's memory only: rows hold JSON, and no result is kept.
"""

from __future__ import annotations

import logging
import time
import uuid
from typing import Any

from django.core.cache.backends.dummy import DummyCache
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.brokers.orm import ORM
from django_q.signing import SignedPackage

from scanner.errors import RefusedTask
from scanner.queue import registry
from scanner.queue.registry import Call, ListedTask

logger = logging.getLogger(__name__)


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
        """Add a row and return its key. Refuse what is not a call of a listed task, such as what `async_task` makes."""
        registry.decode(task)
        return super().enqueue(task)

    def dequeue(self) -> list[tuple[int | None, str]]:
        """Return the scheduled tasks that are due, else the calls of the next rows. Called by the cluster's pusher.

        Each comes with the key of its row, by which it is acknowledged; a scheduled one has none. A row that does not
        hold a call of a listed task is deleted and logged.
        """
        due = self._take_due()
        if due:
            return [(None, _package(Call(task, ()))) for task in due]

        packages: list[tuple[int | None, str]] = []
        for key, payload in super().dequeue() or ():
            try:
                packages.append((key, _package(registry.decode(payload))))
            except RefusedTask as refusal:
                logger.error("row %s of the queue was refused: %s", key, refusal)
                self.delete(key)
        return packages

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
