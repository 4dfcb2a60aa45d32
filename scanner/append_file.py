"""Append lines to a file that several processes share: one at a time, on disk before the call returns.

A crash can tear the last line. The torn line stays as it is, and the next line begins after it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scanner.format.atomic_file import sync_directory


@contextmanager
def open_locked(path: Path) -> Iterator[int]:
    """Open a file for one process at a time and yield its descriptor. Create it, and its directory, when missing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not os.fstat(descriptor).st_size:
            sync_directory(path.parent)  # the file may be new
        yield descriptor
    finally:
        os.close(descriptor)  # which releases the lock


def append_lines(descriptor: int, data: bytes) -> None:
    """Append whole lines to a file that `open_locked` opened. End a torn line first. Return when all is on disk."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        data = b"\n" + data

    # os.write() may write less than it is given.
    while data:
        written = os.write(descriptor, data)
        data = data[written:]
    os.fsync(descriptor)
