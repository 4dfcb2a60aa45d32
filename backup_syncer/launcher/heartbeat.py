"""How the task cluster shows that it lives: files, so that the launcher needs neither the database nor trust in it.

`beat` runs as a task each minute, so it proves scheduler, queue and workers together. A worker that runs a task says so
by a file of its number: a cluster whose workers are all at work is late with its beat and not hung.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django_q.signals import post_execute_in_worker, pre_execute

BEAT, BUSY = "beat", "busy"
SCHEDULE = "Heartbeat of the task cluster"


def beat() -> None:
    """The task: touch the file that the launcher looks at."""
    folder = Path(settings.BACKUP_SYNCER_BEAT)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / BEAT).touch()


def connect() -> None:
    """Hear of the beginning and end of each task in this worker."""
    pre_execute.connect(_begins, dispatch_uid="heartbeat")
    post_execute_in_worker.connect(_ends, dispatch_uid="heartbeat")


def schedule() -> None:
    """Make the schedule of the beat; once is enough."""
    from django_q.models import Schedule  # models are there only when the applications are loaded

    Schedule.objects.update_or_create(
        name=SCHEDULE,
        defaults={
            "func": "backup_syncer.launcher.heartbeat.beat",
            "schedule_type": Schedule.MINUTES,
            "minutes": 1,
            "repeats": -1,
            "kwargs": "q_options={'save': False}",
        },
    )


def _mine() -> Path:
    return Path(settings.BACKUP_SYNCER_BEAT) / BUSY / str(os.getpid())


def _begins(**_: Any) -> None:
    mine = _mine()
    mine.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mine.touch()


def _ends(**_: Any) -> None:
    _mine().unlink(missing_ok=True)
