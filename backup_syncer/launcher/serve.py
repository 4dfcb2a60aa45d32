"""`backup-syncer serve`: run the whole system for daily use, as a service manager starts it."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

from backup_syncer.launcher.listener import listen
from backup_syncer.launcher.system import System, interruptible
from backup_syncer.state_directory import default_state
from backup_syncer.terminal import Progress, complain


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options. All else is read from the environment (docs/en/central-server.md, settings)."""
    options = argparse.ArgumentParser(
        prog="backup-syncer serve",
        description="Start and watch PostgreSQL (unless DATABASE_URL is set), the web server and the task cluster.",
    )
    options.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    options.add_argument("--port", type=int, default=8000, help="port to listen on (default %(default)s)")
    state = os.environ.get("BACKUP_SYNCER_STATE") or default_state()
    options.add_argument(
        "--state", type=Path, default=state, metavar="DIR", help="state directory (default %(default)s)"
    )
    return options


def serve(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM, SIGINT or SIGHUP. Return the exit code."""
    options = parser().parse_args(arguments)
    interruptible()
    listener = listen(options.host, options.port)
    url = os.environ.get("BACKUP_SYNCER_PUBLIC_URL", "") or f"http://127.0.0.1:{listener.getsockname()[1]}"
    system = System(Path(os.path.abspath(options.state)), url, listener, None, Progress())
    try:
        if not system.start("--no-administrator")["administrators"]:
            complain("nobody can log in yet: backup-syncer createsuperuser")
        while True:
            system.tick()
            time.sleep(0.5)
    except KeyboardInterrupt:
        return 0
    finally:
        system.stop()
