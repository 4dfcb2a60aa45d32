"""Leave the page cache as it was: drop what only the collector has read."""

from __future__ import annotations

import fcntl
import os
from typing import List

SMALL_FILE = 1 << 20
"""Files of at most this many bytes are not worth the system calls."""
WINDOW = 8 << 20
"""The cache is asked about, and relieved, by windows of this many bytes."""

_CAN_DROP = hasattr(os, "posix_fadvise")


class PageCache:
    """The part of an open file that was not cached before it was read, to be dropped after the read.

    Only windows without any cached page are dropped, so whoever else reads the file keeps its pages. Where the system
    does not tell what is cached, nothing is dropped.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._cold_ends: List[int] = []
        """Offset of the end of each window to be dropped, last one first."""
        if size <= SMALL_FILE:
            return

        if _CAN_DROP:
            self._cold_ends = _find_cold_windows(descriptor, size)
        # macOS: what this descriptor reads does not enter the cache.
        if hasattr(fcntl, "F_NOCACHE"):
            fcntl.fcntl(descriptor, fcntl.F_NOCACHE, 1)

    @property
    def was_cold(self) -> bool:
        """Return whether a window is still to be dropped."""
        return bool(self._cold_ends)

    def release(self, offset: int) -> None:
        """Drop the cold windows that end at or before `offset`. The last window ends where its file ends."""
        while self._cold_ends and self._cold_ends[-1] <= offset:
            end = self._cold_ends.pop()
            start = (end - 1) // WINDOW * WINDOW
            try:
                os.posix_fadvise(self._descriptor, start, WINDOW, os.POSIX_FADV_DONTNEED)
            except OSError:
                # The file system cannot do it. The digests do not depend on it.
                self._cold_ends = []

    def release_all(self) -> None:
        """Drop all cold windows."""
        if self._cold_ends:
            self.release(self._cold_ends[0])


def _find_cold_windows(descriptor: int, size: int) -> List[int]:
    """Return the offset of the end of each window without a cached page, last one first."""
    # Imported here because ctypes loads slowly and most files are small.
    from scanner.collector.system.cached_pages import count_cached_pages

    ends = []
    for start in range(0, size, WINDOW):
        cached = count_cached_pages(descriptor, start, min(WINDOW, size - start))
        if cached is None:
            return []
        if cached == 0:
            ends.append(min(start + WINDOW, size))
    return ends[::-1]
