"""The file system that holds a root: what it is, in words that survive a reboot, and where it and others are mounted.

A device number is never part of it: the kernel deals those out anew at each boot.
"""

from __future__ import annotations

import os
import plistlib
import re
import subprocess
import sys
from typing import Iterable, Iterator, List, NamedTuple, Optional

from scanner.collector.system.directories import RootError, open_root

__all__ = ["FileSystem", "Mount", "RootError", "identify", "mount_points_below", "mounts", "mounts_below"]

_TOOL_SECONDS = 20
_OCTAL = re.compile(rb"\\([0-7]{3})")
_BSD_LINE = re.compile(rb"(.+?) on (.+) \(([^,()]+)((?:, ?[^()]*)?)\)")
_OPENBSD_LINE = re.compile(rb"(.+?)(?: \(([0-9a-f]+\.[a-z])\))? on (.+) type (\S+)(?: \((.*)\))?")


class FileSystem(NamedTuple):
    """What holds a root. Equal values before and after a reboot mean the same file system at the same place."""

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
    number: int = -1
    """Linux: the mount's id, which tells apart mounts that are stacked on one point."""


def identify(root: bytes) -> FileSystem:
    """The file system that holds `root`. Raises RootError."""
    descriptor = open_root(root)
    try:
        real = os.path.realpath(root)
        mount = _holding(real, mounts(), _mount_number(descriptor))
        if mount is None:
            return FileSystem("", _fsid(descriptor), b"")
        return FileSystem(mount.type, _identity(descriptor, mount), mount.point)
    except OSError as error:
        raise RootError(root, "root unreadable", error.strerror or "") from error
    finally:
        os.close(descriptor)


def mounts() -> List[Mount]:
    """The mount table in mounting order; empty where the system keeps it from this process."""
    system: str = sys.platform
    if system == "linux":
        return list(parse_mountinfo(_content("/proc/self/mountinfo")))
    if system.startswith("sunos"):
        return list(parse_mnttab(_content("/etc/mnttab")))
    output = _output("/sbin/mount", *(["-v"] if system.startswith(("freebsd", "openbsd")) else []))
    return list(parse_mount(output))


def mount_points_below(root: bytes) -> List[bytes]:
    """Where something is mounted below `root`, as paths relative to it: bind mounts as well, where the system tells."""
    return sorted({mount.point for mount in mounts_below(root)})


def mounts_below(root: bytes) -> List[Mount]:
    """What is mounted below `root`, the points relative to it."""
    real = os.path.realpath(root)
    prefix = real if real.endswith(b"/") else real + b"/"
    below = (mount for mount in mounts() if mount.point.startswith(prefix) and mount.point != prefix)
    return [mount._replace(point=mount.point[len(prefix) :]) for mount in below]


def parse_mountinfo(table: bytes) -> Iterator[Mount]:
    """The lines of Linux' /proc/PID/mountinfo (proc_pid_mountinfo(5)); white space in names is octal there."""
    for line in table.splitlines():
        before, separator, after = line.partition(b" - ")
        fields, tail = before.split(b" "), after.split(b" ")
        if separator and len(fields) >= 6 and len(tail) >= 2:
            yield Mount(_unescape(fields[4]), tail[0].decode(), _unescape(tail[1]), number=int(fields[0]))


def parse_mnttab(table: bytes) -> Iterator[Mount]:
    """The lines of SunOS' /etc/mnttab (mnttab(5)): special, mount point, type, options, time, parted by tabs."""
    for line in table.splitlines():
        fields = line.split(b"\t")
        if len(fields) >= 3:
            yield Mount(fields[1], fields[2].decode(), fields[0])


def parse_mount(output: bytes) -> Iterator[Mount]:
    """What mount(8) prints: FreeBSD and macOS `DEV on DIR (TYPE, …)`, OpenBSD `DEV (DUID) on DIR type TYPE (…)`."""
    for line in output.splitlines():
        openbsd = _OPENBSD_LINE.fullmatch(line)
        if openbsd:
            source, duid, point, kind, _ = openbsd.groups()
            yield Mount(point, kind.decode(), source, f"uuid:{duid.decode()}" if duid else "")
            continue
        bsd = _BSD_LINE.fullmatch(line)
        if bsd:
            source, point, kind, options = bsd.groups()
            fsid = re.search(rb"fsid ([0-9a-f]+)", options)
            yield Mount(point, kind.decode(), source, f"fsid:{fsid[1].decode()}" if fsid else "")


def _holding(path: bytes, table: Iterable[Mount], number: int) -> Optional[Mount]:
    """The mount that holds `path`: the one with this number, else the last one on the longest point above it."""
    best = None
    for mount in table:
        if number >= 0 and mount.number == number:
            return mount
        inside = path == mount.point or path.startswith(mount.point.rstrip(b"/") + b"/")
        if inside and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def _identity(descriptor: int, mount: Mount) -> str:
    source = f"source:{mount.source.decode('utf-8', 'backslashreplace')}" if mount.source else ""
    system: str = sys.platform
    if system == "linux":
        return _linux_uuid(descriptor, mount) or _fsid(descriptor) or source
    if system == "darwin":
        return _macos_uuid(mount.point) or mount.id or source
    if system.startswith("sunos"):
        return source
    return mount.id or _fsid(descriptor) or source


def _linux_uuid(descriptor: int, mount: Mount) -> str:
    """The UUID by which udev knows the block device; empty where there is no such device or no udev."""
    wanted = {os.fstat(descriptor).st_dev}
    try:
        wanted.add(os.stat(mount.source).st_rdev)  # btrfs gives files a device number that no block device has
    except (OSError, ValueError):
        pass
    wanted.discard(0)
    try:
        links = sorted(os.scandir("/dev/disk/by-uuid"), key=lambda link: link.name)
    except OSError:
        return ""
    for link in links:
        try:
            if link.stat().st_rdev in wanted:
                return f"uuid:{link.name}"
        except OSError:
            continue
    return ""


def _macos_uuid(point: bytes) -> str:
    output = _output("/usr/sbin/diskutil", "info", "-plist", os.fsdecode(point))
    try:
        uuid = plistlib.loads(output).get("VolumeUUID", "")
    except (plistlib.InvalidFileException, ValueError, AttributeError):
        return ""
    return f"uuid:{uuid}" if uuid else ""


def _fsid(descriptor: int) -> str:
    """The id that statvfs(3) tells; empty when it is none or but the device number in disguise (XFS, FAT, SunOS)."""
    fsid = os.fstatvfs(descriptor).f_fsid & 0xFFFFFFFFFFFFFFFF
    device = os.fstat(descriptor).st_dev
    return "" if fsid in (0, device, _new_encoding(device)) else f"fsid:{fsid:016x}"


def _new_encoding(device: int) -> int:
    """A device number as the Linux kernel packs it (include/linux/kdev_t.h, new_encode_dev)."""
    major, minor = os.major(device), os.minor(device)
    return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)


def _mount_number(descriptor: int) -> int:
    found = re.search(rb"^mnt_id:\s*(\d+)", _content(f"/proc/self/fdinfo/{descriptor}"), re.MULTILINE)
    return int(found[1]) if found else -1


def _unescape(name: bytes) -> bytes:
    return _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), name)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _output(*command: str) -> bytes:
    """What a system tool prints; empty when there is no such tool or it fails: the caller has a next best answer."""
    try:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TOOL_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return b""
    return done.stdout if done.returncode == 0 else b""
