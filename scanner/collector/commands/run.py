"""Run `run`: hash replicas and deliver their reports, or hash one directory into a report file."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from scanner.collector import config
from scanner.collector.commands.arguments import add_command, rate_mib, worker_count
from scanner.collector.config import MIB, Config
from scanner.collector.errors import ConfigError
from scanner.collector.run import local
from scanner.collector.run.local import LocalTarget
from scanner.collector.run.session import RunOptions, RunSession
from scanner.collector.run.summary import RunSummary
from scanner.collector.system.lock import hold_lock
from scanner.collector.system.priority import lower_priority
from scanner.collector.terminal import print_json, print_message, printable


def add_parser(commands: Any) -> None:
    """Describe the command to argparse."""
    parser = add_command(
        commands,
        "run",
        run,
        summary="hash the replicas of this server and deliver the reports",
        description="Read every file of this server's replicas, sign a report of each replica, and deliver the reports "
        "to the central server. With --local, hash one directory into a report file instead.",
        exit_codes="0 everything was read and delivered (what --no-send leaves in the queue counts as delivered); "
        "1 done, but some files could not be read; 2 a run failed, something was not done or not delivered, or another "
        "collector is working in the state directory. Changed and damaged files do not change the exit code: the "
        "central server finds and reports them.",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="REPLICA|GROUP",
        help="run only these: name or uuid of a group, uuid of a replica, or a root "
        "(default: every replica of this server that is enabled)",
    )
    parser.add_argument(
        "--local",
        type=os.fsencode,
        metavar="ROOT",
        help="hash this directory into a report file, without a central server",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="with --local: directory for the report file (default: `output` of the configuration)",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="with --local: leave out the paths that match; may be repeated",
    )
    parser.add_argument(
        "--group",
        metavar="NAME",
        help="with --local: beginning of the report file's name (default: the last part of ROOT)",
    )
    parser.add_argument(
        "--accept-root",
        action="store_true",
        help="accept, for this run, that the root is empty or on another file system than last time; "
        "for one replica, which must be named if there are more",
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "native", "hashlib"),
        help="what computes the digests (default: the engine of the group; with --local: auto)",
    )
    parser.add_argument(
        "--workers",
        type=worker_count,
        metavar="N",
        help="number of processes that hash, 1 to 1024 "
        "(default: `workers` of the configuration, else the number of physical cores that this process may use)",
    )
    parser.add_argument(
        "--max-rate",
        type=rate_mib,
        metavar="MIB",
        help="most to read, in MiB a second, all processes together "
        "(default: `max-rate` of the configuration, else unlimited)",
    )
    parser.add_argument("--no-send", action="store_true", help="leave the reports in the queue")
    parser.add_argument("--json", action="store_true", help="print a summary for programs to stdout")


def run(options: argparse.Namespace) -> int:
    """Hash and deliver as the options say."""
    loaded_config = config.load_config(options.config)
    _check_combination(options, loaded_config)
    max_rate = None
    if options.max_rate is not None:
        max_rate = options.max_rate * MIB
    run_options = RunOptions(
        names=tuple(options.names),
        accept_root=options.accept_root,
        engine=options.engine,
        workers=options.workers,
        max_rate=max_rate,
        send=not options.no_send,
    )

    # One collector at a time: two would give the same number to two reports.
    with hold_lock(loaded_config.state):
        _ensure_temporary_directory(loaded_config.state)
        if loaded_config.low_priority:
            lower_priority()  # before the workers start: they inherit it
        if options.local is None:
            summary = RunSession(loaded_config, run_options, print_message).run()
        else:
            summary = _run_local(options, loaded_config, run_options)

    for problem in summary.problems:
        print_message(f"problem: {printable(problem)}")
    if options.json:
        print_json(summary.members())
    return summary.exit_code


def _run_local(options: argparse.Namespace, loaded_config: Config, run_options: RunOptions) -> RunSummary:
    output = Path(options.output or loaded_config.output or ".").absolute()
    target = LocalTarget(options.local, output, tuple(options.exclude), options.group)
    return local.run_local(loaded_config, run_options, target, print_message)


def _check_combination(options: argparse.Namespace, loaded_config: Config) -> None:
    """Raise ConfigError for options that contradict each other."""
    if options.local is None:
        if options.output or options.exclude or options.group:
            raise ConfigError("--output, --exclude and --group go with --local: add --local ROOT, or leave them out")
        return

    if options.names or options.no_send:
        raise ConfigError("--local takes one directory and sends nothing: leave out the names and --no-send")
    if options.output is None and loaded_config.output is None:
        raise ConfigError(
            "--local needs a directory for the report: give --output DIR, or set `output` in the configuration"
        )


def _ensure_temporary_directory(state: Path) -> None:
    """Let temporary files go into the state directory where none of the system's places, such as /tmp, is writable."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        tempfile.tempdir = str(state)
