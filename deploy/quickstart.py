"""Install the project below the state directory and hand over to it. Standard library only. See quickstart.sh."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

import virtual_environment
from virtual_environment import InstallationError

sys.path.insert(0, str(virtual_environment.CHECKOUT))
from backup_syncer.errors import NotStarted  # the checkout is on the path only now
from backup_syncer.quickstart.options import listen_locally, parser, readable
from backup_syncer.state_directory import claim

REQUIREMENTS = ("requirements.txt", "requirements-build.txt")
FAILED = 2
"""Exit code."""


def main() -> int:
    """Replace this process by the installed program. Return FAILED when that is impossible."""
    options = parser().parse_args()
    try:
        # What would fail after minutes of installing is tried first.
        if options.directory:
            readable(options.directory)
        listen_locally(options.port).close()

        python = _install(options.state)
        os.execv(python, [str(python), "-P", "-m", "backup_syncer", "quickstart", *sys.argv[1:]])
    except (NotStarted, InstallationError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename or options.state}: {error.strerror or error}")
    except KeyboardInterrupt:
        return _fail("interrupted during the set-up")


def _install(state: Path) -> Path:
    """Install the project unless a system is running: its programs would change under it. Return its Python."""
    claim(state)
    with open(state / "launcher.lock", "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NotStarted(f"another backup-syncer already runs on {state}") from error
        return virtual_environment.make_environment(state / "venv", REQUIREMENTS, project=True)


def _fail(reason: str) -> int:
    sys.stderr.write(f"quickstart: {reason}\n")
    return FAILED


if __name__ == "__main__":
    sys.exit(main())
