"""Walk the tree below a root: each name once, whatever its bytes, without following a link or opening a file.

Directories are opened relative to the root's descriptor and checked to be the ones that were listed. So a path longer
than PATH_MAX is reached, and a symbolic link that takes a directory's place is not followed. One directory is open at a
time, and memory holds no more than the directories that are still to be listed.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from typing import FrozenSet, Iterator, List, NamedTuple, Optional

from scanner.collector.entries import WalkedEntry, error_name
from scanner.collector.system.directories import OPEN_DIRECTORY, RootError, open_directory, open_root
from scanner.collector.system.filesystem import mount_points_below
from scanner.format.entry_type import EntryType
from scanner.format.excludes import Excludes

# Plain integers: an enum's members are slow to look up, and these are needed once an entry.
_FILE = EntryType.FILE.value
_ERROR = EntryType.ERROR.value
_LINK = EntryType.LINK.value
_SPECIAL = EntryType.SPECIAL.value

UNMOUNTED = "EUNMOUNTED"
"""Error of a mount point below the root that was entered last time and is no mount point now."""

# Paths of this many bytes are near PATH_MAX and are opened part by part.
_LONG_PATH = 4000

_SPECIAL_KINDS = {stat.S_IFIFO: b"fifo", stat.S_IFBLK: b"block", stat.S_IFCHR: b"char"}
# All other types of inodes are end points of communication: sockets, and doors and ports on SunOS.
_OTHER_SPECIAL = b"socket"


class _Directory(NamedTuple):
    path: bytes
    dev: int
    ino: int


class _Scope(NamedTuple):
    """Limits of the walk."""

    excludes: Excludes
    mounts: FrozenSet[bytes]
    """Mount points that are reported and not entered."""
    device: Optional[int]
    """The one device to stay on, None to cross mounts."""
    unmounted: FrozenSet[bytes]
    """Paths that are passed over: something was mounted there and is not any more."""


def walk(
    root: bytes, excludes: Excludes, cross_mounts: bool = False, unmounted: FrozenSet[bytes] = frozenset()
) -> Iterator[WalkedEntry]:
    """Yield each path below `root` that is neither excluded nor a directory, in no particular order.

    A directory that cannot be listed is an ERROR of the stage `list`, in addition to the names that could be listed.
    What disappears between listing and `lstat` is left out. Each path in `unmounted` is an ERROR of the stage `list`
    and is not entered. Raises RootError, at once or during the walk.
    """
    descriptor = open_root(root)
    if cross_mounts:
        scope = _Scope(excludes, frozenset(), None, unmounted)
    else:
        scope = _Scope(excludes, frozenset(mount_points_below(root)), os.fstat(descriptor).st_dev, unmounted)
    return itertools.chain(_report_unmounted(scope), _walk_tree(root, descriptor, scope))


def _report_unmounted(scope: _Scope) -> Iterator[WalkedEntry]:
    """Yield an error for each missing mount. The topmost one of a branch speaks for those below it."""
    for path in sorted(scope.unmounted):
        parts = path.split(b"/")
        ancestors = [b"/".join(parts[:depth]) for depth in range(1, len(parts))]
        is_covered = any(ancestor in scope.unmounted for ancestor in ancestors)
        if not is_covered and not scope.excludes.matches(path, True):
            yield WalkedEntry(path, _ERROR, detail=UNMOUNTED.encode(), stage="list")


def _walk_tree(root: bytes, descriptor: int, scope: _Scope) -> Iterator[WalkedEntry]:
    """Yield the entries below the root, and close its descriptor."""
    try:
        root_status = os.fstat(descriptor)
        directories = [_Directory(b"", root_status.st_dev, root_status.st_ino)]
        # Last in, first out: depth first keeps the list of directories short in deep trees.
        while directories:
            directory = directories.pop()
            try:
                yield from _list_directory(descriptor, directory, scope, directories)
            except OSError as error:
                if not directory.path:
                    raise RootError(root, "root unreadable", error.strerror or "") from error
                yield from _report_unlisted(descriptor, directory.path, error, scope)
    finally:
        os.close(descriptor)


def _list_directory(
    root_descriptor: int, directory: _Directory, scope: _Scope, directories: List[_Directory]
) -> Iterator[WalkedEntry]:
    """Yield the entries of one directory, and append its directories to those that are still to be listed."""
    descriptor = _open_listed(root_descriptor, directory)
    try:
        prefix = directory.path + b"/" if directory.path else b""
        with os.scandir(descriptor) as entries:
            for entry in entries:
                path = prefix + os.fsencode(entry.name)
                if path in scope.unmounted:
                    continue

                # Excluded first: what is excluded is not examined, so that it can cause no error.
                try:
                    if scope.excludes.matches(path, entry.is_dir(follow_symlinks=False)):
                        continue
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    yield _error_entry(path, error, "stat")
                    continue

                walked_entry = _examine(descriptor, path, status, scope, directories)
                if walked_entry is not None:
                    yield walked_entry
    finally:
        os.close(descriptor)


def _report_unlisted(root_descriptor: int, path: bytes, error: OSError, scope: _Scope) -> Iterator[WalkedEntry]:
    """Yield what a directory is that could not be opened or listed: an error, what took its place, or nothing."""
    if error.errno in (errno.ENOENT, errno.ESTALE):
        return  # it is gone
    if error.errno not in (errno.ENOTDIR, errno.ELOOP, errno.EMLINK):
        yield _error_entry(path, error, "list")
        return

    # It is no directory any more. Report what has its name now.
    parent_path, _, name = path.rpartition(b"/")
    try:
        parent = open_directory(root_descriptor, parent_path)
    except OSError:
        return  # a directory above is gone or replaced, too, and speaks for what was below it

    try:
        walked_entry = _examine(parent, path, os.lstat(name, dir_fd=parent), scope, [])
    except FileNotFoundError:
        return
    finally:
        os.close(parent)

    if walked_entry is None:
        yield _error_entry(path, error, "list")
    else:
        yield walked_entry


def _examine(
    descriptor: int, path: bytes, status: os.stat_result, scope: _Scope, directories: List[_Directory]
) -> Optional[WalkedEntry]:
    """Return the entry of a path. None for a directory, which is appended to `directories`, and for what is gone."""
    kind = stat.S_IFMT(status.st_mode)

    # A bind mount of the same device shows in the mount table alone, another device also where the table is hidden.
    if path in scope.mounts or (scope.device is not None and status.st_dev != scope.device):
        return _entry(path, _SPECIAL, status, b"mount")
    if kind == stat.S_IFREG:
        return _entry(path, _FILE, status)
    if kind == stat.S_IFDIR:
        directories.append(_Directory(path, status.st_dev, status.st_ino))
        return None
    if kind == stat.S_IFLNK:
        return _link_entry(descriptor, path, status)
    return _entry(path, _SPECIAL, status, _SPECIAL_KINDS.get(kind, _OTHER_SPECIAL))


def _link_entry(descriptor: int, path: bytes, status: os.stat_result) -> Optional[WalkedEntry]:
    try:
        target = os.readlink(os.path.basename(path), dir_fd=descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        return _error_entry(path, error, "stat")
    return _entry(path, _LINK, status, target)


def _error_entry(path: bytes, error: OSError, stage: str) -> WalkedEntry:
    return WalkedEntry(path, _ERROR, detail=error_name(error).encode(), stage=stage)


def _entry(path: bytes, kind: int, status: os.stat_result, detail: Optional[bytes] = None) -> WalkedEntry:
    # Positional arguments: this runs once for each path, and keywords take twice as long.
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


def _open_listed(root_descriptor: int, directory: _Directory) -> int:
    """Return a descriptor of a directory that was seen, or of the directory that has its name now. Raises OSError."""
    if len(directory.path) < _LONG_PATH:
        # One call suffices as long as it leads to the same inode: then no link was followed on the way.
        descriptor = os.open(directory.path or b".", OPEN_DIRECTORY | os.O_NOFOLLOW, dir_fd=root_descriptor)
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) == (directory.dev, directory.ino):
            return descriptor
        os.close(descriptor)
    return open_directory(root_descriptor, directory.path)
