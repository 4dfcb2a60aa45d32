"""Replaces a task cluster that ended or hangs.

django-q2 hangs for ever when a worker is killed while it waits for work: the dead worker keeps the queue's lock.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from backup_syncer.launcher.processes import Child

LIMIT = 240.0
"""Seconds. The beat is scheduled each minute, and the scheduler looks every half minute."""


class Watchdog:
    """Judges one cluster by the files of `heartbeat`. Times are monotonic: a clock that is set does no harm."""

    def __init__(self, cluster: Child, folder: Path, limit: float = LIMIT) -> None:
        self.cluster, self.folder, self.limit = cluster, folder, limit
        self.seen: int | None = None
        self.heard = time.monotonic()

    def verdict(self) -> str | None:
        """Why the cluster has to be replaced; None when it is well."""
        code = self.cluster.ended()
        if code is not None:
            return f"ended with code {code}"
        self._listen()
        silence = time.monotonic() - max(self.heard, self.cluster.started)
        if silence <= self.limit or self._busy():
            return None
        return f"gave no sign of life for {silence:.0f} s and works on nothing"

    def replace(self) -> None:
        """End the whole group and start it anew."""
        self.cluster.kill()
        self.cluster.start()

    def _listen(self) -> None:
        try:
            touched = os.stat(self.folder / "beat").st_mtime_ns
        except FileNotFoundError:
            return
        if touched != self.seen:
            self.seen, self.heard = touched, time.monotonic()

    def _busy(self) -> bool:
        """Whether a process of this very cluster says that it runs a task; a file of a dead one counts for nothing."""
        leader = self.cluster.process
        if leader is None or not (self.folder / "busy").is_dir():
            return False
        return any(_group(entry.name) == leader.pid for entry in (self.folder / "busy").iterdir())


def _group(number: str) -> int | None:
    try:
        return os.getpgid(int(number))
    except (ProcessLookupError, ValueError):
        return None
