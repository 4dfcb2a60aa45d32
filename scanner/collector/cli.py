"""The command line: arguments in, one call, words for a person on stderr, JSON for a program on stdout, an exit
code."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from scanner.collector import config as configuration
from scanner.collector.commands import status, verify
from scanner.collector.config import MIB, Config
from scanner.collector.delivery import enrol, identity
from scanner.collector.errors import CollectorError, ConfigError, Interrupted
from scanner.collector.run import local
from scanner.collector.run.local import LocalTarget
from scanner.collector.run.session import RunOptions, RunSession
from scanner.collector.run.summary import RunSummary
from scanner.collector.system import durable, impact, interrupt, lock
from scanner.collector.terminal import printable
from scanner.collector.version import VERSION
from scanner.format.errors import SigningError

EXIT_CODES = (
    "exit codes: 0 all proven; 1 done, but some files could not be read; 2 not done, or not delivered "
    "(also when another collector holds the state folder); what `run --no-send` leaves in the queue on purpose counts "
    "as done"
)


def say(text: str) -> None:
    """One line for a person."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _print_json(members: Dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(members) + "\n")
    sys.stdout.flush()


def _server(text: str) -> Optional[str]:
    try:
        return configuration.parse_server_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from error


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _workers(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1024:
        raise argparse.ArgumentTypeError(f"{text} is not within 1 and 1024")
    return value


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="backup-syncer-collector",
        description="Hashes what this server keeps and reports it, signed, to a central server or into a folder.",
        epilog=f"{EXIT_CODES}\n\nkeys of the configuration file, section [{configuration.SECTION}]:\n"
        f"{configuration.describe_keys()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--config", type=Path, metavar="FILE", help=f"default: {configuration.default_path()}")
    top.add_argument("--version", action="version", version=f"%(prog)s {VERSION} (Python {platform.python_version()})")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_init(commands)
    _add_enroll(commands)
    _add_run(commands)
    _add_status(commands)
    _add_verify(commands)
    return top


def _command(commands: Any, name: str, act: Callable[..., int], words: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(name, help=words, description=words, epilog=EXIT_CODES)
    made.set_defaults(act=act)
    return made


def _add_init(commands: Any) -> None:
    _command(commands, "init", _init, "make this server's key, and an example configuration where there is none")


def _add_enroll(commands: Any) -> None:
    made = _command(commands, "enroll", _enroll, "register this server's key with the central server")
    made.add_argument(
        "token", metavar="TOKEN", help="from the central server's admin, for one use; - reads it from stdin"
    )
    made.add_argument("--server", type=_server, metavar="URL", help="address of the central server")
    made.add_argument("--ca", type=Path, metavar="FILE", help="certificates to trust instead of the system's, PEM")
    made.add_argument("--rotate", action="store_true", help="replace the present key by a new one")


def _add_run(commands: Any) -> None:
    made = _command(commands, "run", _run, "hash the replicas of this server and deliver the reports")
    made.add_argument("names", nargs="*", metavar="REPLICA|GROUP", help="only these, by name, uuid or root")
    made.add_argument("--local", type=os.fsencode, metavar="ROOT", help="hash this directory without a central server")
    made.add_argument("--output", type=Path, metavar="DIR", help="with --local: where the report file goes")
    made.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="with --local; may be repeated")
    made.add_argument("--group", metavar="NAME", help="with --local: begins the report file's name")
    made.add_argument(
        "--accept-root", action="store_true", help="the root is empty or on another disk, and that is right"
    )
    made.add_argument("--engine", choices=("auto", "native", "hashlib"), help="overrides the group's choice")
    made.add_argument("--workers", type=_workers, metavar="N", help="processes that hash")
    made.add_argument("--max-rate", type=_positive, metavar="MIB", help="most to read, in MiB a second")
    made.add_argument("--no-send", action="store_true", help="leave the reports in the queue")
    made.add_argument("--json", action="store_true", help="a summary for programs on stdout")


def _add_status(commands: Any) -> None:
    made = _command(
        commands, "status", _status, "show identity, replicas, queue, and whether the central server answers"
    )
    made.add_argument("--json", action="store_true", help="for programs, on stdout")


