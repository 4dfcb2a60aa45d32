"""Whether the central server works: asked by load balancers and monitors, so it needs no login and tells no secret."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError

from scanner.models import Run

LATE = 300
"""Seconds without a beat after which the task cluster counts as dead; it beats each minute."""


class Health(NamedTuple):
    """What works."""

    database: bool
    tasks: bool
    """Whether the task cluster has shown a sign of life, or a worker is busy."""


def look() -> Health:
    """Ask the database something, and look at the beat of the task cluster."""
    return Health(_database(), _tasks())


def _database() -> bool:
    try:
        Run.objects.exists()
    except DatabaseError:
        return False
    return True


def _tasks() -> bool:
    folder = Path(settings.BACKUP_SYNCER_BEAT)
    signs = [folder / "beat", *(folder / "busy").glob("*")]
    times = [status.st_mtime for status in map(_stat, signs) if status is not None]
    return bool(times) and time.time() - max(times) < LATE


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None  # not there yet, or a worker has just ended its task
