"""Add a command to the parser, and check the values of options that commands share."""

from __future__ import annotations

import argparse
from typing import Any, Callable, Optional

from scanner.collector import config

MAX_WORKERS = 1024
MAX_RATE_MIB = 1e6


def add_command(
    commands: Any,
    name: str,
    run_command: Callable[[argparse.Namespace], int],
    *,
    summary: str,
    description: str,
    exit_codes: str,
) -> argparse.ArgumentParser:
    """Add the command `name` to `commands`, what `add_subparsers` returned, and return its parser.

    `summary` is one line for the list of commands, `description` the beginning of the command's own help.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"exit codes: {exit_codes}",
    )
    parser.set_defaults(run_command=run_command)
    return parser


def server_url(text: str) -> Optional[str]:
    """Return the address of a central server in an option."""
    try:
        return config.parse_server_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from error


def rate_mib(text: str) -> float:
    """Return a rate in MiB a second."""
    try:
        rate = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < rate < MAX_RATE_MIB:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and below {MAX_RATE_MIB:.0f}")
    return rate


def worker_count(text: str) -> int:
    """Return a number of worker processes."""
    try:
        count = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if not 1 <= count <= MAX_WORKERS:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {MAX_WORKERS}")
    return count
