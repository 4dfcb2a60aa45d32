"""Read one file with care: follow no link, check that the file does not change meanwhile, try again when it does."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from typing import Callable, NamedTuple, Optional

from scanner.collector.engines.base import Meter, Root
from scanner.collector.entries import (
    RESOURCE_ERRORS,
    FailedFile,
    FileResult,
    HashedFile,
    VanishedFile,
    WalkedEntry,
    as_signed,
    error_name,
)
from scanner.collector.system.directories import open_directory
from scanner.collector.system.filesystem import inodes_are_numbered, mount_number

READ_ONLY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""O_NONBLOCK: a FIFO that has taken a file's name must not block the open."""
NO_ACCESS_TIME = getattr(os, "O_NOATIME", 0)

TRIES = 3
"""How often a file is read that changes each time."""
_TRIES_AFTER_ERRORS = 2
"""How often a file is read whose reading fails: a first error may pass."""
_PAUSE_SECONDS = 0.1

_GIANT = 1 << 44
"""16 TiB, the largest file of ext4."""
_HOLES_FOR_DATA = 1024

_PASSING_ERRORS = (errno.EAGAIN, errno.EINTR, errno.ETXTBSY)
_LINK_ERRORS = (errno.ELOOP, errno.EMLINK)
"""What open(2) says of a symbolic link under O_NOFOLLOW; EMLINK is FreeBSD's word."""


class Reading(NamedTuple):
    """Result of reading one descriptor to its end."""

    sha256: bytes
    md5: bytes
    byte_count: int
    """Bytes that were read. More than the size when the file has grown."""


class OpenFile(NamedTuple):
    """A regular file, open and at its start."""

    descriptor: int
    size: int
    parent: int
    """Descriptor of its directory."""
    name: bytes
    flags: int

    def open_again(self) -> int:
        """Return a second descriptor of the same file, with an offset of its own. Raise OSError, UnstableFileError."""
        descriptor = self._open_by_descriptor()
        if descriptor is None:
            descriptor = open_file(self.name, self.parent, self.flags)
        if not os.path.samestat(os.fstat(descriptor), os.fstat(self.descriptor)):
            os.close(descriptor)
            raise UnstableFileError("ECHANGED", "open")
        # It is a regular file, as the first descriptor proved.
        os.set_blocking(descriptor, True)
        return descriptor

    def _open_by_descriptor(self) -> Optional[int]:
        """Return a descriptor of the very file, without its name, where Linux' /proc leads to it.

        Elsewhere such a path gives a descriptor with the same offset.
        """
        if sys.platform != "linux":
            return None
        try:
            return os.open(f"/proc/self/fd/{self.descriptor}", os.O_RDONLY | os.O_CLOEXEC | self.flags & NO_ACCESS_TIME)
        except OSError:
            return None


Reader = Callable[[OpenFile, Meter], Reading]
"""Reads a file to its end, and at most one byte beyond its size. Raises OSError, UnstableFileError."""


class UnstableFileError(Exception):
    """The file changed while it was read, or was not read to its end."""

    def __init__(self, error: str, stage: str) -> None:
        super().__init__(error, stage)
        self.error = error
        """ECHANGED or ESHORT."""
        self.stage = stage


