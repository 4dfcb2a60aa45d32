"""Identify the file system that holds a root, by values that survive a reboot, and list what is mounted below a root.

A device number is never part of an identity: the kernel assigns them anew at each boot.
"""

from __future__ import annotations

import os
import plistlib
import re
import sys
from typing import Iterable, Iterator, List, NamedTuple, Optional

from scanner.collector.system.directories import RootError, open_root
from scanner.collector.system.tools import run_tool

_OCTAL_ESCAPE = re.compile(rb"\\([0-7]{3})")
_BSD_MOUNT = re.compile(rb"(?P<source>.+?) on (?P<point>.+) \((?P<type>[^,()]+)(?P<options>(?:, ?[^()]*)?)\)")
_OPENBSD_MOUNT = re.compile(
    rb"(?P<source>.+?)(?: \((?P<duid>[0-9a-f]+\.[a-z])\))? on (?P<point>.+) type (?P<type>\S+)(?: \(.*\))?"
)
_FSID_OPTION = re.compile(rb"fsid ([0-9a-f]+)")
_MOUNT_ID = re.compile(rb"^mnt_id:\s*(\d+)", re.MULTILINE)


class FileSystem(NamedTuple):
    """The file system of a root. Equal values before and after a reboot mean the same one at the same place."""

    type: str
    id: str
    """`uuid:…`, `fsid:…` or `source:…`, the first that the system tells; empty when it tells none."""
    mount_point: bytes


class Mount(NamedTuple):
    """One line of a mount table."""

    point: bytes
    type: str
    source: bytes
    id: str = ""
    """As in FileSystem, where the table itself tells it."""
    number: int = -1
    """Linux: the mount's id, which tells mounts on the same point apart. -1: unknown."""


def identify_filesystem(root: bytes) -> FileSystem:
    """Return the file system that holds `root`. Raise RootError."""
    # The root stays open meanwhile, so that all answers are about one file system.
    descriptor = open_root(root)
    try:
        mount = _find_mount(os.path.realpath(root), read_mounts(), _mount_number(descriptor))
        if mount is None:
            return FileSystem("", _fsid(descriptor), b"")

        return FileSystem(mount.type, _identity(descriptor, mount), mount.point)
    except OSError as error:
        raise RootError(root, "root unreadable", error.strerror or "") from error
    finally:
        os.close(descriptor)


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


def mounts_below(root: bytes) -> List[Mount]:
    """Return what is mounted below `root`, with mount points relative to it."""
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
    for line in table.splitlines():
        before, separator, after = line.partition(b" - ")
        fields = before.split(b" ")
        source_fields = after.split(b" ")
        if not separator or len(fields) < 6 or len(source_fields) < 2:
            continue

        yield Mount(
            point=_unescape_octal(fields[4]),
            type=source_fields[0].decode(),
            source=_unescape_octal(source_fields[1]),
            number=int(fields[0]),
        )


def parse_mnttab(table: bytes) -> Iterator[Mount]:
    """Yield the lines of SunOS' /etc/mnttab (mnttab(5)): special, mount point, type, options, time, between tabs."""
    for line in table.splitlines():
        fields = line.split(b"\t")
        if len(fields) >= 3:
            yield Mount(fields[1], fields[2].decode(), fields[0])


def parse_mount(output: bytes) -> Iterator[Mount]:
    """Yield what mount(8) prints.

    FreeBSD and macOS print `DEVICE on DIRECTORY (TYPE, …)`, OpenBSD `DEVICE (DUID) on DIRECTORY type TYPE (…)`.
    """
    for line in output.splitlines():
        openbsd = _OPENBSD_MOUNT.fullmatch(line)
        if openbsd:
            identity = _tagged("uuid", (openbsd["duid"] or b"").decode())
            yield Mount(openbsd["point"], openbsd["type"].decode(), openbsd["source"], identity)
            continue

        bsd = _BSD_MOUNT.fullmatch(line)
        if bsd:
            fsid = _FSID_OPTION.search(bsd["options"])
            identity = _tagged("fsid", fsid[1].decode()) if fsid else ""
            yield Mount(bsd["point"], bsd["type"].decode(), bsd["source"], identity)


def _tagged(kind: str, value: str) -> str:
    """Return an identity with its kind, or an empty text when there is none."""
    return f"{kind}:{value}" if value else ""


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


def _identity(descriptor: int, mount: Mount) -> str:
    """Return the most stable identity that this system tells."""
    source = _tagged("source", mount.source.decode("utf-8", "backslashreplace"))
    system: str = sys.platform
    # A UUID stays with the file system wherever it is mounted; the other values may change with the hardware.
    if system == "linux":
        return _linux_uuid(descriptor, mount) or _fsid(descriptor) or source
    if system == "darwin":
        return _macos_uuid(mount.point) or mount.id or source
    if system.startswith("sunos"):
        return source
    return mount.id or _fsid(descriptor) or source


def _linux_uuid(descriptor: int, mount: Mount) -> str:
    """Return the UUID by which udev knows the block device; empty where there is no such device or no udev."""
    devices = {os.fstat(descriptor).st_dev}
    try:
        # btrfs gives its files a device number that no block device has, so the source counts as well.
        devices.add(os.stat(mount.source).st_rdev)
    except (OSError, ValueError):
        pass
    devices.discard(0)

    try:
        links = sorted(os.scandir("/dev/disk/by-uuid"), key=lambda link: link.name)
    except OSError:
        return ""
    for link in links:
        try:
            if link.stat().st_rdev in devices:
                return f"uuid:{link.name}"
        except OSError:
            continue
    return ""


def _macos_uuid(mount_point: bytes) -> str:
    output = run_tool("/usr/sbin/diskutil", "info", "-plist", os.fsdecode(mount_point))
    try:
        uuid = plistlib.loads(output).get("VolumeUUID", "")
    except (plistlib.InvalidFileException, ValueError, AttributeError):
        return ""
    return _tagged("uuid", uuid)


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


def _mount_number(descriptor: int) -> int:
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
