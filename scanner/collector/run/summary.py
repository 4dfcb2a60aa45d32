"""What a `run` came to: for a program as JSON on stdout, for a person in lines on stderr, for cron as the exit code."""

from __future__ import annotations

import time
from typing import Any, Dict, List, NamedTuple, Optional

from scanner.collector.run.replica_run import FinishedRun
from scanner.collector.run.statement import Job
from scanner.collector.terminal import duration, printable, size
from scanner.collector.version import VERSION
from scanner.format import paths


class ReplicaSummary(NamedTuple):
    """What became of one replica. Without `made` the run could not be done: `problem` says why."""

    job: Job
    made: Optional[FinishedRun]
    delivered: bool
    problem: Optional[str] = None

    @property
    def exit_code(self) -> int:
        """0 all proven, 1 some files could not be read, 2 not done."""
        return 2 if self.made is None else self.made.exit_code

    def members(self) -> Dict[str, Any]:
        """The line for a program."""
        shared = {
            "replica": self.job.replica,
            "group": self.job.group_name,
            "root": paths.encode(self.job.root),
            "problem": self.problem,
        }
        if self.made is None:
            return shared
        statement = self.made.statement
        return {
            **shared,
            "run": statement.run,
            "sequence": statement.sequence,
            "outcome": statement.outcome,
            "reason": statement.reason,
            "engine": statement.engine["name"],
            "files": statement.files,
            "bytes": statement.bytes_,
            "errors": statement.errors,
            "skipped": self.made.skipped,
            "vanished": self.made.vanished,
            "confirmed": self.made.confirmed,
            "misread": self.made.misread,
            "unstable": self.made.unstable,
            "seconds": round(statement.work_time_ns / 1e9, 3),
            "delivered": self.delivered,
        }

    def text(self) -> str:
        """The line for a person."""
        name = f"{printable(self.job.group_name)} ({printable(self.job.root)})"
        if self.made is None:
            return f"{name}: not done: {self.problem}"
        statement = self.made.statement
        fate = "delivered" if self.delivered else "queued"
        fate += f"; {self.problem}" if self.problem else ""
        if statement.outcome == "failed":
            return f"{name}: run {statement.sequence} failed: {printable(statement.reason or '')}; {fate}"
        seconds = statement.work_time_ns / 1e9
        unread = statement.errors + self.made.skipped
        odd = f", {self.made.confirmed} changed without a trace" if self.made.confirmed else ""
        odd += f", {self.made.misread} misread at first" if self.made.misread else ""
        odd += f", {self.made.unstable} read differently each time" if self.made.unstable else ""
        return (
            f"{name}: run {statement.sequence}: {statement.files} files, {size(statement.bytes_)}, "
            f"{unread} not read{odd}, {duration(seconds)}, engine {statement.engine['name']}; {fate}"
        )


class RunSummary:
    """The lines of all replicas of one `run`, and what was in the way of all of them."""

    def __init__(self) -> None:
        self.lines: List[ReplicaSummary] = []
        self.problems: List[str] = []
        self.queued = 0
        self._since = time.monotonic()

    @property
    def exit_code(self) -> int:
        """The worst of all: 0 all proven, 1 some files could not be read, 2 not done or not delivered."""
        return max([2 if self.problems else 0, *(line.exit_code for line in self.lines)])

    def members(self) -> Dict[str, Any]:
        """The whole for a program."""
        return {
            "version": VERSION,
            "exit": self.exit_code,
            "seconds": round(time.monotonic() - self._since, 3),
            "queued": self.queued,
            "problems": self.problems,
            "replicas": [line.members() for line in self.lines],
        }
