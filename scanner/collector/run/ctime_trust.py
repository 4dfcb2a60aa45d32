"""Decide where an unchanged ctime proves that no program wrote a file through the file system.

Two things must hold: the file system itself stamps each write, by this machine's clock, and the stamp was old when the
file was last read. Where they do not hold, the file counts as one that a program may have written.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from scanner.collector.system import filesystem
from scanner.collector.system.filesystem import FileSystem

SETTLED_NS = 60 * 10**9
"""Age that a stamp must have had when the file was read.

A page that is dirty already can be written through a memory map without a new stamp, until the system has put the page
on the disk. Linux does that within 35 s, by its defaults of 30 s for the age of a page (vm.dirty_expire_centisecs) and
5 s between two rounds. The minute also covers the ticks of all clocks.
"""

TRUSTED_TYPES = filesystem.LOCAL_TYPES
"""File systems that keep a ctime of their own, by their names on Linux, the BSDs, SunOS and macOS.

All others prove nothing. tmpfs and ramfs do not stamp a write through a map. FAT and its relatives keep no ctime. A
file system that passes on another one (fuse, 9p, virtiofs, overlay, nullfs) shows stamps of unknown origin. Stamps of a
network file system (NFS, SMB, WebDAV) come from another machine's clock.
"""


class FileSystemTrust(NamedTuple):
    """Kinds of numbers that can be relied on below a root."""

    ctimes: bool
    """Whether an unchanged ctime can prove anything."""
    inodes: bool
    """Whether an inode number belongs to one file as long as that is there, under whatever name."""
    one_device: bool
    """Whether all files are on one device. Its number may be another one after a reboot."""


def assess_trust(root: bytes, file_system: Optional[FileSystem], cross_mounts: bool) -> FileSystemTrust:
    """Return what can be relied on below `root`.

    `file_system` is the one of the root. With `cross_mounts`, all that is mounted below the root must be trusted too.
    """
    types = {file_system.type if file_system else ""}
    if cross_mounts:
        types.update(mount.type for mount in filesystem.mounts_below(root) if not mount.is_pseudo)
    return FileSystemTrust(
        ctimes=types <= TRUSTED_TYPES, inodes=types <= filesystem.NUMBERED_TYPES, one_device=not cross_mounts
    )
