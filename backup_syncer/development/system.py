"""Keep the state directory and the embedded PostgreSQL of a checkout's development system."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from backup_syncer.bundled import PACKAGE
from backup_syncer.launcher.postgres import Embedded
from backup_syncer.launcher.service_user import service_user
from backup_syncer.state_directory import claim

DIRECTORIES = ("keys", "reports", "journal", "beat", "static", "media")

WITHOUT_DATABASE = frozenset(
    {
        "",
        "--help",
        "--version",
        "-h",
        "check",
        "compilemessages",
        "diffsettings",
        "findstatic",
        "help",
        "makemessages",
        "startapp",
        "test",
        "version",
    }
)
"""Commands that need no database: nothing is started for them. The tests start one of their own."""

CHILD_MARK = "RUN_MAIN"
"""Set by Django's autoreloader in the process that it restarts."""


def state_directory() -> Path:
    """Return the state directory of this checkout's development system.

    It is outside the checkout: the path must be short enough for a Unix socket, and open to the service user where root
    works below a closed home directory. BACKUP_SYNCER_DEVELOPMENT_STATE names another one.
    """
    named = os.environ.get("BACKUP_SYNCER_DEVELOPMENT_STATE", "").strip()
    if named:
        return Path(named)

    checkout = os.fsencode(PACKAGE.parent)
    name = hashlib.sha256(checkout).hexdigest()[:10]
    return Path(f"/var/tmp/backup_syncer-development-{os.geteuid()}") / name


class DevelopmentSystem:
    """The state directory of a checkout, and the PostgreSQL server in it where DATABASE_URL names no other."""

    def __init__(self) -> None:
        self.state = state_directory()
        self._database: Embedded | None = None

    def make_directories(self) -> None:
        """Make the state directory and what settings expect in it. Raise NotStarted when it is somebody else's."""
        if not self.state.parent.exists():
            claim(self.state.parent)
            # The service user must be able to pass through, where root works.
            self.state.parent.chmod(0o711)
        claim(self.state)
        for name in DIRECTORIES:
            (self.state / name).mkdir(mode=0o700, exist_ok=True)

    def start_database(self) -> None:
        """Start PostgreSQL, or adopt the server that another command of this checkout has started."""
        if os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE"):
            return

        database = Embedded(self.state, service_user(), may_create=True)
        # The autoreloader's child ends with each change of the code: the server belongs to the parent, which stays.
        if os.environ.get(CHILD_MARK) and database.running():
            return

        database.start()
        self._database = database

    def stop_database(self) -> None:
        """Stop PostgreSQL if this process started it."""
        if self._database is not None and self._database.process is not None:
            self._database.stop()
