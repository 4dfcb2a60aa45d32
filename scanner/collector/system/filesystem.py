"""Identify the file system that holds a root, by values that survive a reboot, and list what is mounted below a root.

A device number is never part of an identity: the kernel assigns them anew at each boot.
"""

from __future__ import annotations

import os
import plistlib
import re
import sys
from typing import Iterable, Iterator, List, NamedTuple, Optional, Tuple

from scanner.collector.system import identities
from scanner.collector.system.directories import RootError, open_root
from scanner.collector.system.tools import run_tool

LOCAL_TYPES = frozenset(
    {
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "zfs",
        "f2fs",
        "jfs",
        "nilfs2",
        "reiserfs",
        "bcachefs",
        "ufs",
        "ffs",
        "apfs",
        "hfs",
    }
)
"""File systems on a disk of this machine that number their inodes and keep a ctime themselves, by their names on Linux,
the BSDs, SunOS and macOS."""
NUMBERED_TYPES = LOCAL_TYPES | {"tmpfs", "ramfs", "squashfs", "erofs", "minix", "hfsplus", "ntfs3", "tmp", "mfs"}
"""File systems in which an inode number belongs to one file as long as that is there.

All others prove nothing by it. A file system that passes on another one (FUSE, 9p, virtiofs, overlay, nullfs) may show
two disks under one device number, and a network file system or FAT may give a file another number at each look.
"""

_PSEUDO_TYPES = frozenset(
    {
        # Linux, as /proc/filesystems names them.
        "binder",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "cpuset",
        "debugfs",
        "devpts",
        "devtmpfs",
        "dlmfs",
        "efivarfs",
        "functionfs",
        "fusectl",
        "gadgetfs",
        "hugetlbfs",
        "mqueue",
        "nfsd",
        "nsfs",
        "openpromfs",
        "oprofilefs",
        "pipefs",
        "proc",
        "pstore",
        "resctrl",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "smackfs",
        "sockfs",
        "spufs",
        "sysfs",
        "tracefs",
        "usbfs",
        "xenfs",
        "fuse.gvfsd-fuse",
        "fuse.lxcfs",
        "fuse.portal",
        # The BSDs and macOS.
        "devfs",
        "fdesc",
        "fdescfs",
        "kernfs",
        "linprocfs",
        "linsysfs",
        "mqueuefs",
        "procfs",
        "ptyfs",
        # SunOS.
        "bootfs",
        "ctfs",
        "dev",
        "fd",
        "lx_proc",
        "mntfs",
        "objfs",
        "sharefs",
    }
)
"""File systems that show the state of the kernel or of a program as files. Their files hold no data to keep, and to
read some of them takes data away, waits for ever or has no end."""

_OCTAL_ESCAPE = re.compile(rb"\\([0-3][0-7]{2})")
# DOTALL: a name may hold a carriage return.
_BSD_MOUNT = re.compile(
    rb"(?P<source>.+?) on (?P<point>.+) \((?P<type>[^,()]+)(?P<options>(?:, ?[^()]*)?)\)", re.DOTALL
)
_OPENBSD_MOUNT = re.compile(
    rb"(?P<source>.+?)(?: \((?P<duid>[0-9a-f]+\.[a-z])\))? on (?P<point>.+) type (?P<type>\S+)(?: \(.*\))?", re.DOTALL
)
_FSID_OPTION = re.compile(rb"fsid ([0-9a-f]+)")
_MOUNT_ID = re.compile(rb"^mnt_id:\s*(\d+)", re.MULTILINE)


class FileSystem(NamedTuple):
    """The file system of a root. `is_same` says whether two of them, seen at different times, are one."""

    type: str
    id: str
    """The strongest identity that the system tells, see `identities`; empty when it tells none."""
    mount_point: bytes
    other_ids: Tuple[str, ...] = ()
    """All other identities."""

    @property
    def ids(self) -> Tuple[str, ...]:
        """Return all identities, the strongest first."""
        return (self.id, *self.other_ids) if self.id else ()

    def is_same(self, other: FileSystem) -> bool:
        """Return whether both are one file system at one place, before and after a reboot."""
        if (self.type, self.mount_point) != (other.type, other.mount_point):
            return False
        return identities.agree(self.ids, other.ids)


