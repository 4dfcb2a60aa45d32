"""Name the state directory, which holds everything that outlives a process, and the places in it.

Imports no Django, so that the launcher can use it before anything is set up.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
from pathlib import Path
from urllib.parse import quote

from backup_syncer.errors import NotStarted

DATABASE = "backup_syncer"
"""Name of the database and of its role in the embedded PostgreSQL."""


def default_state() -> Path:
    """Return `/var/lib/backup_syncer` for root, else `backup_syncer` in the user's XDG data directory."""
    if os.geteuid() == 0:
        return Path("/var/lib/backup_syncer")
    data = os.environ.get("XDG_DATA_HOME", "")
    if data.startswith("/"):
        return Path(data) / "backup_syncer"
    home = os.environ.get("HOME", "") or pwd.getpwuid(os.geteuid()).pw_dir
    return Path(home) / ".local/share/backup_syncer"


def claim(state: Path) -> None:
    """Make the directory where it is missing. Raise NotStarted for somebody else's: programs are run from it."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = os.stat(state, follow_symlinks=False).st_uid
    if owner != os.geteuid():
        raise NotStarted(f"{state} belongs to user {owner}, not to user {os.geteuid()}; choose another with --state")


def socket_directory(state: Path) -> Path:
    """Return the directory of the embedded PostgreSQL's Unix socket."""
    return state / "run"


def embedded_url(state: Path) -> str:
    """Return the database URL of the embedded PostgreSQL, which listens on its Unix socket only."""
    return f"postgresql://{DATABASE}@{quote(str(socket_directory(state)), safe='')}/{DATABASE}"


def secret_key(path: Path) -> str:
    """Return the key in this file. The first call makes it, mode 0600; two first calls at once end with the same key.

    The directory must be there: the launcher makes it, and it belongs to whoever runs the services.
    """
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="ascii").strip()

    new_file = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(new_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(64) + "\n")
        file.flush()
        os.fsync(file.fileno())

    # A link, which unlike a rename replaces nothing: when another process was first, its key counts.
    with contextlib.suppress(FileExistsError):
        os.link(new_file, path)
    new_file.unlink()
    return path.read_text(encoding="ascii").strip()
