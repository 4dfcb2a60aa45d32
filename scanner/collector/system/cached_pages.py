"""Ask the system which pages of a file are in the page cache."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import sys
from functools import lru_cache
from typing import Callable, Optional

_LINUX_CACHESTAT = 451
"""The number of the system call: the same on all machines but Alpha."""
_MINCORE_PIECE = 1 << 30
_MAP_FAILED = ctypes.c_void_p(-1).value


def tells_any_length() -> bool:
    """Return whether a range of any length is one question to the system."""
    return _cachestat_call() is not None


def count_cached_pages(descriptor: int, start: int, length: int) -> Optional[int]:
    """Return how many pages of a range are cached, or None where the system does not tell. The range begins at a page.

    Asks cachestat(2) of Linux 6.5 and later, else mincore(2), which tells the truth only of files that the caller may
    write and calls every page of others cached.
    """
    pages = _cachestat(descriptor, start, length)
    if pages is not None:
        return pages
    return _mincore(descriptor, start, length)


def _cachestat(descriptor: int, start: int, length: int) -> Optional[int]:
    syscall = _cachestat_call()
    if syscall is None:
        return None

    extent = (ctypes.c_uint64 * 2)(start, length)
    # struct cachestat: cached, dirty, writeback, evicted, recently evicted.
    counts = (ctypes.c_uint64 * 5)()
    if syscall(_LINUX_CACHESTAT, descriptor, extent, counts, 0) != 0:
        return None
    return int(counts[0])


def _mincore(descriptor: int, start: int, length: int) -> Optional[int]:
    """Map the range without touching it: no page is read, and a file that is truncated meanwhile does no harm."""
    library = _c_library()
    if library is None:
        return None

    # Piece by piece: the system answers with a byte for each page.
    count = 0
    for piece_start in range(start, start + length, _MINCORE_PIECE):
        piece_length = min(_MINCORE_PIECE, start + length - piece_start)
        pages = _mincore_piece(library, descriptor, piece_start, piece_length)
        if pages is None:
            return None
        count += pages
    return count


def _mincore_piece(library: ctypes.CDLL, descriptor: int, start: int, length: int) -> Optional[int]:
    address = library.mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, start)
    if address in (None, _MAP_FAILED):
        return None

    try:
        page_flags = ctypes.create_string_buffer(-(-length // mmap.PAGESIZE))
        if library.mincore(address, length, page_flags) != 0:
            return None
        return len(page_flags) - page_flags.raw.count(b"\0")
    finally:
        library.munmap(address, length)


@lru_cache(maxsize=1)
def _cachestat_call() -> Optional[Callable[..., int]]:
    """Return syscall(2) of the C library where cachestat(2) works."""
    if sys.platform != "linux" or os.uname().machine == "alpha":
        return None
    try:
        syscall = ctypes.CDLL(None, use_errno=True).syscall
    except (OSError, AttributeError):
        return None

    # A kernel that knows the call answers EBADF to a wrong descriptor, an older one ENOSYS.
    syscall(_LINUX_CACHESTAT, -1, None, None, 0)
    if ctypes.get_errno() != errno.EBADF:
        return None
    return syscall


@lru_cache(maxsize=1)
def _c_library() -> Optional[ctypes.CDLL]:
    """Return the C library with mmap(2) and mincore(2) declared, where offsets have 64 bits."""
    if sys.maxsize <= 1 << 32:
        return None

    # Without declared types ctypes passes addresses and offsets as 32-bit integers.
    try:
        library = ctypes.CDLL(None)
        library.mmap.restype = ctypes.c_void_p
        library.mmap.argtypes = [
            ctypes.c_void_p,
            ctypes.c_size_t,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_int64,
        ]
        library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        library.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    except (OSError, AttributeError):
        return None
    return library