def _add_verify(commands: Any) -> None:
    made = _command(
        commands, "verify", _verify, "check a report file: signature, statement, every line, counts, digests"
    )
    made.add_argument("report", type=Path, metavar="REPORT", help="a .jsonl or .jsonl.gz file")
    made.add_argument(
        "--key", metavar="PUBLIC", help="public key that must have signed: 64 hex digits, or a file with them"
    )
    made.add_argument("--json", action="store_true", help="for programs, on stdout")


def run_command_line(arguments: List[str]) -> int:
    """Do what `arguments` ask; the exit code."""
    given = build_parser().parse_args(arguments)
    try:
        code: int = given.act(given)
    except (CollectorError, SigningError) as error:
        return _not_done(given, str(error))
    except Interrupted as error:
        return _not_done(given, str(error))
    return code


def _not_done(given: argparse.Namespace, reason: str) -> int:
    say(f"backup-syncer-collector: {printable(reason)}")
    if getattr(given, "json", False):
        _print_json({"version": VERSION, "exit": interrupt.EXIT, "problems": [reason]})
    return interrupt.EXIT


def _init(given: argparse.Namespace) -> int:
    place = given.config or configuration.default_path()
    if given.config is not None and not place.exists():
        _write_example(place, configuration.load_config(None).state)
    config = configuration.load_config(given.config)
    with lock.held(config.state):
        own = identity.ensure_identity(config.state)
        key = identity.load_key(config.state, own.key)
    if not place.exists():
        _write_example(place, config.state)
    say(f"server {own.server}, key {key.keyid}, state folder {config.state}, configuration {place}")
    return 0


def _write_example(place: Path, state: Path) -> None:
    durable.folder(place.parent)
    durable.write(place, configuration.example_text(state).encode())
    say(f"wrote {place}")


def _enroll(given: argparse.Namespace) -> int:
    config = configuration.load_config(given.config)
    if given.ca is not None:
        config = config._replace(ca=given.ca)
    text = sys.stdin.readline() if given.token == "-" else given.token
    with lock.held(config.state):
        own = enrol.enrol(config, text, given.server, given.rotate)
        key = identity.load_key(config.state, own.key)
    say(f"enrolled as {printable(own.name or own.server)}, key {key.keyid}")
    if given.ca is not None:
        say(f"keep `ca = {given.ca}` in {config.path}: every run needs it")
    return 0


def _run(given: argparse.Namespace) -> int:
    config = configuration.load_config(given.config)
    _check_together(given, config)
    options = RunOptions(
        names=tuple(given.names),
        accept_root=given.accept_root,
        engine=given.engine,
        workers=given.workers,
        max_rate=given.max_rate and given.max_rate * MIB,
        send=not given.no_send,
    )
    with lock.held(config.state):
        _find_temporary(config.state)
        if config.low_priority:
            impact.be_gentle()
        if given.local is None:
            summary: RunSummary = RunSession(config, options, say).run()
        else:
            output = Path(given.output or config.output or ".").absolute()
            place = LocalTarget(given.local, output, tuple(given.exclude), given.group)
            summary = local.run_local(config, options, place, say)
    for problem in summary.problems:
        say(f"problem: {printable(problem)}")
    if given.json:
        _print_json(summary.members())
    return summary.exit_code


def _find_temporary(state: Path) -> None:
    """Temporary files lie in the state folder where the system's own places, such as /tmp, cannot be written."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        tempfile.tempdir = str(state)


def _check_together(given: argparse.Namespace, config: Config) -> None:
    if given.local is None and (given.output or given.exclude or given.group):
        raise ConfigError("--output, --exclude and --group go with --local")
    if given.local is not None and (given.names or given.no_send):
        raise ConfigError("--local takes one directory and sends nothing")
    if given.local is not None and given.output is None and config.output is None:
        raise ConfigError("--local needs --output DIR, or `output` in the configuration")


def _status(given: argparse.Namespace) -> int:
    members = status.collect_status(configuration.load_config(given.config))
    if given.json:
        _print_json(members)
    else:
        for line in status.format_status(members):
            say(line)
    return int(members["exit"])


def _verify(given: argparse.Namespace) -> int:
    config = configuration.load_config(given.config)
    verdict = verify.verify_report(given.report, verify.load_known_keys(config, given.key))
    for word, texts in (("holds", verdict.held), ("OPEN", verdict.open), ("BROKEN", verdict.broken)):
        for text in texts:
            say(f"{word:<7} {printable(text)}")
    if given.json:
        _print_json(verdict.members())
    return verdict.exit_code
