"""Do one `run` with a central server: fetch the list of replicas, run each, deliver what is queued."""

from __future__ import annotations

import os
import sys
import time
import uuid
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from scanner.collector.config import Config
from scanner.collector.delivery import chain, identity, sender
from scanner.collector.delivery.chain import CentralChainEnd
from scanner.collector.delivery.client import Client
from scanner.collector.delivery.sender import QueueSender
from scanner.collector.delivery.spool import Spool
from scanner.collector.errors import CollectorError, ConfigError
from scanner.collector.run.limits import ResourceLimits
from scanner.collector.run.progress import Progress, ProgressDisplay, ProgressReporter
from scanner.collector.run.replica_list import AssignedReplica, ReplicaList, fetch_replicas
from scanner.collector.run.replica_run import FinishedRun, ReplicaRunner
from scanner.collector.run.statement import Job
from scanner.collector.run.summary import ReplicaSummary, RunSummary
from scanner.collector.system import cores, durable
from scanner.collector.terminal import printable
from scanner.format.timestamps import format_timestamp

# Seconds after which a bearer token is exchanged for a new one.
_TOKEN_LIFETIME = 30 * 86400.0

PrintLine = Callable[[str], None]


class RunOptions(NamedTuple):
    """Options of one `run` on the command line."""

    names: Tuple[str, ...] = ()
    accept_root: bool = False
    engine: Optional[str] = None
    workers: Optional[int] = None
    max_rate: Optional[float] = None
    """Bytes a second."""
    send: bool = True


class RunAttempt(NamedTuple):
    """One replica that was run, or that could not be."""

    replica: AssignedReplica
    job: Job
    finished_run: Optional[FinishedRun]
    problem: Optional[str]
    """Why there is no finished run."""


def resource_limits(config: Config, options: RunOptions) -> ResourceLimits:
    """Return what a run may use. The command line overrides the configuration; without both, all usable cores."""
    workers = options.workers or config.workers or cores.count_workers()
    return ResourceLimits(workers, options.max_rate or config.max_rate, config.no_progress)


def own_directories(config: Config, output: Optional[Path] = None) -> Tuple[bytes, ...]:
    """Return the directories in which the collector writes: its state, and that of the report files if there is one."""
    directories = (config.state, config.output, output)
    return tuple(os.fsencode(directory) for directory in directories if directory is not None)