class Mount(NamedTuple):
    """One line of a mount table."""

    point: bytes
    type: str
    source: bytes
    id: str = ""
    """As in FileSystem, where the table itself tells it."""
    number: int = -1
    """Linux: the mount's id, which tells mounts on the same point apart. -1: unknown."""

    @property
    def is_pseudo(self) -> bool:
        """Return whether it shows the state of the kernel or of a program, and no data."""
        return self.type in _PSEUDO_TYPES


def identify_filesystem(root: bytes) -> FileSystem:
    """Return the file system that holds `root`. Raise RootError."""
    # The root stays open meanwhile, so that all answers are about one file system.
    descriptor = open_root(root)
    try:
        mount = _find_mount(os.path.realpath(root), read_mounts(), mount_number(descriptor))
        if mount is None:
            return _file_system("", b"", [_fsid(descriptor)])
        return _file_system(mount.type, mount.point, _identities(descriptor, mount))
    except OSError as error:
        raise RootError(root, "root unreadable", error.strerror or "") from error
    finally:
        os.close(descriptor)


def _file_system(kind: str, mount_point: bytes, ids: Iterable[str]) -> FileSystem:
    # Without repetitions, in the order of the first ones.
    first_id, *other_ids = list(dict.fromkeys(identity for identity in ids if identity)) or [""]
    return FileSystem(kind, first_id, mount_point, tuple(other_ids))


def inodes_are_numbered(descriptor: int, path: bytes) -> bool:
    """Return whether inode numbers tell files apart on the file system of an open file, whose absolute path is given.

    Looks up the mount table, so it is for what happens rarely.
    """
    mount = _find_mount(path, read_mounts(), mount_number(descriptor))
    return mount is not None and mount.type in NUMBERED_TYPES


def read_mounts() -> List[Mount]:
    """Return the mount table in the order of mounting; empty where the system hides it from this process."""
    system: str = sys.platform
    if system == "linux":
        return list(parse_mountinfo(_read_file("/proc/self/mountinfo")))
    if system.startswith("sunos"):
        return list(parse_mnttab(_read_file("/etc/mnttab")))
    if system.startswith(("freebsd", "openbsd")):
        return list(parse_mount(run_tool("/sbin/mount", "-v")))
    return list(parse_mount(run_tool("/sbin/mount")))


def mount_points_below(root: bytes) -> List[bytes]:
    """Return where something is mounted below `root`, as sorted paths relative to it.

    Includes bind mounts where the system lists them.
    """
    return sorted({mount.point for mount in mounts_below(root)})


def type_of(root: bytes) -> str:
    """Return the type of the file system that holds `root`, empty when the system does not tell it. Raise RootError."""
    descriptor = open_root(root)
    try:
        mount = _find_mount(os.path.realpath(root), read_mounts(), mount_number(descriptor))
    finally:
        os.close(descriptor)
    return mount.type if mount is not None else ""


def mounts_below(root: bytes) -> List[Mount]:
    """Return what is mounted below `root`, with mount points relative to it.

    Of mounts on one point the last one hides the others, and comes last.
    """
    prefix = os.path.realpath(root)
    # Only the root of all, `/`, ends in a slash.
    if not prefix.endswith(b"/"):
        prefix += b"/"

    return [
        mount._replace(point=mount.point[len(prefix) :])
        for mount in read_mounts()
        if mount.point.startswith(prefix) and mount.point != prefix
    ]


def parse_mountinfo(table: bytes) -> Iterator[Mount]:
    """Yield the lines of Linux' /proc/PID/mountinfo (proc_pid_mountinfo(5)), where white space in names is octal."""
    # Any user chooses names here (FUSE): they may hold every byte but NUL, and a carriage return ends no line.
    for line in table.split(b"\n"):
        before, separator, after = line.partition(b" - ")
        fields = before.split(b" ")
        source_fields = after.split(b" ")
        if not separator or len(fields) < 6 or len(source_fields) < 2 or not fields[0].isdigit():
            continue

        yield Mount(
            point=_unescape_octal(fields[4]),
            type=_text(_unescape_octal(source_fields[0])),
            source=_unescape_octal(source_fields[1]),
            number=int(fields[0]),
        )


