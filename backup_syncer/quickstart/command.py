"""`backup-syncer quickstart`: the whole road on one machine, from a directory to a proven run in the browser."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from typing import Any

from backup_syncer.errors import NotStarted
from backup_syncer.launcher.listener import listen
from backup_syncer.launcher.system import System, interruptible
from backup_syncer.quickstart.collector import LocalCollector
from backup_syncer.quickstart.options import parser, readable
from backup_syncer.quickstart.sample import make_sample
from backup_syncer.terminal import Progress, result
from scanner.format import paths

PROVEN, NOT_PROVEN = 0, 1


def quickstart(arguments: Sequence[str]) -> int:
    """Walk the road; the exit code comes back."""
    options = parser().parse_args(arguments)
    interruptible()
    state = options.state
    root = readable(options.directory) if options.directory else None
    listener = listen("127.0.0.1", options.port)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    system = System(state, url, listener, state / "log", Progress())
    outcome: dict[str, Any] | None = None
    try:
        told = system.start()
        outcome = _road(system, root or os.fsencode(make_sample(state / "sample")))
        _tell(system, told, outcome, options.once)
        while not options.once:
            system.tick()
            time.sleep(0.5)
    except KeyboardInterrupt as interrupt:
        if outcome is None:
            raise NotStarted("interrupted before the run was proven") from interrupt
    finally:
        system.stop()
    return PROVEN if outcome["proven"] else NOT_PROVEN


def _road(system: System, root: bytes) -> dict[str, Any]:
    """Rows, enrolment, hash, upload, ingest, proof: what `await_proof` says of the run."""
    marker = system.state / "quickstart.json"
    known = json.loads(marker.read_text(encoding="utf-8"))["server"] if marker.exists() else None
    first = system.manage("quickstart_replica", paths.encode(root), *(["--server", known] if known else []))
    marker.write_text(json.dumps({"server": first["server"]}) + "\n", encoding="utf-8")
    collector = LocalCollector(system.state / "collector" / first["server"], system.url, meanwhile=system.tick)
    collector.prepare()
    if first["token"]:
        collector.enroll(first["token"])
        system.progress.say("the collector of this machine is enrolled")
    system.progress.say(f"hashing {os.fsdecode(root)!r}")
    collector.run(first["replica"])
    system.progress.say("the signed report is delivered; waiting for ingest and proof")
    outcome = system.manage("await_proof", first["replica"], "--after", str(first["sequence"]), meanwhile=system.tick)
    system.progress.say(f"the run is {outcome['said']}")
    return outcome


def _tell(system: System, told: dict[str, Any], outcome: dict[str, Any], once: bool) -> None:
    """What the person needs to go on, on stdout."""
    if "run" in outcome:
        verdict = "PROVEN" if outcome["proven"] else "NOT PROVEN"
        counts = f"{outcome['files']} files, {outcome['bytes']} bytes, {outcome['errors']} errors"
        result(f"Run {outcome['run']}: {verdict} ({counts})")
        result(f"Page: {system.url}{outcome['page']}")
    else:
        result(f"No run: {outcome['said']}")
    if told["password"]:
        result(f"Login: {told['name']}   Password: {told['password']}   (shown this once)")
    if not once:
        result("Ctrl-C stops everything.")
