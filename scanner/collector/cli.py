"""Parse the command line and run one command.

What a person reads goes to stderr, JSON for a program to stdout, and the result is the exit code.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path
from typing import List

from scanner.collector import config
from scanner.collector.commands import enroll, init, run, status, verify
from scanner.collector.errors import CollectorError, Interrupted, OutputError
from scanner.collector.exit_codes import ExitCode
from scanner.collector.terminal import print_json, print_message, printable
from scanner.collector.version import VERSION
from scanner.format.errors import SigningError

_PROGRAM = "backup-syncer-collector"
_DESCRIPTION = "Hash the data that this server keeps and report it, signed, to a central server or into a directory."
_EXIT_CODES = """\
exit codes:
  0  done: everything was read, proven and delivered
  1  done, but some files could not be read
  2  not done, or not delivered, or another collector is working in the state directory
The help of each command says what its exit codes mean: `COMMAND --help`."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    keys = f"keys of the configuration file, section [{config.SECTION}]:\n{config.describe_keys()}"
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description=_DESCRIPTION,
        epilog=f"{_EXIT_CODES}\n\n{keys}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"configuration file; it may be missing (default: {config.describe_default_path()})",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"%(prog)s {VERSION} (Python {platform.python_version()})",
    )

    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    init.add_parser(commands)
    enroll.add_parser(commands)
    run.add_parser(commands)
    status.add_parser(commands)
    verify.add_parser(commands)
    return parser


def run_command_line(arguments: List[str]) -> int:
    """Run the command in `arguments` and return its exit code. An expected error becomes one line and NOT_DONE."""
    options = build_parser().parse_args(arguments)
    try:
        exit_code: int = options.run_command(options)
    except OutputError as error:
        print_message(f"{_PROGRAM}: {printable(str(error))}")
        return ExitCode.NOT_DONE
    except (CollectorError, SigningError, Interrupted) as error:
        return _report_error(options, str(error))
    except OSError as error:
        # Where the machine lacks something, no place is better than this one: descriptors, processes, a directory.
        return _report_error(options, f"the system refuses: {error}")
    return exit_code


def _report_error(options: argparse.Namespace, reason: str) -> int:
    print_message(f"{_PROGRAM}: {printable(reason)}")
    if getattr(options, "json", False):  # not every command has --json
        try:
            print_json({"version": VERSION, "exit": ExitCode.NOT_DONE, "problems": [reason]})
        except OutputError as error:
            print_message(f"{_PROGRAM}: {printable(str(error))}")
    return ExitCode.NOT_DONE
