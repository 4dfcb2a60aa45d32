"""One run of one replica: guards, walk, hash pass, report in the spool, state. Nothing is sent here."""

from __future__ import annotations

import itertools
import tempfile
from contextlib import ExitStack
from functools import partial
from typing import Any, BinaryIO, Callable, Dict, Iterator, NamedTuple, Optional, Tuple

from scanner.collector.delivery import chain
from scanner.collector.delivery.chain import CentralChainEnd
from scanner.collector.delivery.spool import Spool, SpooledReport
from scanner.collector.engines.choice import EngineChoice, choose
from scanner.collector.entries import WalkedEntry
from scanner.collector.errors import IdentityError, StorageError
from scanner.collector.run import ctime_trust, guards, report_body, state
from scanner.collector.run.confirm import Rereader
from scanner.collector.run.guards import RunFailed
from scanner.collector.run.hash_pass import HashPass, HashPassError
from scanner.collector.run.progress import Progress
from scanner.collector.run.state import LastRun
from scanner.collector.run.statement import Job, ReadOutcome, RunClock, build_statement
from scanner.collector.run.walk import walk
from scanner.collector.run.workspace import PlannedTotals, Workspace
from scanner.collector.system import durable
from scanner.collector.system.failpoint import reach
from scanner.collector.system.filesystem import RootError
from scanner.format import excludes, paths
from scanner.format.digests import RecordTotals
from scanner.format.errors import ExcludeError, SigningError
from scanner.format.excludes import Excludes
from scanner.format.signing import SigningKey
from scanner.format.statement import Statement

_NO_ENGINE: Dict[str, Any] = {"name": "", "wanted": "", "why": "nothing was read", "tools": []}


class ResourceLimits(NamedTuple):
    """What a run may use: worker processes, and bytes a second for all of them together."""

    workers: int
    max_rate: Optional[float]


class FinishedRun(NamedTuple):
    """A run that has its report in the spool."""

    statement: Statement
    report: SpooledReport
    skipped: int
    vanished: int
    confirmed: int = 0
    """Files whose content changed though their times do not say so."""
    misread: int = 0
    """Files of which a first read was wrong."""
    unstable: int = 0
    """Files of which no two further reads agree; they are among the errors."""

    @property
    def exit_code(self) -> int:
        """0 when all was read, 1 when something was not, 2 when the run failed."""
        if self.statement.outcome == "failed":
            return 2
        return 1 if self.statement.errors or self.skipped else 0


