"""Read the options of the quick start and check what needs nothing installed. Standard library only."""

from __future__ import annotations

import argparse
import os
import socket
from pathlib import Path

from backup_syncer.errors import NotStarted, PortTaken
from backup_syncer.launcher.listener import listen
from backup_syncer.state_directory import default_state


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options of `deploy/quickstart.sh` and of `backup-syncer quickstart`."""
    options = argparse.ArgumentParser(
        prog="quickstart",
        description="Start the whole system on this machine, hash DIR, then upload, ingest and prove the run.",
        epilog="Exit code: 0 the run was proven, 1 it was not, 2 something was not done.",
    )
    options.add_argument("directory", metavar="DIR", nargs="?", help="what to hash (default: a small sample is made)")
    options.add_argument("--once", action="store_true", help="stop everything when the run is proven")
    options.add_argument("--port", type=_port, default=8000, help="port of the pages on 127.0.0.1; 0 takes a free one")
    options.add_argument(
        "--state",
        type=_absolute,
        default=default_state(),
        metavar="DIR",
        help="state directory (default %(default)s)",
    )
    return options


def readable(directory: str) -> bytes:
    """Return the real path of a directory. Raise NotStarted when it cannot be listed."""
    try:
        with os.scandir(directory) as entries:
            next(entries, None)
    except OSError as error:
        raise NotStarted(f"{directory}: {error.strerror}") from error
    return os.fsencode(os.path.realpath(directory))


def listen_locally(port: int) -> socket.socket:
    """Return a socket that listens on 127.0.0.1; port 0 takes a free one. Raise NotStarted when it cannot be had."""
    try:
        return listen("127.0.0.1", port)
    except PortTaken as error:
        # A quick start runs until it is stopped, so a second one in another terminal is the likely reason.
        raise PortTaken(f"{error}, or stop the quick start that may still be running") from error


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 0 to 65535")
    return int(text)


def _absolute(text: str) -> Path:
    return Path(os.path.abspath(text))
