"""What the parts of the collector hand to one another: what the walk found, and what the hash pass made of it."""

from __future__ import annotations

import errno
from typing import NamedTuple, Optional, Union


class WalkedEntry(NamedTuple):
    """One path as the walk saw it by `lstat`; a path that could not be listed or looked at has type ERROR."""

    path: bytes
    """Relative to the root, `/`-separated, never empty."""
    type: int
    """One of scanner.format.entry_type.EntryType."""
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    dev: int = 0
    ino: int = 0
    nlink: int = 1
    detail: Optional[bytes] = None
    """ERROR: errno name; LINK: target; SPECIAL: fifo, socket, block, char or mount; FILE: None."""
    stage: Optional[str] = None
    """ERROR: where it failed, `list` or `stat`."""


class HashedFile(NamedTuple):
    """A file read whole while it stood still. The stat fields are those of the read that gave the digests."""

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
    """A file that has no digests: `error` is an errno name, ECHANGED or ESHORT; `stage` is stat, open or read."""

    path: bytes
    error: str
    stage: str


class VanishedFile(NamedTuple):
    """A file that was gone between walk and read: absence, not an error."""

    path: bytes


FileResult = Union[HashedFile, FailedFile, VanishedFile]


def error_name(error: OSError) -> str:
    """The errno name of what the system refused, such as EACCES; EIO when it gave no number that has a name."""
    return errno.errorcode.get(error.errno or 0, "EIO")
