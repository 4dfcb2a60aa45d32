"""Run one replica: check its root, walk it, hash its files, queue the report, and keep the state.

Nothing is sent here.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from typing import Any, BinaryIO, Callable, Dict, Iterator, NamedTuple, Optional, Tuple

from scanner.collector.delivery import chain
from scanner.collector.delivery.chain import CentralChainEnd
from scanner.collector.delivery.spool import Spool, SpooledReport
from scanner.collector.engines.choice import EngineChoice, choose_engine
from scanner.collector.entries import WalkedEntry
from scanner.collector.errors import IdentityError, StorageError
from scanner.collector.exit_codes import ExitCode
from scanner.collector.run import ctime_trust, guards, report_body, state
from scanner.collector.run.confirm import Rereader
from scanner.collector.run.ctime_trust import FileSystemTrust
from scanner.collector.run.guards import RunFailed
from scanner.collector.run.hash_pass import HashPass, HashPassError
from scanner.collector.run.limits import ResourceLimits
from scanner.collector.run.progress import Progress
from scanner.collector.run.state import LastRun
from scanner.collector.run.statement import Job, ReadOutcome, RunClock, build_statement
from scanner.collector.run.walk import WalkScope
from scanner.collector.run.walk_process import WalkError, WalkProcess
from scanner.collector.run.workspace import PlannedTotals, Workspace
from scanner.collector.system import durable
from scanner.collector.system.directories import RootError
from scanner.collector.system.fail_points import fail_point
from scanner.format import excludes, paths
from scanner.format.digests import RecordTotals
from scanner.format.errors import ExcludeError, SigningError
from scanner.format.excludes import Excludes
from scanner.format.signing import SigningKey
from scanner.format.statement import Statement

_FURTHER_READS = 2


class FinishedRun(NamedTuple):
    """A run whose report is in the spool. It may have failed."""

    statement: Statement
    report: SpooledReport
    skipped: int
    """Paths that are too long for a report."""
    vanished: int
    """Files that disappeared between walk and read."""
    confirmed: int = 0
    """Files whose content changed although their modification times do not say so."""
    same_date: int = 0
    """Those among them with the modification time of before. An older version that was restored has another one."""
    misread: int = 0
    """Files of which the first read was wrong."""
    unstable: int = 0
    """Files of which no two further reads agree. They are among the errors."""

    @property
    def exit_code(self) -> ExitCode:
        """NOT_DONE when the run failed, PARTIAL when something could not be read."""
        if self.statement.outcome == "failed":
            return ExitCode.NOT_DONE
        if self.statement.errors or self.skipped:
            return ExitCode.PARTIAL
        return ExitCode.OK


class ReplicaRunner:
    """Runner of replicas with one key and one set of limits. It chooses each engine once."""

    def __init__(
        self,
        key: SigningKey,
        limits: ResourceLimits,
        allowed_roots: Tuple[bytes, ...],
        mark_queued: Callable[[str], None],
        print_line: Callable[[str], None],
        own_directories: Tuple[bytes, ...] = (),
    ) -> None:
        """Prepare for any number of runs.

        Without `allowed_roots`, every root may be read. `mark_queued` gets a replica before its first report.
        `own_directories` are directories of the collector: below a root they are left out.
        """
        self._key = key
        self._limits = limits
        self._allowed_roots = allowed_roots
        self._own_directories = own_directories
        self._mark_queued = mark_queued
        self._print_line = print_line
        self._choices: Dict[str, EngineChoice] = {}

    def run(
        self,
        job: Job,
        run: str,
        central_end: Optional[CentralChainEnd],
        ever_queued: bool,
        progress: Progress,
    ) -> FinishedRun:
        """Read the root of `job` and queue the signed report, also the report of a failed run.

        `run` is the uuid of the run; `central_end` and `ever_queued` are those of `chain.next_position`. Raises
        ChainError when the report can have no place in the chain, and StorageError when not even the report of a
        failure can be written.
        """
        spool = Spool(job.directory)
        clock = RunClock()
        chain.next_position(spool, central_end, ever_queued)  # rather fail now than after hours of reading

        with ExitStack() as stack:
            with durable.storage_errors(job.directory):
                body = stack.enter_context(tempfile.TemporaryFile(dir=job.directory))

            # A run whose excludes cannot be read fails, and its statement names none.
            patterns = Excludes(())
            workspace: Optional[Workspace] = None
            try:
                patterns = excludes.parse_excludes(job.excludes)
                workspace = stack.enter_context(Workspace(job.directory))
                outcome = self._read_root(job, patterns, spool, workspace, progress, body)
            except (RunFailed, RootError, ExcludeError, StorageError, HashPassError, WalkError) as error:
                outcome = _failed_outcome(job, error)
                _free_space(workspace, body)
                workspace = None  # a failed run leaves the state as it is

            # The chain is asked again: reading can take days, and the queue may have been renumbered meanwhile.
            position = chain.next_position(spool, central_end, ever_queued)
            statement = build_statement(job, run, position, clock, outcome, patterns.patterns)
            report = self._queue_report(job, statement, body, spool)
            if workspace is None:
                return FinishedRun(statement, report, skipped=0, vanished=0)

            self._keep_state(workspace, statement, outcome)
            return FinishedRun(
                statement,
                report,
                skipped=workspace.skipped,
                vanished=workspace.vanished,
                confirmed=workspace.confirmed,
                same_date=workspace.same_date,
                misread=workspace.misread,
                unstable=workspace.unstable,
            )

    def _queue_report(self, job: Job, statement: Statement, body: BinaryIO, spool: Spool) -> SpooledReport:
        # Marked before the report exists: a mark without a report only asks the central server once more, a report
        # without a mark could let a number be given twice.
        self._mark_queued(job.replica)
        fail_point("run:read")
        body.seek(0)
        try:
            report = spool.add_report(statement, body, self._key)
        except SigningError as error:
            raise IdentityError(str(error)) from error
        fail_point("run:queued")
        return report

    def _read_root(
        self,
        job: Job,
        patterns: Excludes,
        spool: Spool,
        workspace: Workspace,
        progress: Progress,
        body: BinaryIO,
    ) -> ReadOutcome:
        """Read the root and write the records to `body`. Raises one of the errors that make a failed run."""
        accepted = job.accepted is not None
        last_run = guards.last_complete_run(job.directory, spool)
        root_guards = guards.RootGuards(job, self._allowed_roots, self._limits.no_progress)
        root_guards.check_allowed()
        file_system = root_guards.identify()
        guards.check_file_system(file_system, last_run, accepted)
        mounts = guards.check_mounts(job, last_run)
        left_out = root_guards.find_below(self._own_directories)

        # The guards above keep a root from being walked that may be another one. The order matters: the cheap checks
        # come first, and nothing is read before all of them passed.
        scope = WalkScope(patterns.patterns, job.cross_mounts, mounts.missing, frozenset(left_out))
        walk = WalkProcess(job.root, scope, self._limits.no_progress)
        for entry in walk.entries():
            workspace.add_entry(entry)
            progress.files_done += 1
        planned = workspace.plan_hash_pass(walk.may_repeat)
        guards.check_not_empty(planned.entries + workspace.skipped, last_run, accepted)

        choice = self._choose(job.engine)
        self._hash_files(job.root, choice, workspace, planned, progress)
        workspace.merge_results()

        trust = ctime_trust.assess_trust(job.root, file_system, job.cross_mounts)
        self._confirm_suspects(job.root, workspace, last_run, progress, trust)

        # All files are read: a root that was swapped on the way has made the whole run worthless.
        root_guards.check_unchanged(file_system)

        progress.enter("write")
        totals = report_body.write_body(workspace.records(), sum(workspace.count_records()), body, job.directory)
        return ReadOutcome(file_system, choice.describe(), totals, mounts=mounts.remembered, left_out=left_out)

    def _hash_files(
        self, root: bytes, choice: EngineChoice, workspace: Workspace, planned: PlannedTotals, progress: Progress
    ) -> None:
        """Read every file, and then, in rounds, hard links whose first path was gone."""
        progress.files_done = 0
        progress.files_total = planned.files
        progress.bytes_total = planned.bytes
        progress.enter("hash")

        self._hash_round(root, choice, workspace, workspace.files_to_hash(), progress)
        for files in workspace.hard_link_rounds():
            self._hash_round(root, choice, workspace, files, progress)

    def _hash_round(
        self,
        root: bytes,
        choice: EngineChoice,
        workspace: Workspace,
        files: Iterator[WalkedEntry],
        progress: Progress,
    ) -> None:
        bytes_before = progress.bytes_done
        limits = self._limits
        with HashPass(root, choice, limits.workers, limits.max_rate, no_progress=limits.no_progress) as hash_pass:
            progress.count_bytes_read = partial(_count_bytes, bytes_before, hash_pass)
            bytes_left = progress.bytes_total - bytes_before
            for result in hash_pass.run(_note_current(files, progress), bytes_left):
                workspace.add_result(result)
                progress.files_done += 1

    def _confirm_suspects(
        self,
        root: bytes,
        workspace: Workspace,
        last_run: Optional[LastRun],
        progress: Progress,
        trust: FileSystemTrust,
    ) -> None:
        """Read again what changed without a trace, before the report says so."""
        with workspace.previous_run() as previous_run:
            count = previous_run.find_suspects(trust)
            progress.files_total = count.paths
            progress.bytes_total = count.bytes
            if not count.paths:
                return

            progress.enter("confirm")
            # Two engines share no code: what both of them read is no fault of one of them.
            engines = (self._choose("hashlib"), self._choose("native"))
            previous_run_id = ""
            if last_run is not None and last_run.run is not None:
                previous_run_id = last_run.run
            rereader = Rereader(root, engines, self._limits, previous_run_id)
            progress.files_done = 0
            progress.count_bytes_read = lambda: rereader.bytes_done // _FURTHER_READS
            for inodes in previous_run.suspects():
                for suspect, confirmation in rereader.confirm(inodes):
                    previous_run.settle(suspect, confirmation)
                    progress.files_done += 1
            previous_run.relink()
            workspace.same_date = previous_run.count_same_date()

    def _choose(self, engine: str) -> EngineChoice:
        # The choice tests and measures tools, which takes a second. It holds for all replicas of the run.
        if engine not in self._choices:
            try:
                self._choices[engine] = choose_engine(engine)
            except (ValueError, OSError) as error:
                raise RunFailed(f"no engine: {error}") from error
        return self._choices[engine]

    def _keep_state(self, workspace: Workspace, statement: Statement, outcome: ReadOutcome) -> None:
        """Make what was seen the next state.

        The report is in the spool already, so a state that cannot be written costs time only.
        """
        file_system = None
        other_ids: Tuple[str, ...] = ()
        if outcome.file_system is not None:
            file_system = state.file_system_to_json(outcome.file_system)
            other_ids = outcome.file_system.other_ids
        meta = {
            "run": statement.run,
            "sequence": statement.sequence,
            "finished_at": statement.finished_at,
            "entries": workspace.entries,
            "file_system": file_system,
            "other_ids": list(other_ids),
            "mounts": [paths.encode(path) for path in outcome.mounts],
        }
        try:
            workspace.commit(meta)
        except StorageError as error:
            self._print_line(f"warning: {error}; the next run cannot compare with this one")


def _note_current(files: Iterator[WalkedEntry], progress: Progress) -> Iterator[WalkedEntry]:
    """Yield the files, and note each as the present one when it goes to a worker."""
    for file in files:
        progress.current = file.path
        yield file


def _count_bytes(bytes_before: int, hash_pass: HashPass) -> int:
    return bytes_before + hash_pass.bytes_done


def _failed_outcome(job: Job, error: Exception) -> ReadOutcome:
    engine: Dict[str, Any] = {"name": "", "wanted": job.engine, "why": "nothing was read", "tools": []}
    # The reason of a guard stays the same as long as its cause does; its text may hold changing details.
    reason = str(error)
    if isinstance(error, (RunFailed, RootError)):
        reason = error.reason
    return ReadOutcome(None, engine, RecordTotals(0), reason)


def _free_space(workspace: Optional[Workspace], body: BinaryIO) -> None:
    """Give back the space of a run that failed: the report of the failure may need it."""
    if workspace is not None:
        workspace.close()
    body.seek(0)
    body.truncate()
