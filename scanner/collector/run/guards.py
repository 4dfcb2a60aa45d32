"""What keeps a root that is not there from being taken for a root in which nothing is left."""

from __future__ import annotations

import os
from pathlib import Path
from typing import FrozenSet, NamedTuple, Optional, Sequence, Tuple

from scanner.collector.delivery.spool import Spool
from scanner.collector.run import state
from scanner.collector.run.state import LastRun
from scanner.collector.run.statement import Job
from scanner.collector.system import filesystem
from scanner.collector.system.filesystem import FileSystem, RootError
from scanner.format import paths
from scanner.format.statement import read_statement

_MOUNTS = 4096
"""More mount points are not remembered."""


class RunFailed(Exception):
    """The run is to be reported as failed; `reason` says why, in words that stay the same as long as the cause does."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MountCheck(NamedTuple):
    """Mount points below a root that is read across them, relative to it."""

    missing: FrozenSet[bytes]
    remembered: Tuple[bytes, ...]
    """For the next run: those present, and those still missing."""


def last_complete_run(folder: Path, spool: Spool) -> Optional[LastRun]:
    """What the last complete run saw, by the state, or by the newest complete report where the state is lost."""
    last = state.read_last_run(folder)
    if last is not None:
        return last
    for report in reversed(spool.chain()):
        envelope = spool.envelope(report)
        if envelope is None:
            continue
        statement = read_statement(envelope.payload)
        if statement.outcome == "complete":
            return LastRun(
                statement.sequence,
                statement.records.line_count,
                state.file_system_from_json(statement.host["filesystem"]),
            )
    return None


def check_allowed(root: bytes, allowed: Sequence[bytes]) -> None:
    """RunFailed unless `root` lies within one of the roots that this server's administrator allows, links resolved."""
    if root != os.path.normpath(root) or not root.startswith(b"/"):
        raise RunFailed("root is not a plain absolute path")
    if not allowed:
        return
    real = os.path.realpath(root)
    if not any(_within(real, os.path.realpath(each)) for each in allowed):
        raise RunFailed("root is not among the roots that the collector's configuration allows")


def _within(path: bytes, root: bytes) -> bool:
    return path == root or path.startswith(root.rstrip(b"/") + b"/")


def identify(root: bytes) -> Optional[FileSystem]:
    """The file system that holds `root`, None when the system does not tell; RunFailed when the root cannot be
    opened."""
    try:
        found = filesystem.identify(root)
    except RootError as error:
        raise RunFailed(error.reason) from error
    return found if found.type and found.mount_point else None


def check_file_system(now: Optional[FileSystem], last: Optional[LastRun], accepted: bool) -> None:
    """RunFailed when the root lies on another file system than last time and nobody released it."""
    if accepted or last is None or last.file_system is None or now is None or now == last.file_system:
        return
    raise RunFailed(f"root on another file system: {_words(now)}, last time {_words(last.file_system)}")


def check_not_empty(entries: int, last: Optional[LastRun], accepted: bool) -> None:
    """RunFailed when nothing is below a root in which something was last time and nobody released it."""
    if not entries and last is not None and last.entries and not accepted:
        raise RunFailed("root empty, last time it was not")


def check_mounts(job: Job, last: Optional[LastRun]) -> MountCheck:
    """Which mounts below the root are missing: entered last time, none now, and not released."""
    if not job.cross_mounts:
        return MountCheck(frozenset(), ())
    present = filesystem.mount_points_below(job.root)
    missing = frozenset() if last is None or job.accepted is not None else last.mounts - set(present)
    return MountCheck(missing, tuple(sorted({*present, *missing}))[:_MOUNTS])


def check_still(root: bytes, before: Optional[FileSystem]) -> None:
    """RunFailed when the root's file system changed while it was read: unmounted, or another one mounted over it."""
    if identify(root) != before:
        raise RunFailed("root on another file system than when the run began")


def _words(found: FileSystem) -> str:
    return f"{found.type} {found.id or 'of unknown id'} at {paths.encode(found.mount_point)}"[:400]
