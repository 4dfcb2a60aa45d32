"""When a ctime that stayed the same proves that no program wrote a file through the file system.

Two things must hold: the file system stamps each write itself, by this machine's clock, and the stamp was old when the
file was read last. What is not proven so is told as a file that somebody may have written.
"""

from __future__ import annotations

from typing import Optional

from scanner.collector.system import filesystem
from scanner.collector.system.filesystem import FileSystem

SETTLED_NS = 60 * 10**9
"""How old a stamp must have been when the file was read. A page that is dirty already is written through a memory map
without a new stamp, until the system has put it on the disk: Linux does so within 35 s, by its defaults of 30 s for the
age of a page (vm.dirty_expire_centisecs) and 5 s between rounds. It covers the ticks of all clocks, too."""

TRUSTED_TYPES = frozenset(
    {
        *("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "nilfs2", "reiserfs", "bcachefs"),
        *("ufs", "ffs"),
        *("apfs", "hfs"),
    }
)
"""File systems with a ctime of their own, by the names of Linux, of the BSDs and SunOS, and of macOS. All others prove
nothing: tmpfs and ramfs stamp no write through a map; FAT and its kind keep no ctime; what passes on another file
system (fuse, 9p, virtiofs, overlay, nullfs) shows the stamps of one that is not known; and those of a network (NFS,
SMB, WebDAV) come from another machine's clock."""


def ctimes_are_trusted(root: bytes, file_system: Optional[FileSystem], cross_mounts: bool) -> bool:
    """Whether the ctimes below `root` can prove anything: on `file_system`, which holds it, and with `cross_mounts` on
    all that is mounted below it, too."""
    types = {file_system.type if file_system else ""}
    if cross_mounts:
        types.update(mount.type for mount in filesystem.mounts_below(root))
    return types <= TRUSTED_TYPES