class _ReadError(Exception):
    """The system failed to read an open file."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def open_flags(owner: int) -> int:
    """Return the flags of open(2) for a file of this owner.

    Only the owner and root may read without changing the access time.
    """
    if os.geteuid() in (0, owner):
        return READ_ONLY | NO_ACCESS_TIME
    return READ_ONLY


def open_file(name: bytes, directory: int, flags: int) -> int:
    """Return a descriptor of a file, without NO_ACCESS_TIME where the system refuses that.

    Raise UnstableFileError for a symbolic link, else OSError.
    """
    try:
        return os.open(name, flags, dir_fd=directory)
    except PermissionError as error:
        # EPERM means that O_NOATIME is not allowed, EACCES that the file is closed to this user.
        if error.errno != errno.EPERM or not flags & NO_ACCESS_TIME:
            raise
    except OSError as error:
        if error.errno in _LINK_ERRORS:
            raise UnstableFileError("ECHANGED", "open") from error
        raise
    return os.open(name, flags & ~NO_ACCESS_TIME, dir_fd=directory)


def read_carefully(root: Root, entry: WalkedEntry, reader: Reader, meter: Meter, tries: int = TRIES) -> FileResult:
    """Return the digests of a file that did not change while it was read, or why there are none.

    Whatever has the path's name by now is read, as long as it is a regular file on the device that the walk saw.
    """
    read_errors = 0
    result: FileResult = VanishedFile(entry.path)
    for attempt in range(tries):
        if attempt:
            time.sleep(_PAUSE_SECONDS * attempt)
        meter.start_file()

        try:
            return _read_once(root, entry, reader, meter)
        except FileNotFoundError:
            return VanishedFile(entry.path)
        except UnstableFileError as unstable:
            result = FailedFile(entry.path, unstable.error, unstable.stage)
        except _ReadError as failure:
            result = FailedFile(entry.path, error_name(failure.error), "read")
            read_errors += 1
            if read_errors == _TRIES_AFTER_ERRORS:
                return result
        except OSError as error:
            if error.errno in RESOURCE_ERRORS:
                raise
            result = FailedFile(entry.path, error_name(error), "open")
            if error.errno not in _PASSING_ERRORS:
                return result
    return result


def _read_once(root: Root, entry: WalkedEntry, reader: Reader, meter: Meter) -> HashedFile:
    directory_path, _, name = entry.path.rpartition(b"/")
    directory = _open_parent(root, directory_path)
    try:
        flags = open_flags(entry.uid)
        descriptor = open_file(name, directory, flags)
        # From here on the descriptor is what counts: the name may lead elsewhere at any moment.
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode) or not _is_on_walked_device(root, directory, descriptor, before, entry):
                raise UnstableFileError("ECHANGED", "open")
            if is_sparse_giant(before):
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

            file = OpenFile(descriptor, before.st_size, directory, name, flags)
            reading = _call_reader(reader, file, meter)
            by_descriptor = os.fstat(descriptor)
            by_name = os.lstat(name, dir_fd=directory)
            if _differs_in_inode_alone(by_descriptor, by_name) and not _has_numbered_inodes(root, entry, descriptor):
                # The number says nothing here. All else does.
                by_name = by_descriptor
            _check_unchanged(reading, before, by_descriptor, by_name)
        finally:
            os.close(descriptor)
    finally:
        os.close(directory)
    return hashed_file(entry.path, reading.sha256, reading.md5, before)


def _is_on_walked_device(
    root: Root, directory: int, descriptor: int, status: os.stat_result, entry: WalkedEntry
) -> bool:
    """Return whether an open file is on the device on which the walk saw it, as far as can be told."""
    if as_signed(status.st_dev) == as_signed(entry.dev):
        return True
    # In an overlay a file has the number of its layer, and gets another one when it is first written. Its directory has
    # the number of the overlay.
    if os.fstat(directory).st_dev != os.fstat(root.descriptor).st_dev:
        return False
    mount = mount_number(descriptor)
    return mount >= 0 and mount == mount_number(root.descriptor)


def is_sparse_giant(status: os.stat_result) -> bool:
    """Return whether a file is nearly all hole, and so large that to read it takes from hours to centuries.

    Any user makes such a file within a second. Nothing that was ever written looks like it.
    """
    return status.st_size >= _GIANT and status.st_blocks * 512 < status.st_size // _HOLES_FOR_DATA


def _differs_in_inode_alone(before: os.stat_result, after: os.stat_result) -> bool:
    same_otherwise = (before.st_dev, before.st_mode, before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_dev,
        after.st_mode,
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )
    return same_otherwise and before.st_ino != after.st_ino


def _has_numbered_inodes(root: Root, entry: WalkedEntry, descriptor: int) -> bool:
    return inodes_are_numbered(descriptor, os.path.join(os.path.realpath(root.path), entry.path))


def _open_parent(root: Root, path: bytes) -> int:
    try:
        return open_directory(root.descriptor, path)
    except OSError as error:
        # The directory was replaced by something else: what was below it has vanished.
        if error.errno == errno.ENOTDIR or error.errno in _LINK_ERRORS:
            raise FileNotFoundError(errno.ENOENT, "a directory above is none any more") from error
        raise


def _call_reader(reader: Reader, file: OpenFile, meter: Meter) -> Reading:
    # The file is known to be a regular one now: a file system that could answer EAGAIN must not.
    os.set_blocking(file.descriptor, True)
    try:
        return reader(file, meter)
    except OSError as error:
        raise _ReadError(error) from error


def _check_unchanged(
    reading: Reading, before: os.stat_result, by_descriptor: os.stat_result, by_name: os.stat_result
) -> None:
    """Raise UnstableFileError unless the file, whole and unchanged, is still the one that has the name."""
    if has_changed(before, by_descriptor) or has_changed(by_descriptor, by_name) or reading.byte_count > before.st_size:
        raise UnstableFileError("ECHANGED", "read")
    if reading.byte_count < before.st_size:
        raise UnstableFileError("ESHORT", "read")


def has_changed(before: os.stat_result, after: os.stat_result) -> bool:
    """Return whether two looks at a file saw another file, size or time."""
    return (before.st_ino, before.st_dev, before.st_size, before.st_mtime_ns, before.st_ctime_ns) != (
        after.st_ino,
        after.st_dev,
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )


def hashed_file(path: bytes, sha256: bytes, md5: bytes, status: os.stat_result) -> HashedFile:
    """Return the result for a file that had this status before and after it was read."""
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


def is_as_walked(entry: WalkedEntry, status: os.stat_result) -> bool:
    """Return whether a status is, to the nanosecond, what the walk saw of a regular file."""
    return (
        status.st_mode == entry.mode
        and status.st_ino == entry.ino
        and status.st_dev == entry.dev
        and status.st_uid == entry.uid
        and status.st_gid == entry.gid
        and status.st_size == entry.size
        and status.st_mtime_ns == entry.mtime_ns
        and status.st_ctime_ns == entry.ctime_ns
    )
