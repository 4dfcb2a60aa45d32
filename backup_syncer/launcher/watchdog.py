"""Replace a task cluster that ended or hangs.

django-q2 hangs for ever when a worker is killed while it waits for work: the dead worker keeps the queue's lock.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from backup_syncer.launcher.processes import Child

SILENCE_LIMIT = 240.0
"""Seconds without a sign of life. The beat is scheduled each minute, and the scheduler looks every half minute."""


class Watchdog:
    """Judges one cluster by the files of `heartbeat`. Times are monotonic: setting the clock does no harm."""

    def __init__(self, cluster: Child, directory: Path, limit: float = SILENCE_LIMIT) -> None:
        self.cluster = cluster
        self.directory = directory
        self.limit = limit
        self._last_beat: int | None = None
        """Modification time of the beat's file when it was last seen to change."""
        self._last_sign = time.monotonic()

    def verdict(self) -> str | None:
        """Return why the cluster has to be replaced, or None when it is well."""
        exit_code = self.cluster.ended()
        if exit_code is not None:
            return f"ended with code {exit_code}"

        self._look_for_beat()
        # A cluster that has just started gets the whole limit for its first beat.
        silence = time.monotonic() - max(self._last_sign, self.cluster.started)
        if silence <= self.limit or self._is_busy():
            return None
        return f"gave no sign of life for {silence:.0f} s and works on nothing"

    def replace(self) -> None:
        """Kill the whole process group and start the cluster again."""
        self.cluster.kill()
        self.cluster.start()

    def _look_for_beat(self) -> None:
        try:
            beat = os.stat(self.directory / "beat").st_mtime_ns
        except FileNotFoundError:
            return

        # Another time, not a later one: the clock may have been set back.
        if beat != self._last_beat:
            self._last_beat = beat
            self._last_sign = time.monotonic()

    def _is_busy(self) -> bool:
        """Return whether a process of this very cluster runs a task. The file of a dead process counts for nothing."""
        leader = self.cluster.process
        busy_directory = self.directory / "busy"
        if leader is None or not busy_directory.is_dir():
            return False
        return any(_process_group(entry.name) == leader.pid for entry in busy_directory.iterdir())


def _process_group(pid: str) -> int | None:
    try:
        return os.getpgid(int(pid))
    except (ProcessLookupError, ValueError):
        return None
