"""What is below a root: every name once, whatever its bytes, without following a link and without opening a file.

Directories are opened relative to the root's descriptor and checked to be the ones that were listed, so a path longer
than PATH_MAX is reached and a symbolic link that is swapped in is not followed. One directory is open at a time, and
memory holds no more than the directories that wait.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from typing import FrozenSet, Iterator, List, NamedTuple, Optional

from scanner.collector.entries import WalkedEntry, error_name
from scanner.collector.system.filesystem import mount_points_below
from scanner.collector.system.folders import DIRECTORY, RootError, open_directory, open_root
from scanner.format.entry_type import EntryType
from scanner.format.excludes import Excludes

# Plain integers: an enum's members are slow to look up, and these are needed once an entry.
_FILE = EntryType.FILE.value
_ERROR = EntryType.ERROR.value
_LINK = EntryType.LINK.value
_SPECIAL = EntryType.SPECIAL.value

_LONG = 4000
"""Paths of this many bytes are near PATH_MAX and opened part by part."""


UNMOUNTED = "EUNMOUNTED"
"""The error of a mount point below the root that was entered last time and is none now."""


class _Directory(NamedTuple):
    path: bytes
    dev: int
    ino: int


class _Scope(NamedTuple):
    excludes: Excludes
    mounts: FrozenSet[bytes]
    device: Optional[int]
    """The one device to stay on; None to cross mounts."""
    unmounted: FrozenSet[bytes]
    """What is passed over: something was mounted there, and is no more."""


def walk(
    root: bytes, excludes: Excludes, cross_mounts: bool = False, unmounted: FrozenSet[bytes] = frozenset()
) -> Iterator[WalkedEntry]:
    """Each path below `root` that is not excluded and not a directory, in no order. Raises RootError, at once or later.

    A directory that cannot be listed is an ERROR with the stage `list`, besides what of it could be listed. What is
    gone between listing and looking is not told. Each of `unmounted` is an ERROR of that stage, and not looked into.
    """
    descriptor = open_root(root)
    mounts = frozenset() if cross_mounts else frozenset(mount_points_below(root))
    scope = _Scope(excludes, mounts, None if cross_mounts else os.fstat(descriptor).st_dev, unmounted)
    return itertools.chain(_missing(scope), _walk(root, descriptor, scope))


def _missing(scope: _Scope) -> Iterator[WalkedEntry]:
    """What was mounted and is not: the uppermost of each branch speaks for what lies below."""
    for path in sorted(scope.unmounted):
        above = path.split(b"/")
        under = any(b"/".join(above[:depth]) in scope.unmounted for depth in range(1, len(above)))
        if not under and not scope.excludes.matches(path, True):
            yield WalkedEntry(path, _ERROR, detail=UNMOUNTED.encode(), stage="list")


def _walk(root: bytes, descriptor: int, scope: _Scope) -> Iterator[WalkedEntry]:
    try:
        top = os.fstat(descriptor)
        waiting = [_Directory(b"", top.st_dev, top.st_ino)]
        while waiting:
            directory = waiting.pop()
            try:
                yield from _list(descriptor, directory, scope, waiting)
            except OSError as error:
                if not directory.path:
                    raise RootError(root, "root unreadable", error.strerror or "") from error
                yield from _unlisted(descriptor, directory.path, error, scope)
    finally:
        os.close(descriptor)


def _list(root: int, directory: _Directory, scope: _Scope, waiting: List[_Directory]) -> Iterator[WalkedEntry]:
    descriptor = _open(root, directory)
    try:
        prefix = directory.path + b"/" if directory.path else b""
        with os.scandir(descriptor) as entries:
            for entry in entries:
                path = prefix + os.fsencode(entry.name)
                if path in scope.unmounted:
                    continue
                try:
                    if scope.excludes.matches(path, entry.is_dir(follow_symlinks=False)):
                        continue
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    yield _error(path, error, "stat")
                    continue
                found = _look(descriptor, path, status, scope, waiting)
                if found is not None:
                    yield found
    finally:
        os.close(descriptor)


def _unlisted(root: int, path: bytes, error: OSError, scope: _Scope) -> Iterator[WalkedEntry]:
    """What to say of a directory that could not be opened or listed: it may have become something else, or be gone."""
    if error.errno in (errno.ENOENT, errno.ESTALE):
        return
    if error.errno not in (errno.ENOTDIR, errno.ELOOP, errno.EMLINK):
        yield _error(path, error, "list")
        return
    above, _, name = path.rpartition(b"/")
    try:
        parent = open_directory(root, above)
    except OSError:
        return  # a directory above is gone too, or no directory any more, and speaks for what was below
    try:
        found = _look(parent, path, os.lstat(name, dir_fd=parent), scope, [])
    except FileNotFoundError:
        return
    finally:
        os.close(parent)
    yield _error(path, error, "list") if found is None else found


def _look(
    descriptor: int, path: bytes, status: os.stat_result, scope: _Scope, waiting: List[_Directory]
) -> Optional[WalkedEntry]:
    """What an entry is; None for a directory, which is put where directories wait, and for what is gone."""
    kind = stat.S_IFMT(status.st_mode)
    if path in scope.mounts or (scope.device is not None and status.st_dev != scope.device):
        return _found(path, _SPECIAL, status, b"mount")
    if kind == stat.S_IFREG:
        return _found(path, _FILE, status)
    if kind == stat.S_IFDIR:
        waiting.append(_Directory(path, status.st_dev, status.st_ino))
        return None
    if kind == stat.S_IFLNK:
        return _link(descriptor, path, status)
    return _found(path, _SPECIAL, status, _SPECIAL_KINDS.get(kind, b"socket"))


_SPECIAL_KINDS = {stat.S_IFIFO: b"fifo", stat.S_IFBLK: b"block", stat.S_IFCHR: b"char"}
"""Everything else that a name can stand for is an end point of communication: sockets, and doors and ports on SunOS."""


def _link(descriptor: int, path: bytes, status: os.stat_result) -> Optional[WalkedEntry]:
    try:
        return _found(path, _LINK, status, os.readlink(os.path.basename(path), dir_fd=descriptor))
    except FileNotFoundError:
        return None
    except OSError as error:
        return _error(path, error, "stat")


def _error(path: bytes, error: OSError, stage: str) -> WalkedEntry:
    return WalkedEntry(path, _ERROR, detail=error_name(error).encode(), stage=stage)


def _found(path: bytes, kind: int, status: os.stat_result, detail: Optional[bytes] = None) -> WalkedEntry:
    return WalkedEntry(
        path,
        kind,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_dev,
        status.st_ino,
        status.st_nlink,
        detail,
    )


def _open(root: int, directory: _Directory) -> int:
    """A descriptor of a directory that was seen, or of the one that has its name by now. Raises OSError."""
    if len(directory.path) < _LONG:
        descriptor = os.open(directory.path or b".", DIRECTORY | os.O_NOFOLLOW, dir_fd=root)
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) == (directory.dev, directory.ino):
            return descriptor
        os.close(descriptor)
    return open_directory(root, directory.path)
