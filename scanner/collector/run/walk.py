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
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

from scanner.collector.entries import RESOURCE_ERRORS, WalkedEntry, error_name
from scanner.collector.system.directories import OPEN_DIRECTORY, RootError, open_directory, open_root
from scanner.collector.system.fail_points import fail_point
from scanner.collector.system.filesystem import NUMBERED_TYPES, Mount, mounts_below, type_of
from scanner.format.entry_type import EntryType
from scanner.format.excludes import Excludes

# Plain integers: an enum's members are slow to look up, and these are needed once an entry.
_FILE = EntryType.FILE.value
_ERROR = EntryType.ERROR.value
_LINK = EntryType.LINK.value
_SPECIAL = EntryType.SPECIAL.value

HUNG = "ETIMEDOUT"
"""Error of a path that gives no answer."""
UNMOUNTED = "EUNMOUNTED"
"""Error of a mount point below the root that was entered last time and is no mount point now."""

# Names that are read from a directory before the first of them is examined.
_NAMES_AT_ONCE = 256
# Names of one directory that are remembered, so that none comes twice. A quarter of a megabyte.
_REMEMBERED_NAMES = 2048

# Paths of this many bytes are near PATH_MAX and are opened part by part.
_LONG_PATH = 4000

_SPECIAL_KINDS = {stat.S_IFIFO: b"fifo", stat.S_IFBLK: b"block", stat.S_IFCHR: b"char"}
# All other types of inodes are end points of communication: sockets, and doors and ports on SunOS.
_OTHER_SPECIAL = b"socket"


class Directory(NamedTuple):
    """A directory that is to be listed."""

    path: bytes
    dev: int
    ino: int
    is_numbered: bool
    """Whether inode numbers tell files apart on its file system."""


class WalkScope(NamedTuple):
    """Limits of the walk: plain values, which can be sent to another process."""

    patterns: Tuple[str, ...]
    """Excludes."""
    cross_mounts: bool
    unmounted: FrozenSet[bytes]
    """Paths that are passed over: something was mounted there and is not any more."""
    left_out: FrozenSet[bytes]
    """Directories of the collector's own, which are passed over."""


class Place(NamedTuple):
    """A path that is being examined."""

    path: bytes
    stage: str
    """`list` or `stat`."""
    dev: int
    """Device of the directory that is listed."""


class _Name:
    """A name of a directory that was listed before, examined as os.DirEntry does it."""

    def __init__(self, name: bytes, directory: int) -> None:
        self.name = os.fsdecode(name)
        self._name = name
        self._directory = directory

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        """Return the status. Raise OSError."""
        return os.stat(self._name, dir_fd=self._directory, follow_symlinks=follow_symlinks)

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        """Return whether it is a directory. Raise OSError."""
        return stat.S_ISDIR(self.stat(follow_symlinks=follow_symlinks).st_mode)


