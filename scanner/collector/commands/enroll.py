"""Run `enroll`: register this server's key with the central server."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from scanner.collector import config
from scanner.collector.commands.arguments import add_command, server_url
from scanner.collector.delivery import enrol, identity
from scanner.collector.exit_codes import ExitCode
from scanner.collector.system.lock import hold_lock
from scanner.collector.terminal import print_message, printable


def add_parser(commands: Any) -> None:
    """Describe the command to argparse."""
    parser = add_command(
        commands,
        "enroll",
        enroll,
        summary="register this server's key with the central server",
        description="Register this server's public key with the central server. The private key is made where it is "
        "missing, and never leaves this server. If the answer was lost on the way, repeat the command with the same "
        "token.",
        exit_codes="0 enrolled; 2 not enrolled",
    )
    parser.add_argument(
        "token",
        metavar="TOKEN",
        help="enrolment token, from the server's page in the central server's admin, valid once; - reads it from stdin",
    )
    parser.add_argument(
        "--server",
        type=server_url,
        metavar="URL",
        help="address of the central server (default: `server` of the configuration, else that of the last enrolment)",
    )
    parser.add_argument(
        "--ca",
        type=Path,
        metavar="FILE",
        help="PEM file with the certificates to trust instead of the system's (default: `ca` of the configuration)",
    )
    parser.add_argument(
        "--rotate",
        action="store_true",
        help="replace this server's key by a new one, and destroy the old one",
    )


def enroll(options: argparse.Namespace) -> int:
    """Redeem the enrolment token for the registration of this server's key."""
    loaded_config = config.load_config(options.config)
    if options.ca is not None:
        loaded_config = loaded_config._replace(ca=options.ca)

    token_text = options.token
    if token_text == "-":
        # On the command line, the token would be visible in the list of processes.
        token_text = sys.stdin.readline()

    with hold_lock(loaded_config.state):
        own_identity = enrol.enrol(loaded_config, token_text, options.server, options.rotate)
        key = identity.load_key(loaded_config.state, own_identity.key)

    print_message(f"enrolled as {printable(own_identity.name or own_identity.server)}, key {key.keyid}")
    if options.ca is not None:
        print_message(f"put `ca = {options.ca}` into {loaded_config.path}: every later run needs it")
    return ExitCode.OK
