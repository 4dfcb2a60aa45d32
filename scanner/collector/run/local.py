"""`run --local`: hash a directory without a central server and put the signed report into a folder.

The reports of one root are a chain of their own. A report goes through a spool here too: it has its number, on disk,
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
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from scanner.collector.config import Config
from scanner.collector.delivery import identity
from scanner.collector.delivery.spool import REPORT_SUFFIX, Spool, SpooledReport, read_envelope
from scanner.collector.errors import CollectorError, ConfigError, IdentityError
from scanner.collector.run.progress import Progress, ProgressDisplay
from scanner.collector.run.replica_run import FinishedRun, ReplicaRunner
from scanner.collector.run.session import PrintLine, RunOptions, resource_limits
from scanner.collector.run.statement import Job
from scanner.collector.run.summary import ReplicaSummary, RunSummary
from scanner.collector.system import durable
from scanner.collector.terminal import printable
from scanner.format import excludes, paths
from scanner.format.errors import ExcludeError
from scanner.format.statement import read_statement

NAME = "local.json"
_UNFIT = re.compile(r"[/\0-\x1f\x7f]|\A\.")
"""What has no place in the name of a report file."""


class LocalTarget(NamedTuple):
    """What is hashed and where the report goes."""

    root: bytes
    output: Path
    excludes: Tuple[str, ...] = ()
    group: Optional[str] = None


def run_local(config: Config, options: RunOptions, place: LocalTarget, tell: PrintLine) -> RunSummary:
    """Hash the root and put the report into the output folder. Call under the lock of the state folder."""
    if not place.root:
        raise ConfigError("--local needs a directory: its name is empty")
    _check_excludes(place.excludes)
    own = identity.ensure_identity(config.state)
    key = identity.load_key(config.state, own.key)
    job = _job(config.state, own.server, place, options)
    spool, summary = Spool(job.folder), RunSummary()
    made, problem = None, None
    try:
        spool.prepare()
        _place_all(spool, place.output, job.group_name)
        runner = ReplicaRunner(
            key,
            resource_limits(config, options),
            config.roots,
            lambda replica: _mark_begun(config.state, replica),
            tell,
        )
        made = _watched(runner, job)
        _place_all(spool, place.output, job.group_name)
        spool.prune(0)
    except CollectorError as error:
        problem = str(error)
        summary.problems.append(problem)
    summary.queued = len(spool.queued())
    line = ReplicaSummary(job, made, delivered=made is not None and not summary.queued, problem=problem)
    summary.lines.append(line)
    tell(line.text())
    return summary


def _watched(runner: ReplicaRunner, job: Job) -> FinishedRun:
    progress = Progress()
    with ProgressDisplay(progress, sys.stderr, printable(job.group_name)):
        return runner.run(job, str(uuid.uuid4()), None, begun=False, progress=progress)


def _check_excludes(patterns: Tuple[str, ...]) -> None:
    try:
        read = excludes.parse_excludes("\n".join(patterns)).patterns
    except ExcludeError as error:
        raise ConfigError(str(error)) from error
    if read != patterns:
        raise ConfigError(
            "an exclude pattern is empty, begins with # or a space, or ends with a space: escape it by \\"
        )


def _job(state: Path, server: str, place: LocalTarget, options: RunOptions) -> Job:
    root = os.path.abspath(place.root)
    name = paths.encode(os.fsencode(place.group) if place.group else os.path.basename(root)) or "root"
    entry = _entry(state, {"server": server, "root": paths.encode(root), "name": name})
    return Job(
        server=server,
        replica=entry["replica"],
        group=entry["group"],
        group_name=name,
        root=root,
        excludes="\n".join(place.excludes),
        engine=options.engine or "auto",
        cross_mounts=False,
        accepted="local" if options.accept_root else None,
        folder=state / "local" / entry["replica"],
    )


def _entry(state: Path, wanted: Dict[str, str]) -> Dict[str, str]:
    """The replica and group under which this root is hashed; new ones where it never was, or its chain is lost."""
    known = _read(state)
    for entry in known:
        if all(entry.get(name) == wanted[name] for name in ("server", "root")):
            begun = (state / "begun" / entry["replica"]).exists()
            spool = Spool(state / "local" / entry["replica"])
            if begun and (spool.newest() is None or spool.end_is_lost()):
                known.remove(entry)
                break
            return entry
    made = {**wanted, "replica": str(uuid.uuid4()), "group": str(uuid.uuid4())}
    durable.write(state / NAME, json.dumps([*known, made], indent=1).encode() + b"\n")
    return made


def _read(state: Path) -> List[Dict[str, str]]:
    try:
        known = json.loads((state / NAME).read_text(encoding="utf-8"))
        return [{str(key): str(value) for key, value in entry.items()} for entry in known]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise IdentityError(f"cannot read {state / NAME}: {error}; remove it to begin new chains") from error


def _mark_begun(state: Path, replica: str) -> None:
    path = durable.folder(state / "begun") / replica
    if not path.exists():
        durable.write(path, b"")


def _place_all(spool: Spool, output: Path, name: str) -> None:
    """Copy what is queued into the output folder. The spool keeps the envelopes, from which the chain goes on."""
    with durable.storage_errors(output):
        output.mkdir(parents=True, exist_ok=True)
    for report in spool.queued():
        _copy(report, output, name)
        spool.keep_envelope(report)


def _copy(report: SpooledReport, output: Path, name: str) -> None:
    statement = read_statement(read_envelope(report.path).payload)
    started = re.sub(r"[-:]|\.\d+", "", statement.started_at)
    stem, number = f"{_UNFIT.sub('_', name)}-{started}", 1
    while True:
        target = output / (f"{stem}{REPORT_SUFFIX}" if number == 1 else f"{stem}-{number}{REPORT_SUFFIX}")
        with durable.storage_errors(target):
            if not target.exists():
                with durable.create(target) as copy, report.path.open("rb") as source:
                    shutil.copyfileobj(source, copy)
                return
            if filecmp.cmp(target, report.path, shallow=False):
                return
        number += 1