class Walker:
    """Lists the directories below one root, one at a time.

    The mount table is read before anything below the root is touched. What is not to be entered is never examined: to
    look at a mount point may take for ever when the server behind it is gone.
    """

    def __init__(
        self,
        root: bytes,
        scope: WalkScope,
        given_up: FrozenSet[bytes] = frozenset(),
        gone_devices: FrozenSet[int] = frozenset(),
    ) -> None:
        """`given_up` are paths, and `gone_devices` devices, that give no answer and must not be asked again.

        Raises RootError.
        """
        self.place = Place(b"", "list", 0)
        self.steps = 0
        """Counts what was examined. Another thread reads it, and `place`, to see whether the walk gets on."""
        self.may_repeat = False
        """Whether a path may come twice: a directory had more names than are remembered."""
        self.names: Sequence[Union[os.DirEntry[str], _Name]] = ()
        """Names of the present directory that are being examined."""
        self.examined = 0
        """How many of them were examined, the present one included."""
        self.is_listed = True
        """Whether the directory has no further names."""
        self._root = root
        self._excludes = Excludes(scope.patterns)
        self._passed_over = scope.unmounted | scope.left_out | given_up
        self._gone_devices = gone_devices
        self._unmounted = scope.unmounted
        self._cross_mounts = scope.cross_mounts
        self._mounts: Dict[bytes, Mount] = {mount.point: mount for mount in mounts_below(root)}
        self._is_numbered = type_of(root) in NUMBERED_TYPES
        self._descriptor = open_root(root)
        self._device = os.fstat(self._descriptor).st_dev

    def close(self) -> None:
        """Close the root."""
        os.close(self._descriptor)

    def first_directory(self) -> Directory:
        """Return the root."""
        status = os.fstat(self._descriptor)
        return Directory(b"", status.st_dev, status.st_ino, self._is_numbered)

    def report_unmounted(self) -> Iterator[WalkedEntry]:
        """Yield an error for each missing mount. The topmost one of a branch speaks for those below it."""
        for path in sorted(self._unmounted):
            parts = path.split(b"/")
            ancestors = [b"/".join(parts[:depth]) for depth in range(1, len(parts))]
            is_covered = any(ancestor in self._unmounted for ancestor in ancestors)
            if not is_covered and not self._excludes.matches(path, True):
                yield WalkedEntry(path, _ERROR, detail=UNMOUNTED.encode(), stage="list")

    def list_directory(self, directory: Directory) -> Iterator[Union[WalkedEntry, Directory]]:
        """Yield the entries and the directories in a directory. Raises RootError when it is the root."""
        if directory.path in self._passed_over:
            return
        if directory.dev in self._gone_devices:
            if not directory.path:
                raise RootError(self._root, "root unreadable", os.strerror(errno.ETIMEDOUT))
            yield hung_entry(directory.path, "list")
            return

        self.place = Place(directory.path, "list", directory.dev)
        try:
            yield from self._list(directory)
        except OSError as error:
            if error.errno in RESOURCE_ERRORS:
                raise
            if not directory.path:
                raise RootError(self._root, "root unreadable", error.strerror or "") from error
            yield from self._report_unlisted(directory, error)

    def resume_directory(
        self, directory: Directory, names: List[bytes], is_listed: bool
    ) -> Iterator[Union[WalkedEntry, Directory]]:
        """Yield what has these names in a directory, and list it anew unless its listing was complete."""
        prefix = directory.path + b"/" if directory.path else b""
        if directory.dev in self._gone_devices:
            for name in names:
                if not self._excludes.matches(prefix + name, False):
                    yield hung_entry(prefix + name, "stat")
        else:
            self.place = Place(directory.path, "list", directory.dev)
            try:
                descriptor = _open_listed(self._descriptor, directory)
            except OSError:
                # Listing it meets the error again, and reports it.
                is_listed = False
            else:
                try:
                    yield from self._look_at_each(descriptor, directory, [_Name(name, descriptor) for name in names])
                finally:
                    os.close(descriptor)
        if not is_listed:
            self.may_repeat = True
            yield from self.list_directory(directory)

    def _list(self, directory: Directory) -> Iterator[Union[WalkedEntry, Directory]]:
        fail_point("walk:list", child=True)
        descriptor = _open_listed(self._descriptor, directory)
        seen_names: Set[str] = set()
        try:
            with os.scandir(descriptor) as listing:
                self.is_listed = False
                while not self.is_listed:
                    self.place = Place(directory.path, "list", directory.dev)
                    names = list(itertools.islice(listing, _NAMES_AT_ONCE))
                    self.is_listed = len(names) < _NAMES_AT_ONCE

                    # Directories of union and network file systems that change while they are listed repeat names.
                    new_names = []
                    for name in names:
                        if name.name not in seen_names:
                            new_names.append(name)
                            if len(seen_names) < _REMEMBERED_NAMES:
                                seen_names.add(name.name)
                            else:
                                self.may_repeat = True
                    yield from self._look_at_each(descriptor, directory, new_names)
        finally:
            os.close(descriptor)

    def _look_at_each(
        self, descriptor: int, directory: Directory, names: Sequence[Union[os.DirEntry[str], _Name]]
    ) -> Iterator[Union[WalkedEntry, Directory]]:
        prefix = directory.path + b"/" if directory.path else b""
        self.names = names
        for index, name in enumerate(names, 1):
            path = prefix + os.fsencode(name.name)
            self.examined = index
            self.place = Place(path, "stat", directory.dev)
            self.steps += 1
            item = self._look_at(descriptor, path, name, directory.is_numbered)
            if item is not None:
                yield item
        self.names = ()
        self.examined = 0

    def _look_at(
        self, descriptor: int, path: bytes, name: Union[os.DirEntry[str], _Name], is_numbered: bool
    ) -> Optional[Union[WalkedEntry, Directory]]:
        """Return what has a listed name. None for what is excluded, passed over or gone."""
        fail_point("walk:look", child=True)
        if path in self._passed_over:
            return None

        mount = self._mounts.get(path)
        if mount is not None:
            if not self._cross_mounts or mount.is_pseudo:
                return None if self._excludes.matches(path, True) else WalkedEntry(path, _SPECIAL, detail=b"mount")
            is_numbered = mount.type in NUMBERED_TYPES

        # Excluded first: what is excluded is not examined, so that it can cause no error.
        if self._excludes.matches(path, False):
            return None
        try:
            # Only patterns for directories alone need to know; some file systems tell it only on a look.
            may_be_excluded = self._excludes.tells_directories and self._excludes.matches(path, True)
            if may_be_excluded and name.is_dir(follow_symlinks=False):
                return None
            return self._examine(descriptor, path, name.stat(follow_symlinks=False), is_numbered)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in RESOURCE_ERRORS:
                raise
            return _error_entry(path, error, "stat")

    def _examine(
        self, descriptor: int, path: bytes, status: os.stat_result, is_numbered: bool
    ) -> Optional[Union[WalkedEntry, Directory]]:
        """Return the entry of a path, or the directory that it is. None for what is gone."""
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            return _entry(path, _FILE, status, None if is_numbered else 1)
        if kind == stat.S_IFDIR:
            # A btrfs subvolume, or what was mounted since the table was read. A file's device number says nothing: in
            # an overlay it is that of the layer that holds the file.
            if not self._cross_mounts and status.st_dev != self._device:
                return _entry(path, _SPECIAL, status, detail=b"mount")
            return Directory(path, status.st_dev, status.st_ino, is_numbered)
        if kind == stat.S_IFLNK:
            return _link_entry(descriptor, path, status)
        return _entry(path, _SPECIAL, status, detail=_SPECIAL_KINDS.get(kind, _OTHER_SPECIAL))

    def _report_unlisted(self, directory: Directory, error: OSError) -> Iterator[Union[WalkedEntry, Directory]]:
        """Yield what a directory is that could not be opened or listed: an error, what took its place, or nothing."""
        if error.errno in (errno.ENOENT, errno.ESTALE):
            return  # it is gone
        path = directory.path
        if error.errno not in (errno.ENOTDIR, errno.ELOOP, errno.EMLINK):
            yield _error_entry(path, error, "list")
            return

        # It is no directory any more. Report what has its name now.
        parent_path, _, name = path.rpartition(b"/")
        try:
            parent = open_directory(self._descriptor, parent_path)
        except OSError:
            return  # a directory above is gone or replaced, too, and speaks for what was below it

        try:
            item = self._examine(parent, path, os.lstat(name, dir_fd=parent), directory.is_numbered)
        except FileNotFoundError:
            return
        finally:
            os.close(parent)

        if item is None or isinstance(item, Directory):
            yield _error_entry(path, error, "list")
        else:
            yield item