def parse_mnttab(table: bytes) -> Iterator[Mount]:
    """Yield the lines of SunOS' /etc/mnttab (mnttab(5)): special, mount point, type, options, time, between tabs."""
    for line in table.split(b"\n"):
        fields = line.split(b"\t")
        if len(fields) >= 3:
            yield Mount(fields[1], _text(fields[2]), fields[0])


def parse_mount(output: bytes) -> Iterator[Mount]:
    """Yield what mount(8) prints.

    FreeBSD and macOS print `DEVICE on DIRECTORY (TYPE, …)`, OpenBSD `DEVICE (DUID) on DIRECTORY type TYPE (…)`.
    """
    for line in output.split(b"\n"):
        openbsd = _OPENBSD_MOUNT.fullmatch(line)
        if openbsd:
            identity = identities.tagged("uuid", _text(openbsd["duid"] or b""))
            yield Mount(openbsd["point"], _text(openbsd["type"]), openbsd["source"], identity)
            continue

        bsd = _BSD_MOUNT.fullmatch(line)
        if bsd:
            fsid = _FSID_OPTION.search(bsd["options"])
            identity = identities.tagged("fsid", _text(fsid[1])) if fsid else ""
            yield Mount(bsd["point"], _text(bsd["type"]), bsd["source"], identity)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _find_mount(path: bytes, table: Iterable[Mount], number: int) -> Optional[Mount]:
    """Return the mount that holds `path`: the one with this number, else the last one on the longest point above it."""
    # Of mounts on one point the last one hides the others.
    best = None
    for mount in table:
        if number >= 0 and mount.number == number:
            return mount
        is_inside = path == mount.point or path.startswith(mount.point.rstrip(b"/") + b"/")
        if is_inside and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def _identities(descriptor: int, mount: Mount) -> List[str]:
    """Return all identities that this system tells, the strongest first."""
    source = identities.tagged("source", _text(mount.source))
    system: str = sys.platform
    if system == "linux":
        stable = identities.linux_identities(descriptor, mount.type, mount.source)
        uuids = [identity for identity in stable if identity.startswith("uuid:")]
        others = [identity for identity in stable if not identity.startswith("uuid:")]
        return [*uuids, _fsid(descriptor), *others, source]
    if system == "darwin":
        return [_macos_uuid(mount.point), mount.id, source]
    if system.startswith("sunos"):
        return [source]
    return [mount.id, _fsid(descriptor), source]


def _macos_uuid(mount_point: bytes) -> str:
    output = run_tool("/usr/sbin/diskutil", "info", "-plist", os.fsdecode(mount_point))
    try:
        uuid = plistlib.loads(output).get("VolumeUUID", "")
    except (plistlib.InvalidFileException, ValueError, AttributeError):
        return ""
    return identities.tagged("uuid", uuid)


def _fsid(descriptor: int) -> str:
    """Return the id that statvfs(3) tells.

    Return an empty text where it is only the device number in another form: XFS, FAT, SunOS.
    """
    fsid = os.fstatvfs(descriptor).f_fsid & 0xFFFFFFFFFFFFFFFF
    device = os.fstat(descriptor).st_dev
    if fsid in (0, device, _pack_linux_device(device)):
        return ""
    return f"fsid:{fsid:016x}"


def _pack_linux_device(device: int) -> int:
    """Return a device number as the Linux kernel packs it (include/linux/kdev_t.h, new_encode_dev)."""
    major = os.major(device)
    minor = os.minor(device)
    return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)


def mount_number(descriptor: int) -> int:
    """Return the id of the mount through which Linux opened a descriptor (proc_pid_fdinfo(5)), or -1."""
    mount_id = _MOUNT_ID.search(_read_file(f"/proc/self/fdinfo/{descriptor}"))
    return int(mount_id[1]) if mount_id else -1


def _unescape_octal(name: bytes) -> bytes:
    return _OCTAL_ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), name)


def _read_file(path: str) -> bytes:
    """Return the content of a file, or nothing when it cannot be read: each caller has a fallback."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
