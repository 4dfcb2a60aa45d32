"""`run` with a central server: ask it for the replicas, run each, deliver what is queued."""

from __future__ import annotations

import sys
import time
import uuid
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from scanner.collector.config import Config
from scanner.collector.delivery import identity, sender
from scanner.collector.delivery.chain import CentralChainEnd
from scanner.collector.delivery.client import Client
from scanner.collector.delivery.sender import QueueSender
from scanner.collector.delivery.spool import Spool
from scanner.collector.errors import CollectorError, ConfigError
from scanner.collector.run import replica_list
from scanner.collector.run.progress import Progress, ProgressDisplay, ProgressReporter
from scanner.collector.run.replica_list import AssignedReplica, ReplicaList
from scanner.collector.run.replica_run import FinishedRun, ReplicaRunner, ResourceLimits
from scanner.collector.run.statement import Job
from scanner.collector.run.summary import ReplicaSummary, RunSummary
from scanner.collector.system import cores, durable
from scanner.collector.terminal import printable
from scanner.format.timestamps import format_timestamp

_TOKEN_SECONDS = 30 * 86400.0
"""A bearer token older than this is exchanged for a new one."""

PrintLine = Callable[[str], None]


class RunOptions(NamedTuple):
    """What the command line asks of one `run`."""

    names: Tuple[str, ...] = ()
    accept_root: bool = False
    engine: Optional[str] = None
    workers: Optional[int] = None
    max_rate: Optional[float] = None
    """Bytes a second."""
    send: bool = True


def resource_limits(config: Config, options: RunOptions) -> ResourceLimits:
    """What a run may use: the command line's word, else the configuration's, else all usable cores."""
    return ResourceLimits(options.workers or config.workers or cores.workers(), options.max_rate or config.max_rate)


