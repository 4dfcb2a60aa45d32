"""Run `status`: show who this collector is, its replicas, its queue, and whether the central server answers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from scanner.collector.commands.arguments import add_command
from scanner.collector.config import Config, load_config
from scanner.collector.delivery import identity
from scanner.collector.delivery.client import Client
from scanner.collector.delivery.identity import Identity
from scanner.collector.delivery.spool import RECEIPT_SUFFIX, REPORT_SUFFIX, Spool, read_envelope
from scanner.collector.errors import CollectorError
from scanner.collector.exit_codes import ExitCode
from scanner.collector.run import replica_list
from scanner.collector.run.replica_list import AssignedReplica
from scanner.collector.terminal import counted, print_json, print_message, printable
from scanner.format.canonical_json import decode_json
from scanner.format.envelope import REPLY_LIMIT, REPLY_TYPE, open_envelope
from scanner.format.errors import RecordError, ReportError
from scanner.format.statement import Statement, read_statement


class IdentityStatus(NamedTuple):
    """Who this collector is. The names of the fields are those of the JSON output."""

    server: str
    name: Optional[str]
    url: Optional[str]
    keyid: str
    public_key: str
    enrolled: bool


class ReplicaStatus(NamedTuple):
    """Last run and queue of one replica. The names of the fields are those of the JSON output."""

    replica: str
    group: Optional[str] = None
    root: Optional[str] = None
    enabled: Optional[bool] = None
    sequence: Optional[int] = None
    outcome: Optional[str] = None
    reason: Optional[str] = None
    finished_at: Optional[str] = None
    files: Optional[int] = None
    errors: Optional[int] = None
    delivered_at: Optional[str] = None
    queued: int = 0


class CollectorStatus(NamedTuple):
    """Everything that `status` shows."""

    exit_code: ExitCode
    state: str
    problem: Optional[str]
    """Why there is no identity, no enrolment or no answer."""
    identity: Optional[IdentityStatus] = None
    replicas: Tuple[ReplicaStatus, ...] = ()

    def members(self) -> Dict[str, Any]:
        """Return the JSON members of the status."""
        if self.identity is None:
            return {"exit": self.exit_code, "state": self.state, "problem": self.problem}
        return {
            "exit": self.exit_code,
            "state": self.state,
            **self.identity._asdict(),
            "problem": self.problem,
            "replicas": [replica._asdict() for replica in self.replicas],
        }


def add_parser(commands: Any) -> None:
    """Describe the command to argparse."""
    parser = add_command(
        commands,
        "status",
        show_status,
        summary="show identity, replicas and queue, and whether the central server answers",
        description="Show who this collector is, the last run and the queue of each replica, and whether the central "
        "server answers.",
        exit_codes="0 everything is delivered and the last run of each replica was complete; 1 reports are waiting, or "
        "a last run failed; 2 not enrolled (unless only `run --local` is used), or the central server does not answer",
    )
    parser.add_argument("--json", action="store_true", help="print the status for programs to stdout")


def show_status(options: argparse.Namespace) -> int:
    """Print the status as lines, or as JSON."""
    status = collect_status(load_config(options.config))
    if options.json:
        print_json(status.members())
    else:
        for line in format_status(status):
            print_message(line)
    return status.exit_code


def collect_status(config: Config) -> CollectorStatus:
    """Return the status of the collector with this configuration. Asks the central server."""
    own_identity = identity.read_identity(config.state)
    if own_identity is None:
        problem = "no identity yet: run `enroll TOKEN`, or `init`"
        return CollectorStatus(ExitCode.NOT_DONE, str(config.state), problem)

    key = identity.load_key(config.state, own_identity.key)
    identity_status = IdentityStatus(
        server=own_identity.server,
        name=own_identity.name,
        url=config.server or own_identity.url,
        keyid=key.keyid,
        public_key=key.public.hex(),
        enrolled=own_identity.enrolled,
    )
    assigned_replicas, problem_of_list = _fetch_replicas(config, own_identity)
    replicas = _collect_replicas(config.state, assigned_replicas)
    return CollectorStatus(
        exit_code=_exit_code(config, own_identity, problem_of_list, replicas),
        state=str(config.state),
        problem=problem_of_list,
        identity=identity_status,
        replicas=replicas,
    )


def _exit_code(
    config: Config, own_identity: Identity, problem: Optional[str], replicas: Tuple[ReplicaStatus, ...]
) -> ExitCode:
    # Whoever uses `run --local` alone needs no enrolment, and nothing is missing.
    works_alone = not own_identity.enrolled and (config.state / "local").is_dir() and not config.server
    if problem is not None and not works_alone:
        return ExitCode.NOT_DONE
    if any(replica.queued or replica.outcome == "failed" for replica in replicas):
        return ExitCode.PARTIAL
    return ExitCode.OK


def _fetch_replicas(config: Config, own_identity: Identity) -> Tuple[List[AssignedReplica], Optional[str]]:
    """Return the replicas that the central server names, or named last, and why it could not be asked."""
    if not own_identity.enrolled:
        return [], "not enrolled: run `enroll TOKEN`"

    try:
        client = Client(config.server or own_identity.url or "", config, own_identity.token)
        reply = client.call("GET", "/replicas", "replicas", own_identity.central or "", own_identity.server)
        return replica_list.parse_replicas(reply), None
    except CollectorError as error:
        return replica_list.read_cached_replicas(own_identity, config.state) or [], str(error)


def _collect_replicas(state: Path, assigned_replicas: List[AssignedReplica]) -> Tuple[ReplicaStatus, ...]:
    """Return the status of every replica that has a directory here or is assigned to this server."""
    directories = _replica_directories(state)
    assigned_by_uuid = {replica.replica: replica for replica in assigned_replicas}
    uuids = sorted({*directories, *assigned_by_uuid})
    return tuple(_replica_status(uuid, directories.get(uuid), assigned_by_uuid.get(uuid)) for uuid in uuids)


def _replica_directories(state: Path) -> Dict[str, Path]:
    """Return the directory of each replica by its uuid, those of `run --local` included."""
    directories = {}
    for kind in ("replicas", "local"):
        for path in (state / kind).glob("*-*-*-*-*"):
            if path.is_dir():
                directories[path.name] = path
    return directories


def _replica_status(uuid: str, directory: Optional[Path], assigned: Optional[AssignedReplica]) -> ReplicaStatus:
    status = ReplicaStatus(uuid)
    if assigned is not None:
        status = status._replace(group=assigned.group_name, root=assigned.root, enabled=assigned.enabled)
    if directory is None:
        return status

    spool = Spool(directory)
    status = status._replace(queued=len(spool.queued_reports()), delivered_at=_newest_receipt_time(spool))
    statement, unreadable = _newest_statement(spool)
    if statement is None:
        return status._replace(reason=unreadable)
    return status._replace(
        root=statement.root,
        sequence=statement.sequence,
        outcome=statement.outcome,
        reason=statement.reason,
        finished_at=statement.finished_at,
        files=statement.files,
        errors=statement.errors,
    )


def _newest_statement(spool: Spool) -> Tuple[Optional[Statement], Optional[str]]:
    """Return the newest statement that can be read, and what is wrong with the reports that cannot."""
    problem = None
    for report in reversed(spool.chain_reports()):
        try:
            return read_statement(read_envelope(report.path).payload), problem
        except ReportError as error:
            problem = f"{report.path.name}: {error}"
    return None, problem


def _newest_receipt_time(spool: Spool) -> Optional[str]:
    """Return when the central server accepted the newest report whose receipt is here and readable."""
    for report in reversed(spool.delivered_reports()):
        receipt = report.path.with_name(report.path.name.replace(REPORT_SUFFIX, RECEIPT_SUFFIX))
        try:
            payload = open_envelope(receipt.read_bytes(), REPLY_TYPE, REPLY_LIMIT).payload
            return str(decode_json(payload)["time"])
        except (OSError, ReportError, RecordError, KeyError, TypeError):
            continue
    return None


def format_status(status: CollectorStatus) -> List[str]:
    """Return the status in lines for a person."""
    lines = [f"state         {printable(status.state)}"]
    if status.identity is None:
        return [*lines, status.problem or ""]

    lines.append(f"server        {printable(status.identity.name or '(no name yet)')} {status.identity.server}")
    lines.append(f"key           {status.identity.keyid}")
    lines.append(f"central       {status.identity.url or '(none)'}: {status.problem or 'answers'}")
    for replica in status.replicas:
        lines.extend(_format_replica(replica))
    return lines


def _format_replica(replica: ReplicaStatus) -> List[str]:
    name = printable(replica.group or replica.replica)
    last_run = "no run yet"
    if replica.sequence is not None:
        last_run = (
            f"run {replica.sequence} {replica.outcome} {replica.finished_at}, "
            f"{counted(replica.files or 0, 'file')}, {counted(replica.errors or 0, 'error')}"
        )
    if replica.reason:
        last_run += f" ({printable(replica.reason)})"
    return [
        f"replica       {name} {printable(replica.root or '?')}: {last_run}",
        f"              {replica.queued} queued, last delivered {replica.delivered_at or 'never'}",
    ]
