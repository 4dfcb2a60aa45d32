"""Guard against a root that is not there: it must never look like a root from which everything was deleted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, FrozenSet, Iterable, NamedTuple, Optional, Sequence, Tuple, TypeVar

from scanner.collector.delivery.spool import Spool
from scanner.collector.run import state
from scanner.collector.run.state import LastRun
from scanner.collector.run.statement import Job
from scanner.collector.system import filesystem
from scanner.collector.system.deadline import call_within
from scanner.collector.system.directories import RootError
from scanner.collector.system.filesystem import FileSystem
from scanner.format import paths
from scanner.format.statement import read_statement

# Further mount points are not remembered: the state stays small, whatever a root holds.
_MOST_MOUNTS = 4096
_LONGEST_DESCRIPTION = 400

Answer = TypeVar("Answer")


class RunFailed(Exception):
    """The run must be reported as failed.

    `reason` stays word for word the same as long as the cause does, so that it can be compared between runs.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MountCheck(NamedTuple):
    """Mount points below a root that is read across them, relative to it."""

    missing: FrozenSet[bytes]
    remembered: Tuple[bytes, ...]
    """What the next run compares with: the mount points that exist, and those that are missing."""


def last_complete_run(directory: Path, spool: Spool) -> Optional[LastRun]:
    """Return the last complete run, by the state, or by the newest complete report where the state is lost."""
    last_run = state.read_last_run(directory)
    if last_run is not None:
        return last_run

    # A report proves less than the state, but enough for the guards.
    for report in reversed(spool.chain_reports()):
        envelope = spool.load_envelope(report)
        if envelope is None:
            continue
        statement = read_statement(envelope.payload)
        if statement.outcome == "complete":
            file_system = state.file_system_from_json(statement.host["filesystem"])
            return LastRun(statement.sequence, statement.records.line_count, file_system)
    return None


class RootGuards:
    """Guards that ask the file system about the root. A root that gives no answer fails the run like a missing one."""

    def __init__(self, job: Job, allowed_roots: Sequence[bytes], no_progress: float) -> None:
        """The server's administrator sets the allowed roots. Without any, every root is allowed.

        `no_progress` are the seconds after which an answer is not waited for any more.
        """
        self._root = job.root
        self._allowed_roots = allowed_roots
        self._no_progress = no_progress

    def _call(self, question: Callable[[], Answer]) -> Answer:
        try:
            return call_within(self._no_progress, question)
        except TimeoutError as error:
            raise RootError(self._root, "root unreadable", error.strerror or "") from error

    def check_allowed(self) -> None:
        """Raise RunFailed unless the root lies within one of the allowed roots, with symbolic links resolved."""
        self._call(lambda: check_allowed(self._root, self._allowed_roots))

    def identify(self) -> Optional[FileSystem]:
        """Return the file system of the root, or None when the system does not tell it.

        Raises RunFailed when the root cannot be opened.
        """
        return self._call(lambda: identify(self._root))

    def check_unchanged(self, file_system: Optional[FileSystem]) -> None:
        """Raise RunFailed when the root is no longer on `file_system`, on which it was when the run began.

        Something was unmounted, or mounted over it: a part of what was read may come from another disk.
        """
        present = self.identify()
        if present is None or file_system is None:
            is_same = present is file_system
        else:
            is_same = present.is_same(file_system)
        if not is_same:
            raise RunFailed("root on another file system than when the run began")

    def find_below(self, directories: Iterable[bytes]) -> Tuple[bytes, ...]:
        """Return those of the directories that lie below the root, relative to it, with symbolic links resolved."""
        return self._call(lambda: _find_below(self._root, directories))


def _find_below(root: bytes, directories: Iterable[bytes]) -> Tuple[bytes, ...]:
    prefix = os.path.realpath(root).rstrip(b"/") + b"/"
    real_directories = [os.path.realpath(directory) for directory in directories]
    return tuple(sorted({directory[len(prefix) :] for directory in real_directories if directory.startswith(prefix)}))


def check_allowed(root: bytes, allowed_roots: Sequence[bytes]) -> None:
    """Raise RunFailed unless `root` lies within one of the allowed roots, with symbolic links resolved.

    The server's administrator sets the allowed roots. Without any, every root is allowed.
    """
    if root != os.path.normpath(root) or not root.startswith(b"/"):
        raise RunFailed("root is not a plain absolute path")
    if not allowed_roots:
        return

    # Links are resolved on both sides: neither a link below an allowed root nor one that names it opens a way out.
    real_root = os.path.realpath(root)
    if not any(_is_within(real_root, os.path.realpath(allowed_root)) for allowed_root in allowed_roots):
        raise RunFailed("root is not among the roots that the collector's configuration allows")


def _is_within(path: bytes, root: bytes) -> bool:
    return path == root or path.startswith(root.rstrip(b"/") + b"/")


def identify(root: bytes) -> Optional[FileSystem]:
    """Return the file system of `root`, or None when the system does not tell it.

    Raises RunFailed when the root cannot be opened.
    """
    try:
        file_system = filesystem.identify_filesystem(root)
    except RootError as error:
        raise RunFailed(error.reason) from error

    if not file_system.type or not file_system.mount_point:
        return None
    return file_system


def check_file_system(present: Optional[FileSystem], last_run: Optional[LastRun], accepted: bool) -> None:
    """Raise RunFailed when the root lies on another file system than last time and nobody accepted that.

    A file system that is not known, now or then, is no reason to fail.
    """
    if accepted or last_run is None or last_run.file_system is None or present is None:
        return
    if not present.is_same(last_run.file_system):
        raise RunFailed(
            f"root on another file system: {_describe(present)}, last time {_describe(last_run.file_system)}"
        )


def check_not_empty(entries: int, last_run: Optional[LastRun], accepted: bool) -> None:
    """Raise RunFailed when the root is empty, was not empty last time, and nobody accepted that."""
    if not entries and last_run is not None and last_run.entries and not accepted:
        raise RunFailed("root empty, last time it was not")


def check_mounts(job: Job, last_run: Optional[LastRun]) -> MountCheck:
    """Return which mounts below the root are missing: entered last time, gone now, and not accepted as gone."""
    if not job.cross_mounts:
        return MountCheck(frozenset(), ())

    present = [mount.point for mount in filesystem.mounts_below(job.root) if not mount.is_pseudo]
    missing: FrozenSet[bytes] = frozenset()
    if last_run is not None and job.accepted is None:
        missing = last_run.mounts - set(present)

    # A missing mount stays remembered, or the run after the next would take what was below it for removed.
    remembered = sorted({*present, *missing})[:_MOST_MOUNTS]
    return MountCheck(missing, tuple(remembered))


def _describe(file_system: FileSystem) -> str:
    identifier = file_system.id or "of unknown id"
    description = f"{file_system.type} {identifier} at {paths.encode(file_system.mount_point)}"
    return description[:_LONGEST_DESCRIPTION]
