"""Run `init`: make this server's key and an example configuration."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from scanner.collector import config
from scanner.collector.commands.arguments import add_command
from scanner.collector.delivery import identity
from scanner.collector.exit_codes import ExitCode
from scanner.collector.system import durable
from scanner.collector.system.lock import hold_lock
from scanner.collector.terminal import print_message


def add_parser(commands: Any) -> None:
    """Describe the command to argparse."""
    add_command(
        commands,
        "init",
        initialise,
        summary="make this server's key, and an example configuration where there is none",
        description="Make this server's private key and uuid in the state directory, and an example configuration file "
        "that explains every key. A key and a configuration file that exist already stay as they are. `enroll` and "
        "`run --local` make the key by themselves.",
        exit_codes="0 done; 2 not done",
    )


def initialise(options: argparse.Namespace) -> int:
    """Make key and example configuration where they are missing."""
    path = options.config or config.default_path()
    # A configuration that is named must exist to be loaded. The state directory in the example is then the default one.
    if options.config is not None and not path.exists():
        _write_example(path, config.load_config(None).state)

    loaded_config = config.load_config(options.config)
    with hold_lock(loaded_config.state):
        own_identity = identity.ensure_identity(loaded_config.state)
        key = identity.load_key(loaded_config.state, own_identity.key)

    if not path.exists():
        _write_example(path, loaded_config.state)

    print_message(
        f"server {own_identity.server}, key {key.keyid}, state directory {loaded_config.state}, configuration {path}"
    )
    return ExitCode.OK


def _write_example(path: Path, state: Path) -> None:
    durable.make_directory(path.parent)
    durable.write_file(path, config.example_text(state).encode())
    print_message(f"wrote {path}")
