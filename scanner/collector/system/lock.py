"""Allow one collector at a time in a state directory, by a lock that the kernel drops with its process."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from scanner.collector.errors import LockedError
from scanner.collector.system import durable
from scanner.collector.system.ownership import require_own_directory


@contextmanager
def hold_lock(state: Path) -> Iterator[None]:
    """Hold the lock of the state directory for a block.

    Raise LockedError when another process holds it, and UnsafeStateError when other users can change the directory.
    """
    # Before anything is made there, and again: until it was made, its name may have been free to take.
    require_own_directory(state)
    path = durable.make_directory(state) / "lock"
    require_own_directory(state)
    with durable.storage_errors(path):
        # A link, planted before the directory was closed to others, would have its target emptied.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    # The file is never removed: a second process could lock the removed file while a third makes a new one.
    try:
        _acquire(descriptor, state)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, state: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
        raise LockedError(f"another collector (process {holder}) works in {state}; only one at a time may") from error
