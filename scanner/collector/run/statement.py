"""What a run says of itself, in the form of the report's statement."""

from __future__ import annotations

import platform
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterable, NamedTuple, Optional, Tuple

from scanner.collector.delivery.chain import ChainPosition
from scanner.collector.run import state
from scanner.collector.system.filesystem import FileSystem
from scanner.collector.version import VERSION
from scanner.format import paths
from scanner.format.digests import RecordTotals
from scanner.format.excludes import scope_digest
from scanner.format.statement import ALGORITHMS, Statement
from scanner.format.timestamps import format_timestamp

_REASON = 1000
_TEXT = 8192
_EARLIEST = 946684800.0
"""2000-01-01: a clock that says less was never set, and the format knows no such times."""


class RunClock:
    """When a run began, by the wall clock, and how long it takes, by one that is never set back."""

    def __init__(self) -> None:
        self.wall, self._monotonic = max(_EARLIEST, time.time()), time.monotonic_ns()

    def passed_ns(self) -> int:
        """Nanoseconds since the run began."""
        return time.monotonic_ns() - self._monotonic

    @property
    def started_at(self) -> str:
        """The beginning as a time of the report."""
        return format_timestamp(self.wall)

    @property
    def finished_at(self) -> str:
        """Now as a time of the report, not before the beginning though the clock be set back."""
        return format_timestamp(max(self.wall, time.time()))


class Job(NamedTuple):
    """What is to be run: one replica, as the central server or the command line describes it."""

    server: str
    replica: str
    group: str
    group_name: str
    root: bytes
    excludes: str
    engine: str
    cross_mounts: bool
    accepted: Optional[str]
    """Who released the root's guards for this run: None, `local` or `operator`."""
    folder: Path
    """Where state and spool of the replica are."""


class ReadOutcome(NamedTuple):
    """What reading a root came to; of a failed run, what was known until then."""

    file_system: Optional[FileSystem]
    engine: Dict[str, Any]
    tally: RecordTotals
    reason: Optional[str] = None
    mounts: Tuple[bytes, ...] = ()
    """Mount points below the root that were entered, or should have been."""


def build_statement(
    job: Job, run: str, link: ChainPosition, clock: RunClock, seen: ReadOutcome, patterns: Iterable[str]
) -> Statement:
    """The statement of a run; a failed one has a reason and no records."""
    tally = seen.tally
    return Statement(
        run=run,
        server=job.server,
        replica=job.replica,
        group=job.group,
        root=paths.encode(job.root),
        sequence=link.sequence,
        previous=link.previous,
        break_=link.torn and link.torn[:_REASON],
        base=None,
        started_at=clock.started_at,
        finished_at=clock.finished_at,
        work_time_ns=clock.passed_ns(),
        outcome="complete" if seen.reason is None else "failed",
        reason=seen.reason and seen.reason[:_REASON],
        mode="full",
        engine=seen.engine,
        algorithms=ALGORITHMS,
        collector={"version": VERSION, "python": platform.python_version()},
        host=_host(seen.file_system, job.accepted),
        config=scope_digest(patterns, job.cross_mounts),
        files=tally.files,
        bytes_=tally.size,
        errors=tally.errors,
        content=tally.content_digest.hexdigest(),
        records=tally.records_digest.finish(),
    )


def _host(file_system: Optional[FileSystem], accepted: Optional[str]) -> Dict[str, Any]:
    described = state.file_system_to_json(file_system)
    if any(len(text or "") > _TEXT for text in described.values()):
        described = state.file_system_to_json(None)
    return {
        "system": platform.system()[:100],
        "release": platform.release()[:100],
        "boot_id": boot_id(),
        "filesystem": {**described, "accepted": accepted},
    }


def boot_id() -> Optional[str]:
    """What tells this boot from the one before: Linux' boot id, else the time of booting; None where neither is
    known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:100]
    except OSError:
        pass
    for command in (["/sbin/sysctl", "-n", "kern.boottime"], ["/usr/sbin/sysctl", "-n", "kern.boottime"]):
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
        except (OSError, subprocess.SubprocessError):
            continue
        if done.returncode == 0:
            return " ".join(done.stdout.decode("ascii", "replace").split())[:100] or None
    return None
