"""Test where an unchanged ctime proves that nobody wrote."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scanner.collector.run.ctime_trust import assess_trust
from scanner.collector.system import filesystem
from scanner.collector.system.filesystem import FileSystem, Mount

TRUSTED = ("ext4", "xfs", "btrfs", "zfs", "ufs", "ffs", "apfs", "hfs")
IN_MEMORY_OR_WITHOUT_CTIME = ("tmpfs", "ramfs", "vfat", "msdos", "msdosfs", "exfat", "ntfs")
IN_USER_SPACE = ("fuse", "fuseblk", "fuse.sshfs", "fuse.rclone", "fusefs", "fusefs.sshfs", "macfuse", "osxfuse")
ON_ANOTHER_FILE_SYSTEM = ("9p", "virtiofs", "overlay", "nullfs", "lofs")
ON_THE_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "webdav", "davfs", "afpfs")
UNKNOWN = ("", "of-tomorrow")


def file_system(kind: str) -> FileSystem:
    """Return a file system of this type."""
    return FileSystem(kind, "uuid:1", b"/")


@pytest.mark.parametrize("kind", TRUSTED)
def test_trusted(kind: str) -> None:
    """File systems that stamp each write themselves are trusted."""
    assert assess_trust(b"/srv", file_system(kind), cross_mounts=False).ctimes


@pytest.mark.parametrize(
    "kind", IN_MEMORY_OR_WITHOUT_CTIME + IN_USER_SPACE + ON_ANOTHER_FILE_SYSTEM + ON_THE_NETWORK + UNKNOWN
)
def test_not_trusted(kind: str) -> None:
    """All other types prove nothing."""
    assert not assess_trust(b"/srv", file_system(kind), cross_mounts=False).ctimes


def test_unknown_file_system() -> None:
    """A file system that the system does not tell proves nothing."""
    assert not assess_trust(b"/srv", None, cross_mounts=False).ctimes


@pytest.mark.parametrize(("kind_below", "trusted"), [("xfs", True), ("tmpfs", False)])
def test_mounts_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind_below: str, trusted: bool) -> None:
    """With `cross_mounts` all mounts below the root must be trusted, too. Those beside it do not matter."""
    root = os.fsencode(tmp_path.resolve())
    mounts = [
        Mount(root, "ext4", b"a"),
        Mount(root + b"/x", kind_below, b"b"),
        Mount(root + b"more", "tmpfs", b"c"),
    ]
    monkeypatch.setattr(filesystem, "read_mounts", lambda: mounts)
    assert assess_trust(root, file_system("ext4"), cross_mounts=True).ctimes is trusted
    assert assess_trust(root, file_system("ext4"), cross_mounts=False).ctimes
    assert not assess_trust(root, file_system("tmpfs"), cross_mounts=True).ctimes
