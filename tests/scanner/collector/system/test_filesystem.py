"""A file system is identified by values that survive a reboot, and mounts below a root are found."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from scanner.collector.system import filesystem
from scanner.collector.system.directories import RootError
from scanner.collector.system.filesystem import FileSystem, Mount, identify_filesystem

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

MOUNTINFO = rb"""22 27 0:20 / /proc rw,relatime shared:5 - proc proc rw
27 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
40 27 0:36 /@data /srv/data\040disk rw,relatime shared:1 master:2 - btrfs /dev/sdb1 rw,subvol=/@data
41 27 0:44 / /mnt/nas\134x rw - nfs4 nas:/export/\040a rw,vers=4.2
garbage
"""

MNTTAB = (
    b"rpool/ROOT/omnios\t/\tzfs\trw,devices,dev=4410002\t1700000000\nswap\t/tmp\ttmpfs\txattr,dev=8580003\t1700000001\n"
)

MACOS = b"""/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect, root data)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
/dev/disk5s1 on /Volumes/My (odd) Disk (hfs, local, nodev)
"""

FREEBSD = b"""/dev/ada0p2 on / (ufs, local, journaled soft-updates, writes: sync 12 async 34, fsid 9c8b7a6d5e4f3210)
zroot/data on /data (zfs, local, noatime, nfsv4acls, fsid aabbccddde112233)
devfs on /dev (devfs)
"""

OPENBSD = b"""/dev/sd0a (6f2f9c2f3f5f4e6d.a) on / type ffs (rw, local, ctime=Mon Jan  5 10:00:00 2026)
nas:/export on /mnt/nas type nfs (v3, udp)
"""


def test_mountinfo() -> None:
    """Linux' table gives point, type, source and number, with the octal escapes undone; a torn line is none."""
    assert list(filesystem.parse_mountinfo(MOUNTINFO)) == [
        Mount(b"/proc", "proc", b"proc", number=22),
        Mount(b"/", "ext4", b"/dev/vda1", number=27),
        Mount(b"/srv/data disk", "btrfs", b"/dev/sdb1", number=40),
        Mount(b"/mnt/nas\\x", "nfs4", b"nas:/export/ a", number=41),
    ]


def test_mnttab() -> None:
    """SunOS' table gives point, type and source; a ZFS dataset's name is what stays."""
    assert list(filesystem.parse_mnttab(MNTTAB)) == [
        Mount(b"/", "zfs", b"rpool/ROOT/omnios"),
        Mount(b"/tmp", "tmpfs", b"swap"),
    ]


def test_macos_mount() -> None:
    """The output of mount(8) on macOS is read, also where a volume's name holds brackets."""
    assert list(filesystem.parse_mount(MACOS)) == [
        Mount(b"/", "apfs", b"/dev/disk3s1s1"),
        Mount(b"/System/Volumes/Data", "apfs", b"/dev/disk3s5"),
        Mount(b"/System/Volumes/Data/home", "autofs", b"map auto_home"),
        Mount(b"/Volumes/My (odd) Disk", "hfs", b"/dev/disk5s1"),
    ]


def test_freebsd_mount() -> None:
    """`mount -v` on FreeBSD tells the fsid."""
    assert list(filesystem.parse_mount(FREEBSD)) == [
        Mount(b"/", "ufs", b"/dev/ada0p2", "fsid:9c8b7a6d5e4f3210"),
        Mount(b"/data", "zfs", b"zroot/data", "fsid:aabbccddde112233"),
        Mount(b"/dev", "devfs", b"devfs"),
    ]


def test_openbsd_mount() -> None:
    """`mount -v` on OpenBSD tells the disk's unique id."""
    assert list(filesystem.parse_mount(OPENBSD)) == [
        Mount(b"/", "ffs", b"/dev/sd0a", "uuid:6f2f9c2f3f5f4e6d.a"),
        Mount(b"/mnt/nas", "nfs", b"nas:/export"),
    ]


@linux
def test_identity_of_a_real_directory(tmp_path: Path) -> None:
    """A real directory has a type and a mount point above it, the same each time, and no device number in its id."""
    identity = identify_filesystem(os.fsencode(tmp_path))
    assert identity == identify_filesystem(os.fsencode(tmp_path))
    assert identity.type
    assert os.fsencode(tmp_path.resolve()).startswith(identity.mount_point)
    assert os.path.ismount(identity.mount_point)

    device = os.stat(tmp_path).st_dev
    assert identity.id not in (f"fsid:{device:016x}", "fsid:0000000000000000")


@linux
def test_other_file_systems_differ(tmp_path: Path) -> None:
    """Another file system has another identity."""
    assert identify_filesystem(b"/proc") == FileSystem("proc", "source:proc", b"/proc")
    assert identify_filesystem(os.fsencode(tmp_path)) != identify_filesystem(b"/proc")


@linux
def test_root_that_is_a_link(tmp_path: Path) -> None:
    """A root that is a symbolic link is identified by what it leads to."""
    (tmp_path / "root").symlink_to("/proc")
    assert identify_filesystem(os.fsencode(tmp_path / "root")).type == "proc"


def test_missing_root(tmp_path: Path) -> None:
    """A missing root has no identity."""
    with pytest.raises(RootError) as caught:
        identify_filesystem(os.fsencode(tmp_path / "missing"))
    assert caught.value.reason == "root missing"


def test_mount_points_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mount points below a root are relative to it; a path that merely begins like the root is not below it."""
    root = os.fsencode(tmp_path.resolve())
    table = [
        Mount(root, "a", b"a"),
        Mount(root + b"/x", "a", b"a"),
        Mount(root + b"/x/y", "a", b"a"),
        Mount(root + b"more", "a", b"a"),
        Mount(b"/", "a", b"a"),
    ]

    monkeypatch.setattr(filesystem, "read_mounts", lambda: table)
    assert filesystem.mount_points_below(root) == [b"x", b"x/y"]
    assert filesystem.mount_points_below(root + b"/") == [b"x", b"x/y"]


def test_stacked_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one of several mounts on one point counts; the longest point above a path holds it."""
    root = os.fsencode(tmp_path.resolve())
    table = [
        Mount(root, "first", b"1"),
        Mount(root, "second", b"2"),
        Mount(b"/", "top", b"3"),
    ]

    monkeypatch.setattr(filesystem, "read_mounts", lambda: table)
    assert identify_filesystem(root).type == "second"
    assert identify_filesystem(os.path.dirname(root)).type == "top"
