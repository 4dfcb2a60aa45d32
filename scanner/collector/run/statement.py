"""Build the statement of a run: what the run says of itself in its report."""

from __future__ import annotations

import platform
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from scanner.collector.delivery.chain import ChainPosition
from scanner.collector.run import state
from scanner.collector.system.filesystem import FileSystem
from scanner.collector.version import VERSION
from scanner.format import paths
from scanner.format.digests import RecordTotals
from scanner.format.excludes import scope_digest
from scanner.format.statement import ALGORITHMS, Statement
from scanner.format.timestamps import format_timestamp

# Limits of the format: a statement with longer texts would be refused.
_LONGEST_REASON = 1000
_LONGEST_TEXT = 8192
_LONGEST_NAME = 100

# 2000-01-01. A clock that shows an earlier time was never set, and the format knows no such times.
_EARLIEST_TIME = 946684800.0
_SYSCTL_PATHS = ("/sbin/sysctl", "/usr/sbin/sysctl")
_SYSCTL_SECONDS = 10


class RunClock:
    """Clock of a run: start and end by the wall clock, duration by a clock that is never set back."""

    def __init__(self) -> None:
        self.start = max(_EARLIEST_TIME, time.time())
        self._monotonic_start_ns = time.monotonic_ns()

    def elapsed_ns(self) -> int:
        """Return the nanoseconds since the run began."""
        return time.monotonic_ns() - self._monotonic_start_ns

    @property
    def started_at(self) -> str:
        """Start of the run as a time of the report."""
        return format_timestamp(self.start)

    @property
    def finished_at(self) -> str:
        """Present moment as a time of the report, never before the start, even if the clock was set back."""
        return format_timestamp(max(self.start, time.time()))


class Job(NamedTuple):
    """One replica to run, as the central server or the command line describes it."""

    server: str
    replica: str
    group: str
    group_name: str
    root: bytes
    excludes: str
    """Patterns, one a line."""
    engine: str
    cross_mounts: bool
    accepted: Optional[str]
    """Who released the guards of the root for this run: None, `local` or `operator`."""
    directory: Path
    """Directory of the replica's state and spool."""


class ReadOutcome(NamedTuple):
    """Outcome of reading a root. For a failed run, what was known until it failed."""

    file_system: Optional[FileSystem]
    engine: Dict[str, Any]
    totals: RecordTotals
    reason: Optional[str] = None
    """Why the run failed, None when it is complete."""
    mounts: Tuple[bytes, ...] = ()
    """Mount points below the root that were entered, or should have been."""
    left_out: Tuple[bytes, ...] = ()
    """Directories of the collector itself below the root."""


def build_statement(
    job: Job,
    run: str,
    position: ChainPosition,
    clock: RunClock,
    outcome: ReadOutcome,
    patterns: Iterable[str],
) -> Statement:
    """Return the statement of the run with the uuid `run`. A failed run has a reason and no records."""
    totals = outcome.totals
    return Statement(
        run=run,
        server=job.server,
        replica=job.replica,
        group=job.group,
        root=paths.encode(job.root),
        sequence=position.sequence,
        previous=position.previous,
        break_=_shortened(position.break_reason),
        base=None,
        started_at=clock.started_at,
        finished_at=clock.finished_at,
        work_time_ns=clock.elapsed_ns(),
        outcome="complete" if outcome.reason is None else "failed",
        reason=_shortened(outcome.reason),
        mode="full",
        engine=outcome.engine,
        algorithms=ALGORITHMS,
        collector={"version": VERSION, "python": platform.python_version()},
        host=_describe_host(outcome, job.accepted),
        config=scope_digest(patterns, job.cross_mounts),
        files=totals.files,
        bytes_=totals.size,
        errors=totals.errors,
        content=totals.content_digest.hexdigest(),
        records=totals.records_digest.finish(),
    )


def _shortened(reason: Optional[str]) -> Optional[str]:
    return None if reason is None else reason[:_LONGEST_REASON]


def _describe_host(outcome: ReadOutcome, accepted: Optional[str]) -> Dict[str, Any]:
    described = state.file_system_to_json(outcome.file_system)
    if any(len(text or "") > _LONGEST_TEXT for text in described.values()):
        # Half a path names another place. Unknown is the better answer.
        described = state.file_system_to_json(None)
    return {
        "system": platform.system()[:_LONGEST_NAME],
        "release": platform.release()[:_LONGEST_NAME],
        "boot_id": read_boot_id(),
        "filesystem": {**described, "accepted": accepted, **_describe_left_out(outcome.left_out)},
    }


def _describe_left_out(directories: Tuple[bytes, ...]) -> Dict[str, List[str]]:
    """Return the member that names what was left out, and nothing where there is nothing to name."""
    coded_directories = [paths.encode(directory)[:_LONGEST_TEXT] for directory in directories]
    return {"left_out": coded_directories} if coded_directories else {}


def read_boot_id() -> Optional[str]:
    """Return what tells this boot from the one before: Linux's boot id, elsewhere the time of booting, or None."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        return boot_id.strip()[:_LONGEST_NAME]
    except OSError:
        pass  # not Linux

    for sysctl in _SYSCTL_PATHS:
        try:
            process = subprocess.run(
                [sysctl, "-n", "kern.boottime"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SYSCTL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            continue
        if process.returncode == 0:
            boot_time = " ".join(process.stdout.decode("ascii", "replace").split())
            return boot_time[:_LONGEST_NAME] or None
    return None