class RunSession:
    """One `run`. The caller holds the lock of the state directory."""

    def __init__(self, config: Config, options: RunOptions, print_line: PrintLine) -> None:
        """`print_line` gets lines for a person. Raises IdentityError when the collector is not enrolled."""
        self._config = config
        self._options = options
        self._print_line = print_line
        self._identity = identity.load_enrolled_identity(config.state)
        self._key = identity.load_key(config.state, self._identity.key)
        self._client = Client(config.server or self._identity.url or "", config, self._identity.token)
        self._runner = ReplicaRunner(
            self._key,
            resource_limits(config, options),
            config.roots,
            partial(chain.mark_ever_queued, config.state),
            print_line,
            own_directories(config),
        )
        self._senders: Dict[str, QueueSender] = {}
        """By the uuid of the replica."""
        self.summary = RunSummary()

    def run(self) -> RunSummary:
        """Run the selected replicas, deliver every queue, and return the summary."""
        replica_list = self._fetch_replicas()
        selected_replicas = self._select(replica_list)
        self._open_queues(replica_list)

        if replica_list.fresh:
            self._refresh_token()
            # Old reports go first: the central server may then already close its gaps while this run reads.
            for queue_sender in self._senders.values():
                self._attempt_delivery(queue_sender)

        attempts = [self._run_replica(replica, replica_list.fresh) for replica in selected_replicas]

        if self._options.send:
            senders = list(self._senders.values())
            sender.deliver_all(senders, self._attempt_delivery, self._config.patience, self._print_line)
        self._summarise_attempts(attempts)
        self._summarise_queues()
        return self.summary

    def _fetch_replicas(self) -> ReplicaList:
        replica_list = fetch_replicas(self._client, self._identity, self._config.state)
        if replica_list.problem is not None:
            self._print_line(f"{replica_list.problem}; going on with the central server's last list of replicas")
            if self._options.send:
                self.summary.problems.append(str(replica_list.problem))
        return replica_list

    def _select(self, replica_list: ReplicaList) -> List[AssignedReplica]:
        """Return the replicas to run. Raises ConfigError for a name that means none."""
        names = self._options.names
        for name in names:
            named_replicas = [replica for replica in replica_list.replicas if replica.is_named(name)]
            if not named_replicas:
                raise ConfigError(
                    f"no replica or group of this server is called {printable(name)}; `status` shows the names"
                )
            if not any(replica.enabled for replica in named_replicas):
                raise ConfigError(f"{printable(name)} is disabled on the central server; enable the replica there")

        enabled_replicas = [replica for replica in replica_list.replicas if replica.enabled]
        selected_replicas = [
            replica for replica in enabled_replicas if not names or any(replica.is_named(name) for name in names)
        ]
        if self._options.accept_root and len(selected_replicas) > 1:
            raise ConfigError("--accept-root is for one replica: name it")

        if not replica_list.replicas:
            self.summary.problems.append("nothing was proven: the central server has no replica for this server yet")
        elif not selected_replicas:
            self._print_line("every replica of this server is disabled on the central server")
        return selected_replicas

    def _open_queues(self, replica_list: ReplicaList) -> None:
        """Prepare the queue of each replica, also of those that left the list and still have reports here."""
        directory = durable.make_directory(self._config.state / "replicas")
        central_ends = {replica.replica: replica.central_end for replica in replica_list.replicas}
        spooled_replicas = {path.name for path in directory.iterdir() if path.is_dir()}
        for replica in sorted({*central_ends, *spooled_replicas}):
            spool = Spool(directory / replica)
            spool.prepare()
            # An old answer may be behind the chain's real end: then the sender asks nobody and trusts the spool.
            central_end = None
            if replica_list.fresh:
                central_end = central_ends.get(replica)
            self._senders[replica] = QueueSender(replica, spool, central_end)

    def _refresh_token(self) -> None:
        """Exchange an old bearer token. A failure is no problem of this run: the old token is still valid."""
        # The file is replaced whenever the token is, so that its age is that of the token.
        identity_file = self._config.state / identity.FILE_NAME
        if time.time() - identity_file.stat().st_mtime < _TOKEN_LIFETIME:
            return

        try:
            reply = self._client.call(
                "POST",
                "/token",
                "token",
                self._identity.central or "",
                self._identity.server,
                headers={"Content-Length": "0"},
            )
        except CollectorError as error:
            self._print_line(f"the bearer token is old and could not be exchanged: {error}; the next run tries again")
            return

        self._identity = self._identity._replace(token=str(reply.members["token"]))
        identity.write_identity(self._config.state, self._identity)
        self._client.token = self._identity.token

    def _attempt_delivery(self, queue_sender: QueueSender) -> None:
        if self._options.send:
            queue_sender.attempt(self._client, self._identity, self._key)

    def _run_replica(self, replica: AssignedReplica, fresh: bool) -> RunAttempt:
        """Run one replica. `fresh` says whether the central server described it just now."""
        queue_sender = self._senders[replica.replica]
        if not fresh:
            # A release is for one run, and an earlier run may have used it since the central server said so.
            replica = replica._replace(accept_root=False)

        directory = queue_sender.spool.directory
        job = replica.make_job(self._identity, directory, self._options.engine, self._options.accept_root)
        ever_queued = chain.was_ever_queued(self._config.state, replica.replica)

        central_end = queue_sender.central_end
        if not fresh and not ever_queued:
            # Nothing was ever queued here, so what the central server said last still holds.
            central_end = replica.central_end

        try:
            finished_run = self._run_with_progress(job, central_end, ever_queued, queue_sender)
        except CollectorError as error:
            return RunAttempt(replica, job, None, str(error))
        return RunAttempt(replica, job, finished_run, None)

    def _run_with_progress(
        self, job: Job, central_end: Optional[CentralChainEnd], ever_queued: bool, queue_sender: QueueSender
    ) -> FinishedRun:
        """Run a job, and send its report, while progress is displayed and reported."""
        run = str(uuid.uuid4())
        progress = Progress()
        description = {"run": run, "replica": job.replica, "started_at": format_timestamp(time.time())}
        with ProgressDisplay(progress, sys.stderr, printable(job.group_name)):
            if not self._options.send:
                return self._runner.run(job, run, central_end, ever_queued, progress)

            # Sending is part of the run's progress, so that a long upload is visible on the central server.
            with ProgressReporter(progress, self._client, description):
                finished_run = self._runner.run(job, run, central_end, ever_queued, progress)
                progress.enter("send")
                self._attempt_delivery(queue_sender)
                return finished_run

    def _summarise_attempts(self, attempts: List[RunAttempt]) -> None:
        """Add a summary of each replica that was run, and print its line."""
        for attempt in attempts:
            queue_sender = self._senders[attempt.replica.replica]
            run = "" if attempt.finished_run is None else attempt.finished_run.statement.run

            problem = attempt.problem or queue_sender.refusal_reasons.get(run)
            if not problem and queue_sender.problem is not None:
                problem = str(queue_sender.problem)

            delivered = run in queue_sender.delivered_runs
            replica_summary = ReplicaSummary(attempt.job, attempt.finished_run, delivered, problem)
            self.summary.replicas.append(replica_summary)
            self._print_line(replica_summary.line())

    def _summarise_queues(self) -> None:
        """Count what is still queued, name the problem of each queue, and remove old delivered reports."""
        for replica, queue_sender in self._senders.items():
            queued = len(queue_sender.spool.queued_reports())
            self.summary.queued += queued
            if self._options.send and (queued or queue_sender.refusal_reasons):
                refusals = "; ".join(queue_sender.refusal_reasons.values())
                reason = queue_sender.problem or refusals or "not delivered"
                self.summary.problems.append(f"replica {replica}: {queued} queued: {reason}")
            queue_sender.spool.prune(self._config.keep_days)
