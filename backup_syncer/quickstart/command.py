"""`backup-syncer quickstart`: take a directory on one machine to a proven run in the browser."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from typing import Any

from backup_syncer.errors import NotStarted
from backup_syncer.launcher.system import System, interruptible
from backup_syncer.quickstart.collector import LocalCollector
from backup_syncer.quickstart.options import listen_locally, parser, readable
from backup_syncer.quickstart.sample import make_sample
from backup_syncer.terminal import Progress, result
from scanner.collector.terminal import counted
from scanner.format import paths

PROVEN = 0
NOT_PROVEN = 1
"""Exit codes."""


def quickstart(arguments: Sequence[str]) -> int:
    """Start everything, hash, upload, ingest and prove. Return the exit code."""
    options = parser().parse_args(arguments)
    interruptible()
    state = options.state
    root = None
    if options.directory:
        root = readable(options.directory)

    listener = listen_locally(options.port)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    system = System(state, url, listener, state / "log", Progress())
    outcome: dict[str, Any] | None = None
    try:
        site = system.start()
        # Only now: the start has made the state directory, or refused somebody else's.
        if root is None:
            root = os.fsencode(make_sample(state / "sample"))
        outcome = _prove_directory(system, root)
        _print_outcome(system, site, outcome, options.once)
        while not options.once:
            system.tick()
            time.sleep(0.5)
    except KeyboardInterrupt as interrupt:
        if outcome is None:
            raise NotStarted("interrupted before the run was proven") from interrupt
    finally:
        system.stop()

    if outcome["proven"]:
        return PROVEN
    return NOT_PROVEN


def _prove_directory(system: System, root: bytes) -> dict[str, Any]:
    """Make the rows, enrol, hash, deliver and wait for the proof. Return the answer of `await_proof`."""
    # The server of the first quick start: later ones go on with its key and its chains.
    marker = system.state / "quickstart.json"
    server_option = []
    if marker.exists():
        server_option = ["--server", json.loads(marker.read_text(encoding="utf-8"))["server"]]
    replica = system.manage("quickstart_replica", paths.encode(root), *server_option)
    marker.write_text(json.dumps({"server": replica["server"]}) + "\n", encoding="utf-8")

    collector = LocalCollector(system.state / "collector" / replica["server"], system.url, meanwhile=system.tick)
    collector.prepare()
    if replica["token"]:
        collector.enroll(replica["token"])
        system.progress.say("the collector of this machine is enrolled")

    system.progress.say(f"hashing {os.fsdecode(root)!r}")
    collector.run(replica["replica"])

    system.progress.say("the signed report is delivered; waiting for ingest and proof")
    after = str(replica["sequence"])
    outcome = system.manage("await_proof", replica["replica"], "--after", after, meanwhile=system.tick)
    system.progress.say(f"the run is {outcome['said']}")
    return outcome


def _print_outcome(system: System, site: dict[str, Any], outcome: dict[str, Any], once: bool) -> None:
    """Print what the person needs to go on, to stdout."""
    if "run" in outcome:
        verdict = "NOT PROVEN"
        if outcome["proven"]:
            verdict = "PROVEN"
        counts = ", ".join(counted(outcome[f"{noun}s"], noun) for noun in ("file", "byte", "error"))
        result(f"Run {outcome['run']}: {verdict} ({counts})")
        result(f"Page: {system.url}{outcome['page']}")
    else:
        result(f"No run: {outcome['said']}")
    if site["password"]:
        result(f"Login: {site['name']}   Password: {site['password']}   (shown this once)")
    if not once:
        result("Ctrl-C stops everything.")
