"""Do one `run --local`: hash a directory without a central server and write the signed report into a directory.

The reports of one root are a chain of their own. Here, too, a report goes through a spool: it has its number, on disk,
before it leaves, and a copy that was interrupted is made again.
"""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
import sys
import uuid
from functools import partial
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from scanner.collector.config import Config
from scanner.collector.delivery import chain, identity
from scanner.collector.delivery.spool import REPORT_SUFFIX, Spool, SpooledReport, read_envelope
from scanner.collector.errors import CollectorError, ConfigError, IdentityError
from scanner.collector.run.progress import Progress, ProgressDisplay
from scanner.collector.run.replica_run import FinishedRun, ReplicaRunner
from scanner.collector.run.session import PrintLine, RunOptions, own_directories, resource_limits
from scanner.collector.run.statement import Job
from scanner.collector.run.summary import ReplicaSummary, RunSummary
from scanner.collector.system import durable
from scanner.collector.terminal import printable
from scanner.format import excludes, paths
from scanner.format.errors import ExcludeError
from scanner.format.statement import read_statement

FILE_NAME = "local.json"
# Bytes. Some file systems take 143 in a file name, and a time and a suffix follow.
_LONGEST_NAME = 90
_UNSAFE_IN_FILE_NAME = re.compile(r"[/\0-\x1f\x7f]|\A\.")


class LocalTarget(NamedTuple):
    """Directory to hash, and where its report goes."""

    root: bytes
    output: Path
    excludes: Tuple[str, ...] = ()
    group: Optional[str] = None
    """Beginning of the report file's name. None means the last part of the root."""


def run_local(config: Config, options: RunOptions, target: LocalTarget, print_line: PrintLine) -> RunSummary:
    """Hash the root, write the report into the output directory, and return the summary.

    The caller holds the lock of the state directory.
    """
    if not target.root:
        raise ConfigError("--local needs a directory: its name is empty")
    _check_excludes(target.excludes)

    own_identity = identity.ensure_identity(config.state)
    key = identity.load_key(config.state, own_identity.key)
    job = _make_job(config.state, own_identity.server, target, options)

    spool = Spool(job.directory)
    summary = RunSummary()
    finished_run = None
    problem = None
    try:
        # A report whose copy was interrupted goes first: the chain must be complete before it grows.
        spool.prepare()
        _move_to_output(spool, target.output, job.group_name)
        runner = ReplicaRunner(
            key,
            resource_limits(config, options),
            config.roots,
            partial(chain.mark_ever_queued, config.state),
            print_line,
            own_directories(config, target.output),
        )
        finished_run = _run_with_progress(runner, job)
        _move_to_output(spool, target.output, job.group_name)
        spool.prune(keep_days=0)  # all but the newest envelope: the report files are in the output directory
    except CollectorError as error:
        problem = str(error)
        summary.problems.append(problem)

    summary.queued = len(spool.queued_reports())
    delivered = finished_run is not None and not summary.queued
    replica_summary = ReplicaSummary(job, finished_run, delivered, problem)
    summary.replicas.append(replica_summary)
    print_line(replica_summary.line())
    return summary


def _run_with_progress(runner: ReplicaRunner, job: Job) -> FinishedRun:
    progress = Progress()
    with ProgressDisplay(progress, sys.stderr, printable(job.group_name)):
        return runner.run(job, str(uuid.uuid4()), None, ever_queued=False, progress=progress)


def _check_excludes(patterns: Tuple[str, ...]) -> None:
    """Raise ConfigError for a pattern that cannot be read, or that means nothing as a line of a group's excludes."""
    try:
        parsed_patterns = excludes.parse_excludes("\n".join(patterns)).patterns
    except ExcludeError as error:
        raise ConfigError(str(error)) from error
    # The patterns travel as one text, one a line. What does not come back as it was would silently exclude nothing.
    if parsed_patterns != patterns:
        raise ConfigError(
            "an exclude pattern is empty, begins with # or a space, or ends with a space: "
            "put a backslash before that character"
        )


def _make_job(state: Path, server: str, target: LocalTarget, options: RunOptions) -> Job:
    root = os.path.abspath(target.root)
    name = os.path.basename(root)
    if target.group:
        name = os.fsencode(target.group)
    group_name = paths.encode(name) or "root"
    replica = _find_or_add_replica(state, server, paths.encode(root), group_name)
    return Job(
        server=server,
        replica=replica["replica"],
        group=replica["group"],
        group_name=group_name,
        root=root,
        excludes="\n".join(target.excludes),
        engine=options.engine or "auto",
        cross_mounts=False,
        accepted="local" if options.accept_root else None,
        directory=state / "local" / replica["replica"],
    )


def _find_or_add_replica(state: Path, server: str, root: str, group_name: str) -> Dict[str, str]:
    """Return the members of `local.json` under which this root is hashed.

    A root that was never hashed gets new uuids, and so does one whose chain is lost: a chain is never continued by
    guess.
    """
    replicas = _read_replicas(state)
    for replica in replicas:
        if replica.get("server") == server and replica.get("root") == root:
            if not _is_chain_lost(state, replica["replica"]):
                return replica
            replicas.remove(replica)
            break

    new_replica = {
        "server": server,
        "root": root,
        "name": group_name,
        "replica": str(uuid.uuid4()),
        "group": str(uuid.uuid4()),
    }
    content = json.dumps([*replicas, new_replica], indent=1).encode() + b"\n"
    durable.write_file(state / FILE_NAME, content)
    return new_replica


def _is_chain_lost(state: Path, replica: str) -> bool:
    spool = Spool(state / "local" / replica)
    return chain.was_ever_queued(state, replica) and (spool.newest() is None or spool.has_lost_end())


def _read_replicas(state: Path) -> List[Dict[str, str]]:
    """Return the content of `local.json`: one object for each root that was ever hashed."""
    path = state / FILE_NAME
    try:
        replicas = json.loads(path.read_text(encoding="utf-8"))
        return [{str(key): str(value) for key, value in replica.items()} for replica in replicas]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise IdentityError(f"cannot read {path}: {error}; remove it to begin new chains") from error


def _move_to_output(spool: Spool, output: Path, group_name: str) -> None:
    """Copy the queued reports to the output directory. The spool keeps their envelopes: the chain goes on from them."""
    with durable.storage_errors(output):
        output.mkdir(parents=True, exist_ok=True)
    for report in spool.queued_reports():
        _copy_report(report, output, group_name)
        spool.keep_envelope(report)


def _file_name_part(group_name: str) -> str:
    """Return a name as the beginning of a file name, cut where it would make the file name too long."""
    name = _UNSAFE_IN_FILE_NAME.sub("_", group_name)
    return name.encode()[:_LONGEST_NAME].decode("utf-8", "ignore")


def _copy_report(report: SpooledReport, output: Path, group_name: str) -> None:
    """Copy a report to the first free name, unless an earlier, interrupted run has copied it already."""
    statement = read_statement(read_envelope(report.path).payload)
    started_at = re.sub(r"[-:]|\.\d+", "", statement.started_at)
    stem = f"{_file_name_part(group_name)}-{started_at}"

    number = 1
    while True:
        suffix = "" if number == 1 else f"-{number}"
        target = output / f"{stem}{suffix}{REPORT_SUFFIX}"
        with durable.storage_errors(target):
            if not target.exists():
                with durable.create_file(target) as copy, report.path.open("rb") as source:
                    shutil.copyfileobj(source, copy)
                return
            if filecmp.cmp(target, report.path, shallow=False):
                return
        number += 1
