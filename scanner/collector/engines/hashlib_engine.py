"""The `hashlib` engine: one read of each file gives both digests, in this process."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from typing import TYPE_CHECKING, Iterator, List, Optional, Sequence, Tuple

from scanner.collector.engines.base import ALGORITHMS, Answer, Digests, Engine, Meter, Root, Tool
from scanner.collector.engines.reading import Opened, Reading, open_flags, read_carefully
from scanner.collector.entries import WalkedEntry
from scanner.collector.system.page_cache import CARE, PageCache

if TYPE_CHECKING:
    from hashlib import _Hash

_CHUNK = 256 << 10
"""Fits a core's second level cache, so that the second digest reads what the first one has just read."""
_WIDE_CHUNK = 1 << 20
_WIDE_AHEAD = 4
_WIDE_FROM = 32 << 20
"""With fewer bytes than this left, a second thread is not worth its start."""
_SMALL = 64 << 10
"""Up to this size one call reads a file, without a word to the page cache."""


class HashlibEngine(Engine):
    """SHA-256 and MD5 by Python's hashlib, which is OpenSSL's in most builds."""

    name = "hashlib"
    batch_bytes = 8 << 20
    lone = 8 << 20

    def __init__(self, version: str = "") -> None:
        """`version` is that of the library behind hashlib, for the statement."""
        self._version = version

    def hash(self, root: Root, files: Sequence[WalkedEntry], meter: Meter) -> Iterator[Tuple[int, Answer]]:
        """The answer for each file, in the order of `files`."""
        paced = meter.paced()
        for index, found in enumerate(files):
            answer: Optional[Answer] = None
            if found.size <= _SMALL:
                if paced:
                    meter.reserve(found.size)
                answer = _read_small(root.descriptor, found)
            yield index, answer or read_carefully(root, found, read_whole, meter)

    def tools(self) -> List[Tool]:
        """The library that computes, once for each algorithm."""
        return [
            {"algorithm": name, "path": "hashlib", "version": self._version, "profile": "hashlib"}
            for name in ALGORITHMS
        ]


def _read_small(root: int, found: WalkedEntry) -> Optional[Digests]:
    """The digests of a file that is read in one go; None when it is not, to the nanosecond, what the walk saw.

    One look after the reading is enough: what is as the walk saw it has stood still since. Nothing that was swapped in
    can do harm before that look: no link is followed and no open or read blocks.
    """
    path, _, size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino, *_ = found
    try:
        descriptor = os.open(path, open_flags(uid), dir_fd=root)
    except OSError:
        return None  # the careful reading meets it again and says what it is
    try:
        data = os.read(descriptor, size + 1)
        now = os.fstat(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    same = now[:3] == (mode, ino, dev) and now[4:6] == (uid, gid) and len(data) == size == now.st_size
    if same and now.st_mtime_ns == mtime_ns and now.st_ctime_ns == ctime_ns:
        return Digests(hashlib.sha256(data).digest(), hashlib.md5(data, usedforsecurity=False).digest())
    return None


def read_whole(opened: Opened, meter: Meter) -> Reading:
    """Both digests of one read, piece by piece; the page cache is relieved of what it did not hold before."""
    descriptor, size = opened.descriptor, opened.size
    cache = PageCache(descriptor, size)
    if size > CARE and hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    hashes = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    buffer = bytearray(min(_CHUNK, size + 1))
    view = memoryview(buffer)
    done = 0
    while done <= size:
        if size - done > _WIDE_FROM and meter.wide():
            return _read_wide(descriptor, size, meter, hashes, done, cache)
        want = min(len(buffer), size + 1 - done)
        meter.reserve(want)
        count = os.readv(descriptor, [buffer if want == len(buffer) else view[:want]])
        if count == 0:
            break
        data = buffer if count == len(buffer) else view[:count]
        for digest in hashes:
            digest.update(data)
        done += count
        meter.advance(count)
        cache.release(done)
    return Reading(hashes[0].digest(), hashes[1].digest(), done)


def _read_wide(
    descriptor: int, size: int, meter: Meter, hashes: Tuple[_Hash, _Hash], done: int, cache: PageCache
) -> Reading:
    """The rest of a large file, with MD5, the slower digest, on a thread of its own."""
    free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
    full: queue.SimpleQueue[Optional[Tuple[bytearray, int]]] = queue.SimpleQueue()
    for _ in range(_WIDE_AHEAD):
        free.put(bytearray(_WIDE_CHUNK))
    thread = threading.Thread(target=_drain, args=(full, free, hashes[1]))
    thread.start()
    try:
        while done <= size:
            want = min(_WIDE_CHUNK, size + 1 - done)
            meter.reserve(want)
            buffer = free.get()
            count = os.readv(descriptor, [memoryview(buffer)[:want]])
            if count == 0:
                break
            full.put((buffer, count))
            hashes[0].update(memoryview(buffer)[:count])
            done += count
            meter.advance(count)
            cache.release(done)
    finally:
        full.put(None)
        thread.join()
    return Reading(hashes[0].digest(), hashes[1].digest(), done)


def _drain(
    full: queue.SimpleQueue[Optional[Tuple[bytearray, int]]], free: queue.SimpleQueue[bytearray], digest: _Hash
) -> None:
    """The second thread: digest each buffer, in order, and give it back."""
    while True:
        item = full.get()
        if item is None:
            return
        buffer, count = item
        digest.update(memoryview(buffer)[:count])
        free.put(buffer)
