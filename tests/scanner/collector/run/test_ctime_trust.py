"""Where a ctime that stayed the same proves that nobody wrote."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scanner.collector.run import ctime_trust
from scanner.collector.system import filesystem
from scanner.collector.system.filesystem import FileSystem, Mount

OWN = ("ext4", "xfs", "btrfs", "zfs", "ufs", "ffs", "apfs", "hfs")
NOT_OWN = (
    *("tmpfs", "ramfs", "vfat", "msdos", "msdosfs", "exfat", "ntfs"),
    *("fuse", "fuseblk", "fuse.sshfs", "fuse.rclone", "fusefs", "fusefs.sshfs", "macfuse", "osxfuse"),
    *(
        "9p",
        "virtiofs",
        "overlay",
        "nullfs",
        "lofs",
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "webdav",
        "davfs",
        "afpfs",
    ),
    *("", "of-tomorrow"),
)


def on(kind: str) -> FileSystem:
    """A file system of this type."""
    return FileSystem(kind, "uuid:1", b"/")


def test_by_type() -> None:
    """Only file systems that stamp each write themselves prove anything; what nobody knows does not."""
    assert all(ctime_trust.ctimes_are_trusted(b"/srv", on(kind), cross_mounts=False) for kind in OWN)
    assert not [kind for kind in NOT_OWN if ctime_trust.ctimes_are_trusted(b"/srv", on(kind), cross_mounts=False)]
    assert not ctime_trust.ctimes_are_trusted(b"/srv", None, cross_mounts=False)


@pytest.mark.parametrize(("below", "proves"), [("xfs", True), ("tmpfs", False)])
def test_mounts_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str, proves: bool) -> None:
    """Where mounts below the root are entered all of them must; else, and beside the root, they do not matter."""
    root = os.fsencode(tmp_path.resolve())
    table = [Mount(root, "ext4", b"a"), Mount(root + b"/x", below, b"b"), Mount(root + b"more", "tmpfs", b"c")]
    monkeypatch.setattr(filesystem, "mounts", lambda: table)
    assert ctime_trust.ctimes_are_trusted(root, on("ext4"), cross_mounts=True) is proves
    assert ctime_trust.ctimes_are_trusted(root, on("ext4"), cross_mounts=False)
    assert not ctime_trust.ctimes_are_trusted(root, on("tmpfs"), cross_mounts=True)