class RunSession:
    """One `run`, under the lock of the state folder. `tell` gets lines for a person."""

    def __init__(self, config: Config, options: RunOptions, tell: PrintLine) -> None:
        self._config, self._options, self._tell = config, options, tell
        self._identity = identity.load_enrolled_identity(config.state)
        self._key = identity.load_key(config.state, self._identity.key)
        self._client = Client(config.server or self._identity.url or "", config, self._identity.token)
        self._begun = durable.folder(config.state / "begun")
        self._runner = ReplicaRunner(self._key, resource_limits(config, options), config.roots, self._mark_begun, tell)
        self._carriers: Dict[str, QueueSender] = {}
        self.summary = RunSummary()

    def run(self) -> RunSummary:
        """Do the whole of it."""
        known = self._ask()
        selected = self._select(known)
        self._gather(known)
        if known.fresh:
            self._refresh_token()
            for carrier in self._carriers.values():
                self._attempt(carrier)
        done = [(entry, *self._one(entry, known.fresh)) for entry in selected]
        if self._options.send:
            waiting = list(self._carriers.values())
            sender.deliver_all(waiting, self._attempt, self._config.patience, self._tell)
        self._conclude(done)
        return self.summary

    def _ask(self) -> ReplicaList:
        known = replica_list.fetch_replicas(self._client, self._identity, self._config.state)
        if known.problem is not None:
            self._tell(f"{known.problem}; going on with what the central server said last")
            if self._options.send:
                self.summary.problems.append(str(known.problem))
        return known

    def _select(self, known: ReplicaList) -> List[AssignedReplica]:
        names = self._options.names
        for name in names:
            meant = [entry for entry in known.entries if entry.is_named(name)]
            if not meant:
                raise ConfigError(f"no replica or group of this server is called {printable(name)}")
            if not any(entry.enabled for entry in meant):
                raise ConfigError(f"{printable(name)} is disabled on the central server")
        selected = [
            entry
            for entry in known.entries
            if entry.enabled and (not names or any(entry.is_named(name) for name in names))
        ]
        if self._options.accept_root and len(selected) > 1:
            raise ConfigError("--accept-root is for one replica: name it")
        if not known.entries:
            self.summary.problems.append("nothing was proven: the central server has no replica for this server yet")
        elif not selected:
            self._tell("every replica of this server is disabled on the central server")
        return selected

    def _gather(self, known: ReplicaList) -> None:
        """A carrier for each replica, also for those that are gone from the list and still have something queued."""
        replicas = durable.folder(self._config.state / "replicas")
        told = {entry.replica: entry.known for entry in known.entries}
        for name in sorted({*told, *(path.name for path in replicas.iterdir() if path.is_dir())}):
            spool = Spool(replicas / name)
            spool.prepare()
            self._carriers[name] = QueueSender(name, spool, told.get(name) if known.fresh else None)

    def _refresh_token(self) -> None:
        path = self._config.state / identity.FILE_NAME
        if time.time() - path.stat().st_mtime < _TOKEN_SECONDS:
            return
        try:
            central, server = self._identity.central or "", self._identity.server
            reply = self._client.call("POST", "/token", "token", central, server, headers={"Content-Length": "0"})
        except CollectorError as error:
            self._tell(f"the bearer token is old and could not be exchanged: {error}")
            return
        self._identity = self._identity._replace(token=str(reply.members["token"]))
        identity.write_identity(self._config.state, self._identity)
        self._client.token = self._identity.token

    def _attempt(self, carrier: QueueSender) -> None:
        if self._options.send:
            carrier.attempt(self._client, self._identity, self._key)

    def _mark_begun(self, replica: str) -> None:
        if not (self._begun / replica).exists():
            durable.write(self._begun / replica, b"")

    def _one(self, entry: AssignedReplica, fresh: bool) -> Tuple[Job, Optional[FinishedRun], Optional[str]]:
        carrier = self._carriers[entry.replica]
        if not fresh:
            entry = entry._replace(accept_root=False)  # a release is for one run, and it may have been used since
        job = entry.job(self._identity, carrier.spool.folder, self._options.engine, self._options.accept_root)
        begun = (self._begun / entry.replica).exists()
        known: Optional[CentralChainEnd] = carrier.known
        if not fresh and not begun:
            known = entry.known  # nothing was ever queued here, so what was said last still holds
        try:
            return job, self._watched(job, known, begun, carrier), None
        except CollectorError as error:
            return job, None, str(error)

    def _watched(self, job: Job, known: Optional[CentralChainEnd], begun: bool, carrier: QueueSender) -> FinishedRun:
        run, progress = str(uuid.uuid4()), Progress()
        about = {"run": run, "replica": job.replica, "started_at": format_timestamp(time.time())}
        with ProgressDisplay(progress, sys.stderr, printable(job.group_name)):
            if not self._options.send:
                return self._runner.run(job, run, known, begun, progress)
            with ProgressReporter(progress, self._client, about):
                made = self._runner.run(job, run, known, begun, progress)
                progress.enter("send")
                self._attempt(carrier)
                return made

    def _conclude(self, done: List[Tuple[AssignedReplica, Job, Optional[FinishedRun], Optional[str]]]) -> None:
        for entry, job, made, problem in done:
            carrier = self._carriers[entry.replica]
            run = "" if made is None else made.statement.run
            why = problem or carrier.refused.get(run) or (str(carrier.problem) if carrier.problem else None)
            line = ReplicaSummary(job, made, run in carrier.delivered, why)
            self.summary.lines.append(line)
            self._tell(line.text())
        for name, carrier in self._carriers.items():
            queued = len(carrier.spool.queued())
            self.summary.queued += queued
            if self._options.send and (queued or carrier.refused):
                reason = carrier.problem or "; ".join(carrier.refused.values()) or "not delivered"
                self.summary.problems.append(f"replica {name}: {queued} queued: {reason}")
            carrier.spool.prune(self._config.keep_days)
