"""Low impact: a low priority, a limit on the rate of reading, and a page cache left as it was found."""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import threading
import time
from typing import Callable, List, Optional

NICENESS = 10
CARE = 1 << 20
"""Files larger than this many bytes leave the page cache as they found it."""
WINDOW = 8 << 20
"""The cache is asked about, and relieved, by windows of this many bytes."""
_DONTNEED = getattr(os, "POSIX_FADV_DONTNEED", None)
_NAP = 0.5


def be_gentle() -> List[str]:
    """Lower the priority of this process and its future children; tells what was done, such as `nice 10`."""
    done = []
    if os.nice(0) < NICENESS:
        os.nice(NICENESS - os.nice(0))
    done.append(f"nice {os.nice(0)}")
    if sys.platform == "linux" and _lowest_best_effort():
        done.append("ionice best-effort 7")
    return done


def _lowest_best_effort() -> bool:
    """The lowest best-effort I/O priority. The idle class can starve a reader until it runs into its time-out."""
    try:
        import psutil
    except ImportError:
        return _ionice()
    try:
        psutil.Process().ionice(psutil.IOPRIO_CLASS_BE, 7)
    except psutil.Error:
        return False
    return True


def _ionice() -> bool:
    import subprocess  # here, so that workers, which never come here, start sooner

    command = ["/usr/bin/ionice", "-c", "2", "-n", "7", "-p", str(os.getpid())]
    try:
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


class RateLimit:
    """A limit on bytes a second that all processes share which have its file open.

    The file holds the moment on the monotonic clock at which the next byte is due. Who wants to read moves it on by
    what his bytes take, and waits until the moment that he found there. What was not used is forgotten, so a pause
    is not followed by a rush.
    """

    def __init__(self, max_bytes_per_second: float, descriptor: Optional[int] = None) -> None:
        if not max_bytes_per_second > 0:
            raise ValueError("a rate limit is more than 0 bytes a second")
        self.rate = max_bytes_per_second
        if descriptor is None:
            import tempfile  # here, so that workers, which never come here, start sooner

            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        else:
            self._file = os.fdopen(descriptor, "r+b", closefd=False)
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """The descriptor that another process needs to share this limit."""
        return self._file.fileno()

    def reserve(self, count: int) -> float:
        """Book `count` bytes; the seconds to wait before they may be read."""
        with self._lock:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                now = time.monotonic()
                raw = os.pread(self.fileno(), 8, 0)
                due = max(now, struct.unpack("=d", raw)[0]) if len(raw) == 8 else now
                os.pwrite(self.fileno(), struct.pack("=d", due + count / self.rate), 0)
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)
        return due - now

    def wait(self, count: int, alive: Callable[[], None] = lambda: None) -> None:
        """Book `count` bytes and sleep until they may be read; calls `alive` at least every half second."""
        until = time.monotonic() + self.reserve(count)
        while True:
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _NAP))
            alive()

    def close(self) -> None:
        """Close the shared file."""
        self._file.close()


class PageCache:
    """The part of an open file that was not cached before it was read, to be dropped again after the reading.

    Only windows of which no page was cached are dropped: whoever else reads the file keeps his pages. Where the system
    does not tell what is cached, nothing is dropped.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._cold = _cold_windows(descriptor, size) if size > CARE and _DONTNEED is not None else []
        if size > CARE and hasattr(fcntl, "F_NOCACHE"):  # macOS: what this descriptor reads does not enter the cache
            fcntl.fcntl(descriptor, fcntl.F_NOCACHE, 1)

    @property
    def was_cold(self) -> bool:
        """Whether some window waits to be dropped."""
        return bool(self._cold)

    def release(self, offset: int) -> None:
        """Drop what was cold and ends at or before `offset`; the last window ends at its file's end."""
        while self._cold and self._cold[-1] <= offset:
            end = self._cold.pop()
            start = (end - 1) // WINDOW * WINDOW
            try:
                os.posix_fadvise(self._descriptor, start, WINDOW, os.POSIX_FADV_DONTNEED)
            except OSError:
                self._cold = []  # a file system that cannot; the digests do not depend on it

    def release_all(self) -> None:
        """Drop all that was cold."""
        if self._cold:
            self.release(self._cold[0])


def _cold_windows(descriptor: int, size: int) -> List[int]:
    """The ends of the windows without a cached page, last one first."""
    from scanner.collector.system.cached_pages import (
        cached_pages,  # here: ctypes loads slowly, and most files are small
    )

    cold = []
    for start in range(0, size, WINDOW):
        cached = cached_pages(descriptor, start, min(WINDOW, size - start))
        if cached is None:
            return []
        if cached == 0:
            cold.append(min(start + WINDOW, size))
    return cold[::-1]
