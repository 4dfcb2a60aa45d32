"""Refuse a state directory that other users can change.

Whoever may write a directory, or one above it, can put links or files of his own where the collector writes, as root on
most servers. sshd asks the same of its files (`StrictModes`, sshd_config(5)).
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import Iterator, Optional

from scanner.collector.errors import UnsafeStateError

_OVERFLOW_UID_FILE = Path("/proc/sys/kernel/overflowuid")
_UID_MAP_FILE = Path("/proc/self/uid_map")
_EVERY_UID = ["0", "0", "4294967295"]


def require_own_directory(directory: Path) -> None:
    """Raise UnsafeStateError unless only this user and root can change a directory and what leads to it.

    It need not exist yet. Links are followed first. A directory above it may be writable by others where its sticky
    bit protects its names, as in /tmp.
    """
    real_path = Path(os.path.realpath(directory))
    trusted_uids = {0, os.geteuid(), *_unmapped_uids()}
    for path in (real_path, *real_path.parents):
        try:
            status = os.stat(path)
        except OSError:
            continue  # not made yet, or hidden: making or opening it will say why

        problem = ""
        if status.st_uid not in trusted_uids:
            problem = f"belongs to the user {status.st_uid}"
        elif _others_may_write(status) and not (path != real_path and status.st_mode & stat.S_ISVTX):
            problem = f"can be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
        if problem:
            raise UnsafeStateError(
                f"{path} {problem}, who could plant links to other files there: let it belong to this user or root, "
                "writable by nobody else, or set another `state`"
            )


def _others_may_write(status: os.stat_result) -> bool:
    """Return whether another user than the owner may write. A private group has no other user in it."""
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _is_private(status.st_gid, status.st_uid)


def _is_private(gid: int, uid: int) -> bool:
    """Return whether a group is a user's own: it has his name and no other member, as many systems make it.

    There, new directories are writable by the group.
    """
    try:
        group = grp.getgrgid(gid)
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return False
    return group.gr_name == name and not set(group.gr_mem) - {name}


def _unmapped_uids() -> Iterator[int]:
    """Yield the uid that a user namespace shows for owners outside of it: nobody inside can act as these."""
    mapping = _read_text(_UID_MAP_FILE)
    if mapping is None or mapping.split() == _EVERY_UID:
        return
    overflow = _read_text(_OVERFLOW_UID_FILE)
    if overflow is not None:
        yield int(overflow)


def _read_text(path: Path) -> Optional[str]:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return None  # not Linux, or no /proc
