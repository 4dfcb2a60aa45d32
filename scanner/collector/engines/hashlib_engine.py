"""The `hashlib` engine: read each file once and compute both digests in this process."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from typing import TYPE_CHECKING, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from scanner.collector.engines.base import ALGORITHMS, Answer, Digests, Engine, Meter, Root, ToolDescription
from scanner.collector.engines.reading import OpenFile, Reading, open_flags, read_carefully
from scanner.collector.entries import WalkedEntry
from scanner.collector.system.page_cache import SMALL_FILE, PageCache

if TYPE_CHECKING:
    from hashlib import _Hash

_ONE_READ = 64 << 10
"""A file of at most this many bytes is read by one call, and the page cache is left alone."""
_BUFFER = 256 << 10
"""Fits the second level cache of a core, so that the second digest reads what the first one has just read."""

_MIN_BYTES_FOR_THREAD = 32 << 20
"""With fewer bytes left, a second thread is not worth its start."""
_THREAD_BUFFER = 1 << 20
_THREAD_BUFFERS = 4


class HashlibEngine(Engine):
    """SHA-256 and MD5 by Python's hashlib, which is OpenSSL in most builds."""

    name = "hashlib"
    batch_bytes = 8 << 20
    large_file_bytes = 8 << 20

    def __init__(self, version: str = "") -> None:
        """`version` is that of the library behind hashlib, for the statement."""
        self._version = version

    def hash_files(self, root: Root, files: Sequence[WalkedEntry], meter: Meter) -> Iterator[Tuple[int, Answer]]:
        """Yield the index and answer of each file, in the order of `files`."""
        is_rate_limited = meter.is_rate_limited()
        for index, entry in enumerate(files):
            answer: Optional[Answer] = None
            # Most files are small, and what they cost is calls, not bytes.
            if entry.size <= _ONE_READ:
                if is_rate_limited:
                    meter.reserve(entry.size)
                answer = _read_small_file(root.descriptor, entry)

            yield index, answer or read_carefully(root, entry, read_whole_file, meter)

    def describe_tools(self) -> List[ToolDescription]:
        """Return the library that computes, once for each algorithm."""
        return [
            {"algorithm": algorithm, "path": "hashlib", "version": self._version, "profile": "hashlib"}
            for algorithm in ALGORITHMS
        ]


def _read_small_file(root: int, entry: WalkedEntry) -> Optional[Digests]:
    """Return the digests of a file that is read by one call, or None when it is not, to the nanosecond, as walked.

    One look after the read is enough: what is as the walk saw it has not changed since. Nothing that was swapped in can
    do harm before that look: no link is followed, and neither open nor read blocks.
    """
    # Unpacked and compared field by field, because this runs once a small file, and most files are small.
    path, _, size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino, *_ = entry
    try:
        descriptor = os.open(path, open_flags(uid), dir_fd=root)
    except OSError:
        # The careful read meets the error again and names it.
        return None

    try:
        data = os.read(descriptor, size + 1)
        status = os.fstat(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)

    # A stat_result begins with mode, inode, device, number of links, owner, group.
    is_same_file = status[:3] == (mode, ino, dev) and status[4:6] == (uid, gid)
    is_whole = len(data) == size == status.st_size
    if is_same_file and is_whole and status.st_mtime_ns == mtime_ns and status.st_ctime_ns == ctime_ns:
        return Digests(hashlib.sha256(data).digest(), hashlib.md5(data, usedforsecurity=False).digest())
    return None


def read_whole_file(file: OpenFile, meter: Meter) -> Reading:
    """Read a file piece by piece into both digests. The page cache is relieved of what it did not hold before."""
    descriptor = file.descriptor
    size = file.size
    cache = PageCache(descriptor, size)
    # With this advice the kernel reads further ahead.
    if size > SMALL_FILE and hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)

    sha256 = hashlib.sha256()
    md5 = hashlib.md5(usedforsecurity=False)
    may_have_thread = True
    buffer = bytearray(min(_BUFFER, size + 1))
    view = memoryview(buffer)
    done = 0
    # One byte more than the size is asked for, which tells whether the file has grown.
    while done <= size:
        if may_have_thread and size - done > _MIN_BYTES_FOR_THREAD and meter.may_use_second_thread():
            try:
                thread = _Md5Thread(md5)
            except RuntimeError:
                # The system starts no thread.
                may_have_thread = False
            else:
                return _read_with_thread(_Rest(descriptor, size, done), sha256, thread, meter, cache)

        request = min(len(buffer), size + 1 - done)
        meter.reserve(request)
        count = os.readv(descriptor, [view[:request]])
        if count == 0:
            break

        data = view[:count]
        sha256.update(data)
        md5.update(data)
        done += count

        meter.advance(count)
        cache.release(done)
    return Reading(sha256.digest(), md5.digest(), done)


class _Rest(NamedTuple):
    """A file that has been read up to an offset."""

    descriptor: int
    size: int
    offset: int


class _Md5Thread:
    """A thread that computes MD5, the slower digest, of buffers that it takes in their order and gives back."""

    def __init__(self, md5: _Hash) -> None:
        self.md5 = md5
        self._free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        self._full: queue.SimpleQueue[Optional[Tuple[bytearray, int]]] = queue.SimpleQueue()
        # A fixed number of buffers goes round, so that reading cannot run far ahead of MD5.
        for _ in range(_THREAD_BUFFERS):
            self._free.put(bytearray(_THREAD_BUFFER))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def take_buffer(self) -> bytearray:
        """Return a free buffer, as soon as there is one."""
        return self._free.get()

    def digest(self, buffer: bytearray, count: int) -> None:
        """Have the first `count` bytes of a buffer digested."""
        self._full.put((buffer, count))

    def finish(self) -> None:
        """Wait until all is digested, and end."""
        self._full.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            item = self._full.get()
            if item is None:
                return
            buffer, count = item
            self.md5.update(memoryview(buffer)[:count])
            self._free.put(buffer)


def _read_with_thread(rest: _Rest, sha256: _Hash, thread: _Md5Thread, meter: Meter, cache: PageCache) -> Reading:
    """Read the rest of a large file, with MD5 on a thread of its own."""
    done = rest.offset
    try:
        while done <= rest.size:
            request = min(_THREAD_BUFFER, rest.size + 1 - done)
            meter.reserve(request)
            buffer = thread.take_buffer()
            count = os.readv(rest.descriptor, [memoryview(buffer)[:request]])
            if count == 0:
                break

            # Both digests read the same buffer at once.
            thread.digest(buffer, count)
            sha256.update(memoryview(buffer)[:count])
            done += count

            meter.advance(count)
            cache.release(done)
    finally:
        thread.finish()
    return Reading(sha256.digest(), thread.md5.digest(), done)
