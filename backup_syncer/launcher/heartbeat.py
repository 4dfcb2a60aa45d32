"""Show that the task cluster lives, by files: the launcher then needs neither the database nor trust in it.

`beat` runs as a task each minute, so it proves scheduler, queue and workers together. A worker that runs a task says so
by a file named after its process: a cluster whose workers are all at work is late with its beat but does not hang.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django_q.signals import post_execute_in_worker, pre_execute

from scanner.queue.registry import ListedTask

BEAT_FILE = "beat"
BUSY_DIRECTORY = "busy"


def beat() -> None:
    """Touch the file that the launcher watches. This is the scheduled task."""
    directory = Path(settings.BACKUP_SYNCER_BEAT)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / BEAT_FILE).touch()


BEAT = ListedTask(beat, minutes=1)


def connect() -> None:
    """Mark this worker as busy from the beginning to the end of each of its tasks."""
    pre_execute.connect(_mark_busy, dispatch_uid="heartbeat")
    post_execute_in_worker.connect(_mark_idle, dispatch_uid="heartbeat")


def _busy_file() -> Path:
    return Path(settings.BACKUP_SYNCER_BEAT) / BUSY_DIRECTORY / str(os.getpid())


def _mark_busy(**_: Any) -> None:
    busy_file = _busy_file()
    busy_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    busy_file.touch()


def _mark_idle(**_: Any) -> None:
    _busy_file().unlink(missing_ok=True)
