"""One file, read with care: opened without following links, checked to stand still, tried again when it does not."""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import Callable, NamedTuple

from scanner.collector.engines.base import Meter, Root
from scanner.collector.entries import FailedFile, FileResult, HashedFile, VanishedFile, WalkedEntry, error_name
from scanner.collector.system.directories import open_directory

READ_ONLY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NOATIME = getattr(os, "O_NOATIME", 0)
TRIES = 3
"""A file that does not stand still is read so often."""
_ERROR_TRIES = 2
"""A file whose reading fails is read so often: a first error may have passed."""
_PAUSE = 0.1
_BUSY = (errno.EAGAIN, errno.EINTR, errno.ETXTBSY)


class Reading(NamedTuple):
    """What was made of the bytes of one descriptor."""

    sha256: bytes
    md5: bytes
    read: int
    """The bytes that were read; more than the size when the file has grown."""


class Opened(NamedTuple):
    """A regular file, open and at its start."""

    descriptor: int
    size: int
    parent: int
    """The descriptor of its directory."""
    name: bytes
    flags: int

    def again(self) -> int:
        """A second descriptor of the same file, with an offset of its own. Raises OSError, Unsteady."""
        descriptor = open_file(self.name, self.parent, self.flags)
        if not os.path.samestat(os.fstat(descriptor), os.fstat(self.descriptor)):
            os.close(descriptor)
            raise Unsteady("ECHANGED", "open")
        os.set_blocking(descriptor, True)
        return descriptor


Reader = Callable[[Opened, Meter], Reading]
"""Reads a file to its end, and at most one byte beyond its size. Raises OSError, Unsteady."""


class Unsteady(Exception):
    """The file did not stand still, or was not read to its end."""

    def __init__(self, error: str, stage: str) -> None:
        super().__init__(error, stage)
        self.error = error
        self.stage = stage


def open_flags(owner: int) -> int:
    """How to open a file of this owner: without a mark on its access time where that is allowed."""
    return READ_ONLY | NOATIME if os.geteuid() in (0, owner) else READ_ONLY


def moved(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether two looks at a file saw different ones."""
    return (before.st_ino, before.st_dev, before.st_size, before.st_mtime_ns, before.st_ctime_ns) != (
        after.st_ino,
        after.st_dev,
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )


def read_carefully(root: Root, found: WalkedEntry, reader: Reader, meter: Meter, tries: int = TRIES) -> FileResult:
    """The digests of a file that stood still while it was read, or why there are none.

    What has the path's name by now is read, as long as it is a regular file on the device that the walk saw.
    """
    errors = 0
    result: FileResult = VanishedFile(found.path)
    for attempt in range(tries):
        if attempt:
            time.sleep(_PAUSE * attempt)
        meter.begin()
        try:
            return _attempt(root, found, reader, meter)
        except FileNotFoundError:
            return VanishedFile(found.path)
        except Unsteady as unsteady:
            result = FailedFile(found.path, unsteady.error, unsteady.stage)
        except _ReadError as failure:
            errors += 1
            result = FailedFile(found.path, error_name(failure.error), "read")
            if errors == _ERROR_TRIES:
                return result
        except OSError as error:
            result = FailedFile(found.path, error_name(error), "open")
            if error.errno not in _BUSY:
                return result
    return result


class _ReadError(Exception):
    """The system failed to read an open file."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def _attempt(root: Root, found: WalkedEntry, reader: Reader, meter: Meter) -> HashedFile:
    above, _, name = found.path.rpartition(b"/")
    parent = _open_parent(root, above)
    try:
        flags = open_flags(found.uid)
        descriptor = open_file(name, parent, flags)
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode) or before.st_dev != found.dev:
                raise Unsteady("ECHANGED", "open")
            reading = _read(Opened(descriptor, before.st_size, parent, name, flags), reader, meter)
            _check(reading, before, os.fstat(descriptor), os.lstat(name, dir_fd=parent))
        finally:
            os.close(descriptor)
    finally:
        os.close(parent)
    return hashed(found.path, reading.sha256, reading.md5, before)


def _open_parent(root: Root, above: bytes) -> int:
    try:
        return open_directory(root.descriptor, above)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EMLINK):
            raise FileNotFoundError(errno.ENOENT, "a directory above is none any more") from error
        raise


def open_file(name: bytes, folder: int, flags: int) -> int:
    """A descriptor of a file, without NOATIME where the system refuses that. Raises OSError."""
    try:
        return os.open(name, flags, dir_fd=folder)
    except PermissionError as error:
        if error.errno != errno.EPERM or not flags & NOATIME:
            raise
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):  # a symbolic link by now
            raise Unsteady("ECHANGED", "open") from error
        raise
    return os.open(name, flags & ~NOATIME, dir_fd=folder)


def _read(opened: Opened, reader: Reader, meter: Meter) -> Reading:
    os.set_blocking(opened.descriptor, True)  # it is a regular file: a file system that could answer EAGAIN must not
    try:
        return reader(opened, meter)
    except OSError as error:
        raise _ReadError(error) from error


def _check(reading: Reading, before: os.stat_result, after: os.stat_result, named: os.stat_result) -> None:
    if moved(before, after) or moved(after, named) or reading.read > before.st_size:
        raise Unsteady("ECHANGED", "read")
    if reading.read < before.st_size:
        raise Unsteady("ESHORT", "read")


def hashed(path: bytes, sha256: bytes, md5: bytes, status: os.stat_result) -> HashedFile:
    """The result for a file that stood still with this status."""
    return HashedFile(
        path,
        sha256,
        md5,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_dev,
        status.st_ino,
    )


def as_walked(found: WalkedEntry, status: os.stat_result) -> bool:
    """Whether a status is, to the nanosecond, what the walk saw of a regular file."""
    seen = (status.st_mode, status.st_ino, status.st_dev, status.st_uid, status.st_gid, status.st_size)
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return seen == (found.mode, found.ino, found.dev, found.uid, found.gid, found.size) and times == (
        found.mtime_ns,
        found.ctime_ns,
    )
