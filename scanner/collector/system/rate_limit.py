"""Limit the rate of reading, over all processes of a run together."""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
from typing import Callable, Optional

_LONGEST_SLEEP = 0.5
_MOMENT = struct.Struct("=d")


class RateLimit:
    """A limit on bytes a second, shared by all processes that have its file open.

    The file holds the moment, on the monotonic clock, at which the next byte is due. Whoever wants to read advances
    this moment by the time that its bytes take, and waits for the moment that the file held before. Time that nobody
    used is forgotten, so that a pause is not followed by a rush.
    """

    def __init__(self, max_bytes_per_second: float, descriptor: Optional[int] = None) -> None:
        """Make a new limit, or share the one whose file is open as `descriptor`."""
        # Not `<= 0`, which NaN would pass.
        if not max_bytes_per_second > 0:
            raise ValueError("a rate limit is more than 0 bytes a second")
        self.rate = max_bytes_per_second
        self._lock = threading.Lock()
        if descriptor is None:
            # Imported here and not above, so that workers, which never need it, start sooner.
            import tempfile

            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        else:
            self._file = os.fdopen(descriptor, "r+b", closefd=False)

    def fileno(self) -> int:
        """Return the descriptor that another process needs to share this limit."""
        return self._file.fileno()

    def reserve(self, byte_count: int) -> float:
        """Book bytes. Return the seconds to wait before they may be read."""
        # The lock of the file holds between processes, not between threads of one process.
        with self._lock:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                # The monotonic clock is the same in all processes, and no change of the time of day disturbs it.
                now = time.monotonic()
                due = now

                content = os.pread(self.fileno(), _MOMENT.size, 0)
                if len(content) == _MOMENT.size:
                    due = max(now, _MOMENT.unpack(content)[0])

                os.pwrite(self.fileno(), _MOMENT.pack(due + byte_count / self.rate), 0)
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)
        return due - now

    def wait(self, byte_count: int, keep_alive: Callable[[], None] = lambda: None) -> None:
        """Book bytes and sleep until they may be read. Call `keep_alive` at least every half second meanwhile."""
        deadline = time.monotonic() + self.reserve(byte_count)
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return
            time.sleep(min(remaining, _LONGEST_SLEEP))
            keep_alive()

    def close(self) -> None:
        """Close the shared file."""
        self._file.close()
