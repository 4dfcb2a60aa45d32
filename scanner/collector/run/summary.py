"""Summarise a `run`: JSON for a program, lines for a person, the exit code for cron."""

from __future__ import annotations

import time
from typing import Any, Dict, List, NamedTuple, Optional

from scanner.collector.exit_codes import ExitCode
from scanner.collector.run.replica_run import FinishedRun
from scanner.collector.run.statement import Job
from scanner.collector.terminal import counted, duration, printable, size
from scanner.collector.version import VERSION
from scanner.format import paths


class ReplicaSummary(NamedTuple):
    """Summary of one replica."""

    job: Job
    finished_run: Optional[FinishedRun]
    """None when there is not even a report of a failure. `problem` then says why."""
    delivered: bool
    problem: Optional[str] = None

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of the run, NOT_DONE without one."""
        if self.finished_run is None:
            return ExitCode.NOT_DONE
        return self.finished_run.exit_code

    def members(self) -> Dict[str, Any]:
        """Return the JSON members of the replica."""
        # Programs read these names. They are documented, and do not change.
        members = {
            "replica": self.job.replica,
            "group": self.job.group_name,
            "root": paths.encode(self.job.root),
            "problem": self.problem,
        }
        if self.finished_run is None:
            return members

        statement = self.finished_run.statement
        return {
            **members,
            "run": statement.run,
            "sequence": statement.sequence,
            "outcome": statement.outcome,
            "reason": statement.reason,
            "engine": statement.engine["name"],
            "files": statement.files,
            "bytes": statement.bytes_,
            "errors": statement.errors,
            "skipped": self.finished_run.skipped,
            "vanished": self.finished_run.vanished,
            "confirmed": self.finished_run.confirmed,
            "misread": self.finished_run.misread,
            "unstable": self.finished_run.unstable,
            "seconds": round(statement.work_time_ns / 1e9, 3),
            "delivered": self.delivered,
        }

    def line(self) -> str:
        """Return one line for a person."""
        name = f"{printable(self.job.group_name)} ({printable(self.job.root)})"
        if self.finished_run is None:
            return f"{name}: not done: {self.problem}"

        delivery = "delivered" if self.delivered else "queued"
        if self.problem:
            delivery += f"; {self.problem}"

        statement = self.finished_run.statement
        if statement.outcome == "failed":
            return f"{name}: run {statement.sequence} failed: {printable(statement.reason or '')}; {delivery}"

        unread = statement.errors + self.finished_run.skipped
        return (
            f"{name}: run {statement.sequence}: {counted(statement.files, 'file')}, {size(statement.bytes_)}, "
            f"{unread} not read{_describe_rereads(self.finished_run)}, {duration(statement.work_time_ns / 1e9)}, "
            f"engine {statement.engine['name']}; {delivery}"
        )


def _describe_rereads(finished_run: FinishedRun) -> str:
    """Return the files that were read again, as a part of the line. Nothing when there was none."""
    text = ""
    if finished_run.same_date:
        text += f", {finished_run.same_date} changed (date unchanged)"
    if finished_run.misread:
        text += f", {finished_run.misread} misread at first"
    if finished_run.unstable:
        text += f", {finished_run.unstable} read differently each time"
    return text


class RunSummary:
    """Summaries of all replicas of one `run`, and the problems that concern all of them."""

    def __init__(self) -> None:
        self.replicas: List[ReplicaSummary] = []
        self.problems: List[str] = []
        self.queued = 0
        """Reports that wait for delivery."""
        self._start = time.monotonic()

    @property
    def exit_code(self) -> ExitCode:
        """Worst exit code of all replicas. NOT_DONE when there is a problem."""
        worst = ExitCode.NOT_DONE if self.problems else ExitCode.OK
        return max([worst, *(replica.exit_code for replica in self.replicas)])

    def members(self) -> Dict[str, Any]:
        """Return the JSON members of the run."""
        return {
            "version": VERSION,
            "exit": self.exit_code,
            "seconds": round(time.monotonic() - self._start, 3),
            "queued": self.queued,
            "problems": self.problems,
            "replicas": [replica.members() for replica in self.replicas],
        }
