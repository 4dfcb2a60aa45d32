"""Check whether the central server works. Load balancers and monitors ask, so it needs no login and tells no secret."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError

from scanner.models import Run

MAX_SILENCE = 300
"""Seconds without a beat after which the task cluster counts as dead. It beats each minute."""


class Health(NamedTuple):
    """State of the parts of the central server."""

    database: bool
    tasks: bool
    """The task cluster has given a sign of life, or one of its workers is busy."""


def check_health() -> Health:
    """Query the database and look at the beat of the task cluster."""
    return Health(_is_database_up(), _is_task_cluster_alive())


def _is_database_up() -> bool:
    try:
        Run.objects.exists()
    except DatabaseError:
        return False
    return True


def _is_task_cluster_alive() -> bool:
    directory = Path(settings.BACKUP_SYNCER_BEAT)
    # A worker that is busy for long keeps the cluster from beating: its own file counts, too.
    beat_files = [directory / "beat", *(directory / "busy").glob("*")]

    file_stats = [_stat(path) for path in beat_files]
    beat_times = [stat.st_mtime for stat in file_stats if stat is not None]
    return bool(beat_times) and time.time() - max(beat_times) < MAX_SILENCE


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None  # not written yet, or a worker has just ended its task
