"""Leave the page cache as it was: drop what only the collector has read."""

from __future__ import annotations

import fcntl
import os
from typing import List, NamedTuple

SMALL_FILE = 1 << 20
"""Files of at most this many bytes are not worth the system calls."""
WINDOW = 8 << 20
"""The cache is asked about, and relieved, by windows of this many bytes."""

_MOST_RANGES = 4096
_MOST_WINDOWS = 1 << 17
"""A larger file is left alone where each window has to be asked about: a tebibyte."""
_LONGEST_DROP = (1 << 63) - 1

_CAN_DROP = hasattr(os, "posix_fadvise")


class _Range(NamedTuple):
    start: int
    end: int


class PageCache:
    """The part of an open file that was not cached before it was read, to be dropped after the read.

    Only windows without any cached page are dropped, so whoever else reads the file keeps its pages. Where the system
    does not tell what is cached, nothing is dropped.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._cold_ranges: List[_Range] = []
        """Ranges to be dropped, last one first."""
        if size <= SMALL_FILE:
            return

        if _CAN_DROP:
            self._cold_ranges = _find_cold_ranges(descriptor, size)
        # macOS: what this descriptor reads does not enter the cache.
        if hasattr(fcntl, "F_NOCACHE"):
            fcntl.fcntl(descriptor, fcntl.F_NOCACHE, 1)

    def release(self, offset: int) -> None:
        """Drop the cold windows that end at or before `offset`. The last window ends where its file ends."""
        while self._cold_ranges and self._cold_ranges[-1].start < offset:
            start, end = self._cold_ranges.pop()
            stop = end if offset >= end else offset // WINDOW * WINDOW
            if stop < end:
                self._cold_ranges.append(_Range(max(start, stop), end))
            if stop <= start:
                return

            # Whole windows: a part of a page would not be dropped.
            length = -(-(stop - start) // WINDOW) * WINDOW
            try:
                os.posix_fadvise(self._descriptor, start, min(length, _LONGEST_DROP - start), os.POSIX_FADV_DONTNEED)
            except OSError:
                # The file system cannot do it. The digests do not depend on it.
                self._cold_ranges = []

    def release_all(self) -> None:
        """Drop all cold windows."""
        if self._cold_ranges:
            self.release(self._cold_ranges[0].end)


def _find_cold_ranges(descriptor: int, size: int) -> List[_Range]:
    """Return the ranges of windows without a cached page, last one first; none where the system does not tell.

    A sparse file can have more windows than memory has room for, so whole ranges are asked about and cut in halves.
    """
    # Imported here because ctypes loads slowly and most files are small.
    from scanner.collector.system import cached_pages

    waiting = [_Range(0, size)]
    if not cached_pages.tells_any_length():
        if size > _MOST_WINDOWS * WINDOW:
            return []
        waiting = [_Range(start, min(start + WINDOW, size)) for start in range(0, size, WINDOW)][::-1]

    ranges: List[_Range] = []
    while waiting and len(ranges) < _MOST_RANGES:
        start, end = waiting.pop()
        cached = cached_pages.count_cached_pages(descriptor, start, end - start)
        if cached is None:
            return []
        if cached == 0:
            ranges.append(_Range(start, end))
        elif end - start > WINDOW:
            middle = start + (end - start) // WINDOW // 2 * WINDOW
            middle = max(middle, start + WINDOW)
            waiting += [_Range(middle, end), _Range(start, middle)]
    return ranges[::-1]
