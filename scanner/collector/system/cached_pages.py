"""Which pages of a file are in the page cache, by the system's own account."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import sys
from functools import lru_cache
from typing import Callable, Optional

_LINUX_CACHESTAT = 451
_FAILED = ctypes.c_void_p(-1).value


def cached_pages(descriptor: int, start: int, length: int) -> Optional[int]:
    """How many pages of a range that begins at a page are cached; None where the system does not tell.

    Asks cachestat(2), Linux 6.5 and later, else mincore(2), which tells the truth of one's own files alone and calls
    every page of others' files cached.
    """
    pages = _cachestat(descriptor, start, length)
    return _mincore(descriptor, start, length) if pages is None else pages


def _cachestat(descriptor: int, start: int, length: int) -> Optional[int]:
    syscall = _cachestat_call()
    if syscall is None:
        return None
    extent = (ctypes.c_uint64 * 2)(start, length)
    answer = (ctypes.c_uint64 * 5)()  # cached, dirty, writeback, evicted, recently evicted
    if syscall(_LINUX_CACHESTAT, descriptor, extent, answer, 0) != 0:
        return None
    return int(answer[0])


def _mincore(descriptor: int, start: int, length: int) -> Optional[int]:
    """Maps the range without touching it: a page that is not there is not read, and a cut file does no harm."""
    library = _library()
    if library is None:
        return None
    address = library.mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, start)
    if address in (None, _FAILED):
        return None
    try:
        pages = ctypes.create_string_buffer(-(-length // mmap.PAGESIZE))
        if library.mincore(address, length, pages) != 0:
            return None
        return len(pages) - pages.raw.count(b"\0")
    finally:
        library.munmap(address, length)


@lru_cache(maxsize=1)
def _cachestat_call() -> Optional[Callable[..., int]]:
    """The syscall function of the C library where cachestat(2) works; its number is one on all machines but Alpha."""
    if sys.platform != "linux" or os.uname().machine == "alpha":
        return None
    try:
        function = ctypes.CDLL(None, use_errno=True).syscall
    except (OSError, AttributeError):
        return None
    function(_LINUX_CACHESTAT, -1, None, None, 0)
    return function if ctypes.get_errno() == errno.EBADF else None


@lru_cache(maxsize=1)
def _library() -> Optional[ctypes.CDLL]:
    """The C library with mmap(2) and mincore(2), where offsets have 64 bits."""
    if sys.maxsize <= 1 << 32:
        return None
    try:
        library = ctypes.CDLL(None)
        library.mmap.restype = ctypes.c_void_p
        library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_int64]
        library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        library.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    except (OSError, AttributeError):
        return None
    return library
