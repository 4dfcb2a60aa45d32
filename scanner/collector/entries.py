"""Name what the parts of the collector hand to each other: entries of the walk, and results of the hash pass."""

from __future__ import annotations

import errno
from typing import NamedTuple, Optional, Tuple, Union

_LOWEST = -(2**63)
_HIGHEST = 2**63 - 1
_UINT32_MASK = 2**32 - 1

RESOURCE_ERRORS = (errno.EMFILE, errno.ENFILE)
"""Errors that say nothing of a path: this process, or the machine, has no descriptor left."""


class WalkedEntry(NamedTuple):
    """One path as `lstat` described it during the walk.

    A path that could not be listed or examined has the type ERROR.
    """

    path: bytes
    """Relative to the root, separated by `/`, never empty."""
    type: int
    """Number of the EntryType."""
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    dev: int = 0
    ino: int = 0
    nlink: int = 1
    """Names of the file. 1 where inode numbers do not tell files apart: each name is then a file of its own."""
    detail: Optional[bytes] = None
    """ERROR: name of the errno; LINK: target; SPECIAL: fifo, socket, block, char or mount; FILE: None."""
    stage: Optional[str] = None
    """ERROR: what failed, `list` or `stat`."""


class HashedFile(NamedTuple):
    """A file that was read from start to end and did not change meanwhile.

    The stat fields are those of the read that gave the digests.
    """

    path: bytes
    sha256: bytes
    md5: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int
    uid: int
    gid: int
    dev: int
    ino: int


class FailedFile(NamedTuple):
    """A file without digests."""

    path: bytes
    error: str
    """Name of an errno, or ECHANGED or ESHORT."""
    stage: str
    """What failed: `stat`, `open` or `read`."""


class VanishedFile(NamedTuple):
    """A file that disappeared between walk and read. Its absence is no error."""

    path: bytes


FileResult = Union[HashedFile, FailedFile, VanishedFile]


def error_name(error: OSError) -> str:
    """Return the name of the errno, such as EACCES, or EIO for a number without a name."""
    return errno.errorcode.get(error.errno or 0, "EIO")


def fit_status(status: Tuple[int, ...]) -> Tuple[int, ...]:
    """Return size, mtime_ns, ctime_ns, mode, uid, gid, dev and ino within what SQLite and the report can hold."""
    if max(status) <= _HIGHEST and min(status) >= 0:
        return status  # nearly always, so the common case is two comparisons

    size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino = status
    return (
        size,
        _clamped(mtime_ns),
        _clamped(ctime_ns),
        mode,
        uid & _UINT32_MASK,
        gid & _UINT32_MASK,
        as_signed(dev),
        as_signed(ino),
    )


def _clamped(value: int) -> int:
    return max(_LOWEST, min(_HIGHEST, value))


def as_signed(value: int) -> int:
    """Return the signed 64-bit number with the bits of an unsigned one."""
    return value - 2**64 if value > _HIGHEST else value