def walk(
    root: bytes,
    excludes: Excludes,
    cross_mounts: bool = False,
    unmounted: FrozenSet[bytes] = frozenset(),
    left_out: FrozenSet[bytes] = frozenset(),
) -> Iterator[WalkedEntry]:
    """Yield each path below `root` that is neither excluded nor a directory, in no particular order.

    A directory that cannot be listed is an ERROR of the stage `list`, in addition to the names that could be listed.
    What disappears between listing and `lstat` is left out. Each path in `unmounted` is an ERROR of the stage `list`
    and is not entered. Raises RootError, at once or during the walk.
    """
    walker = Walker(root, WalkScope(excludes.patterns, cross_mounts, unmounted, left_out))
    return itertools.chain(walker.report_unmounted(), _walk_tree(walker))


def _walk_tree(walker: Walker) -> Iterator[WalkedEntry]:
    """Yield the entries below the root, and close it."""
    try:
        directories = [walker.first_directory()]
        # Last in, first out: depth first keeps the list of directories short in deep trees.
        while directories:
            for item in walker.list_directory(directories.pop()):
                if isinstance(item, Directory):
                    directories.append(item)
                else:
                    yield item
    finally:
        walker.close()


def _link_entry(descriptor: int, path: bytes, status: os.stat_result) -> Optional[WalkedEntry]:
    try:
        target = os.readlink(os.path.basename(path), dir_fd=descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        return _error_entry(path, error, "stat")
    return _entry(path, _LINK, status, detail=target)


def hung_entry(path: bytes, stage: str) -> WalkedEntry:
    """Return the entry of a path that gives no answer."""
    return WalkedEntry(path, _ERROR, detail=HUNG.encode(), stage=stage)


def _error_entry(path: bytes, error: OSError, stage: str) -> WalkedEntry:
    return WalkedEntry(path, _ERROR, detail=error_name(error).encode(), stage=stage)


def _entry(
    path: bytes, kind: int, status: os.stat_result, nlink: Optional[int] = None, detail: Optional[bytes] = None
) -> WalkedEntry:
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
        status.st_nlink if nlink is None else nlink,
        detail,
    )


def _open_listed(root_descriptor: int, directory: Directory) -> int:
    """Return a descriptor of a directory that was seen, or of the directory that has its name now. Raises OSError."""
    if len(directory.path) < _LONG_PATH:
        # One call suffices as long as it leads to the same inode: then no link was followed on the way.
        descriptor = os.open(directory.path or b".", OPEN_DIRECTORY | os.O_NOFOLLOW, dir_fd=root_descriptor)
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) == (directory.dev, directory.ino):
            return descriptor
        os.close(descriptor)
    return open_directory(root_descriptor, directory.path)
