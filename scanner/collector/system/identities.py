"""Collect what tells one file system from another, and decide whether two collections mean the same one.

An identity is a text, `KIND:VALUE`. No kind is always there, and some change although the file system is the same: udev
moves its links when a clone appears, a disk gets another name at the next boot. So all of them are kept, and the
strongest kinds that both sides know decide.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import os
import struct
import uuid
from typing import Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

_LEVELS: Tuple[FrozenSet[str], ...] = (
    frozenset({"uuid", "fsid"}),
    frozenset({"superblock", "device", "image"}),
    frozenset({"label"}),
    frozenset({"source"}),
)
"""Kinds, the strongest first.

`uuid` and `fsid` belong to the file system and go where it goes. `superblock` is the digest of a superblock that is
never written again, `device` names the disk or volume, and `image` the file behind a loop device. Two disks may have
one label, and `source`, a device name, may mean another disk at the next boot.
"""

# Linux' numbers of ioctl(2), which are the same on all machines but MIPS, PowerPC, SPARC and Alpha. There, ENOTTY.
_FS_IOC_GETFSUUID = 0x80111500
_BTRFS_IOC_FS_INFO = 0x8400941F
_XFS_IOC_FSGEOMETRY_V1 = 0x80705864
_EXT4_IOC_GETFSUUID = 0x8008662C
_FS_IOC_GETFSLABEL = 0x81009431
_LABEL_BYTES = 256
_UUID_BYTES = 16
_EXT4_FSUUID = struct.Struct("=II16s")

_UUID_LINKS = "/dev/disk/by-uuid"
_SUPERBLOCKS = {"squashfs": (0, 96), "iso9660": (32768, 2048), "cramfs": (0, 76), "romfs": (0, 512)}
"""Offset and length of the superblock in file systems that are made once and never written again."""


class _UuidCall(NamedTuple):
    """An ioctl(2) that answers with a UUID."""

    request: int
    question: bytes
    """Also as long as the answer."""
    start: bytes
    """What an answer with a whole UUID begins with."""
    offset: int
    """Offset of the UUID in the answer."""


_ANY_TYPE = _UuidCall(_FS_IOC_GETFSUUID, bytes(17), b"\x10", 1)
"""Linux 6.9 and later. `struct fsuuid2`: a length in one byte, the UUID."""
_UUID_CALLS = {
    # `struct btrfs_ioctl_fs_info_args`: highest device, number of devices, the UUID.
    "btrfs": _UuidCall(_BTRFS_IOC_FS_INFO, bytes(1024), b"", 16),
    # `struct xfs_fsop_geom_v1`: eight numbers of 32 and four of 64 bits, the UUID.
    "xfs": _UuidCall(_XFS_IOC_FSGEOMETRY_V1, bytes(112), b"", 64),
    # `struct fsuuid`: length, flags, the UUID. Linux 6.0 and later.
    "ext4": _UuidCall(_EXT4_IOC_GETFSUUID, _EXT4_FSUUID.pack(_UUID_BYTES, 0, b""), b"", 8),
}


def tagged(kind: str, value: str) -> str:
    """Return an identity with its kind, or an empty text when there is none."""
    return f"{kind}:{value}" if value else ""


def agree(ids: Iterable[str], other_ids: Iterable[str]) -> bool:
    """Return whether two collections of identities mean one file system.

    Of the strongest kinds that both sides know, one that agrees is enough. Without any common kind nothing says that
    the file systems are one, unless neither side knows anything.
    """
    by_kind = _group_by_kind(ids)
    other_by_kind = _group_by_kind(other_ids)
    for level in _LEVELS:
        common_kinds = [kind for kind in level if kind in by_kind and kind in other_by_kind]
        if common_kinds:
            return any(by_kind[kind] & other_by_kind[kind] for kind in common_kinds)
    return by_kind == other_by_kind


def _group_by_kind(ids: Iterable[str]) -> Dict[str, Set[str]]:
    by_kind: Dict[str, Set[str]] = {}
    for identity in ids:
        kind, _, value = identity.partition(":")
        by_kind.setdefault(kind, set()).add(value)
    return by_kind


def linux_identities(descriptor: int, kind: str, source: bytes) -> List[str]:
    """Return the identities that Linux tells of the file system of an open directory, beside fsid and source.

    `kind` is the type of the file system, `source` what the mount table says is mounted.
    """
    device = _block_device(descriptor, source)
    ids = [
        tagged("uuid", _uuid_by_ioctl(descriptor, kind)),
        tagged("superblock", _superblock(kind, source)),
        tagged("label", _label_by_ioctl(descriptor)),
    ]
    if device is not None:
        ids += [tagged("uuid", name) for name in _links_to(_UUID_LINKS, device)]
        ids += list(_device_identities(device))
    return [identity for identity in ids if identity]


def _uuid_by_ioctl(descriptor: int, kind: str) -> str:
    """Return the UUID that the file system itself tells, in the form that udev gives its links."""
    for call in (_ANY_TYPE, _UUID_CALLS.get(kind)):
        if call is None:
            continue
        answer = _ioctl(descriptor, call.request, call.question)
        value = answer[call.offset : call.offset + _UUID_BYTES]
        if any(value) and answer.startswith(call.start):
            return str(uuid.UUID(bytes=value))
    return ""


def _label_by_ioctl(descriptor: int) -> str:
    answer = _ioctl(descriptor, _FS_IOC_GETFSLABEL, bytes(_LABEL_BYTES))
    return answer.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def _ioctl(descriptor: int, request: int, question: bytes) -> bytes:
    """Return the answer to a question, or nothing when the file system does not know it."""
    try:
        return fcntl.ioctl(descriptor, request, question)
    except OSError:
        return b""


def _superblock(kind: str, source: bytes) -> str:
    """Return the digest of a superblock that never changes, where the collector may read the device."""
    if kind not in _SUPERBLOCKS or not source.startswith(b"/dev/"):
        return ""

    offset, length = _SUPERBLOCKS[kind]
    try:
        with open(source, "rb", buffering=0) as device:
            device.seek(offset)
            block = device.read(length)
    except OSError:
        return ""
    return hashlib.sha256(block).hexdigest()[:32]


def _block_device(descriptor: int, source: bytes) -> Optional[int]:
    """Return the number of the block device below a file system, or None when there is none."""
    device = os.fstat(descriptor).st_dev
    if os.path.exists(f"/sys/dev/block/{_numbers(device)}"):
        return device

    # btrfs and others give their files a number that no block device has. A source that is no device may be a path on
    # a server that does not answer, so it is left alone.
    if not source.startswith(b"/dev/"):
        return None
    try:
        return os.stat(source).st_rdev or None
    except (OSError, ValueError):
        return None


def _links_to(directory: str, device: int) -> Iterator[str]:
    """Yield the names of udev's links to a block device."""
    try:
        links = sorted(os.scandir(directory), key=lambda link: link.name)
    except OSError:
        return
    for link in links:
        try:
            if link.stat().st_rdev == device:
                yield link.name
        except OSError:
            continue


def _device_identities(device: int) -> Iterator[str]:
    """Yield what sysfs tells of a block device, and of the disk that it is a partition of."""
    directory = os.path.realpath(f"/sys/dev/block/{_numbers(device)}")
    yield tagged("image", _read_text(f"{directory}/loop/backing_file"))
    for name in ("dm/uuid", "md/uuid"):
        yield tagged("device", _read_text(f"{directory}/{name}"))

    partition = _read_text(f"{directory}/partition")
    disk = os.path.dirname(directory) if partition else directory
    for pattern in ("wwid", "device/wwid", "device/serial", "serial"):
        for path in glob.glob(f"{glob.escape(disk)}/{pattern}"):
            serial = _read_text(path)
            if serial:
                yield tagged("device", f"{serial}-{partition}" if partition else serial)


def _numbers(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"


def _read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as file:
            return file.read().strip()
    except OSError:
        return ""