class ReplicaRunner:
    """Runs replicas with one key, one set of limits, and engines that are chosen once."""

    def __init__(
        self,
        key: SigningKey,
        limits: ResourceLimits,
        allowed: Tuple[bytes, ...],
        mark_begun: Callable[[str], None],
        tell: Callable[[str], None],
    ) -> None:
        """`allowed` are the roots that may be read, any when empty; `mark_begun` gets a replica before its first
        report."""
        self._key, self._limits, self._allowed = key, limits, allowed
        self._mark_begun, self._tell = mark_begun, tell
        self._choices: Dict[str, EngineChoice] = {}

    def run(self, job: Job, run: str, known: Optional[CentralChainEnd], begun: bool, progress: Progress) -> FinishedRun:
        """Read the root of `job` and queue the signed report, also that of a failed run.

        `known` and `begun` are as in `chain.next_link`. Raises ChainError when the report can have no place,
        StorageError when not even the report of a failure can be written.
        """
        spool, clock = Spool(job.folder), RunClock()
        chain.next_position(spool, known, begun)  # better no place now than after hours of reading
        with ExitStack() as stack:
            with durable.storage_errors(job.folder):
                lines = stack.enter_context(tempfile.TemporaryFile(dir=job.folder))
            patterns, work = excludes.Excludes(()), None
            try:
                patterns = excludes.parse_excludes(job.excludes)
                work = stack.enter_context(Workspace(job.folder))
                seen = self._read(job, patterns, spool, work, progress, lines)
            except (RunFailed, RootError, ExcludeError, StorageError, HashPassError) as error:
                seen = ReadOutcome(None, {**_NO_ENGINE, "wanted": job.engine}, RecordTotals(0), _reason(error))
                _undo(work, lines)
                work = None
            link = chain.next_position(spool, known, begun)
            statement = build_statement(job, run, link, clock, seen, patterns.patterns)
            self._mark_begun(job.replica)
            reach("run:read")
            lines.seek(0)
            try:
                report = spool.add_report(statement, lines, self._key)
            except SigningError as error:
                raise IdentityError(str(error)) from error
            reach("run:queued")
            if work is None:
                return FinishedRun(statement, report, 0, 0)
            self._remember(work, statement, seen)
            odd = work.confirmed, work.misread, work.unstable
            return FinishedRun(statement, report, work.skipped, work.vanished, *odd)

    def _read(
        self, job: Job, patterns: Excludes, spool: Spool, work: Workspace, progress: Progress, lines: BinaryIO
    ) -> ReadOutcome:
        last = guards.last_complete_run(job.folder, spool)
        guards.check_allowed(job.root, self._allowed)
        file_system = guards.identify(job.root)
        guards.check_file_system(file_system, last, accepted=job.accepted is not None)
        mounts = guards.check_mounts(job, last)
        for found in walk(job.root, patterns, job.cross_mounts, mounts.missing):
            work.add_entry(found)
            progress.files_done += 1
        totals = work.plan_hash_pass()
        guards.check_not_empty(totals.entries + work.skipped, last, accepted=job.accepted is not None)
        choice = self._choose(job.engine)
        self._hash(job.root, choice, work, totals, progress)
        work.merge_results()
        self._confirm(
            job.root, work, last, progress, ctime_trust.ctimes_are_trusted(job.root, file_system, job.cross_mounts)
        )
        guards.check_still(job.root, file_system)
        progress.enter("write")
        tally = report_body.write_body(work.records(), sum(work.count_records()), lines, job.folder)
        return ReadOutcome(file_system, choice.statement(), tally, mounts=mounts.remembered)

    def _confirm(
        self, root: bytes, work: Workspace, last: Optional[LastRun], progress: Progress, ctimes_tell: bool
    ) -> None:
        """Read again what changed without a trace, before the report says so."""
        with work.previous_run() as previous_run:
            progress.files_total, progress.bytes_total = previous_run.find_suspects(ctimes_tell)
            if not progress.files_total:
                return
            progress.enter("confirm")
            engines = self._choose("hashlib"), self._choose("native")
            against = last.run if last else None
            reading = Rereader(root, engines, self._limits.workers, self._limits.max_rate, against or "")
            progress.files_done, progress.bytes_read = 0, lambda: reading.bytes_done // 2
            for chunk in previous_run.suspects():
                for suspect, verdict in reading.verdicts(chunk):
                    previous_run.settle(suspect, verdict)
                    progress.files_done += 1
            previous_run.relink()

    def _choose(self, wanted: str) -> EngineChoice:
        if wanted not in self._choices:
            try:
                self._choices[wanted] = choose(wanted)
            except (ValueError, OSError) as error:
                raise RunFailed(f"no engine: {error}") from error
        return self._choices[wanted]

    def _hash(
        self, root: bytes, choice: EngineChoice, work: Workspace, totals: PlannedTotals, progress: Progress
    ) -> None:
        progress.files_done, progress.files_total, progress.bytes_total = 0, totals.files, totals.bytes
        progress.enter("hash")
        for files in itertools.chain([work.files_to_hash()], work.hard_link_rounds()):
            before = progress.bytes_done
            with HashPass(root, choice, self._limits.workers, self._limits.max_rate) as hash_pass:
                progress.bytes_read = partial(_sum, before, hash_pass)
                for result in hash_pass.run(_watched(files, progress), totals.bytes - before):
                    work.add_result(result)
                    progress.files_done += 1

    def _remember(self, work: Workspace, statement: Statement, seen: ReadOutcome) -> None:
        """Keep what was seen. The report is in the spool already: a state that cannot be written costs time only."""
        described = None if seen.file_system is None else state.file_system_to_json(seen.file_system)
        meta = {
            "run": statement.run,
            "sequence": statement.sequence,
            "finished_at": statement.finished_at,
            "entries": work.entries,
            "file_system": described,
            "mounts": [paths.encode(path) for path in seen.mounts],
        }
        try:
            work.commit(meta)
        except StorageError as error:
            self._tell(f"warning: {error}")


def _watched(files: Iterator[WalkedEntry], progress: Progress) -> Iterator[WalkedEntry]:
    for found in files:
        progress.current = found.path
        yield found


def _sum(before: int, hash_pass: HashPass) -> int:
    return before + hash_pass.bytes_done


def _undo(work: Optional[Workspace], lines: BinaryIO) -> None:
    """Give back the space of a run that failed: the report of the failure may need it."""
    if work is not None:
        work.close()
    lines.seek(0)
    lines.truncate()


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, (RunFailed, RootError)) else str(error)
