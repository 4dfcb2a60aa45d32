"""The system user of its own under which PostgreSQL, gunicorn and the workers run when root starts them."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from backup_syncer.errors import NoServiceUser

NAME = "backup_syncer"
NO_LOGIN = ("/usr/sbin/nologin", "/sbin/nologin", "/usr/bin/false", "/bin/false")


class Dropped(TypedDict, total=False):
    """Arguments of `subprocess.Popen` that change the child's user; empty when it keeps the present one."""

    user: int
    group: int
    extra_groups: list[int]


def service_user() -> pwd.struct_passwd:
    """Who the services run as: the present user, or, started by root, the system user, which is made when missing.

    `BACKUP_SYNCER_USER` names another system user than `backup_syncer`. root and nobody are refused: what belongs to
    nobody belongs to every program that also runs as nobody.
    """
    if os.geteuid() != 0:
        try:
            return pwd.getpwuid(os.geteuid())
        except KeyError as error:
            raise NoServiceUser(f"user {os.geteuid()} has no name on this system; PostgreSQL needs one") from error
    name = os.environ.get("BACKUP_SYNCER_USER", "").strip() or NAME
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        user = _make(name)
    if user.pw_uid == 0 or name == "nobody":
        raise NoServiceUser(
            f"the services must not run as {name}: set BACKUP_SYNCER_USER to a system user of their own"
        )
    return user


def dropped(user: pwd.struct_passwd) -> Dropped:
    """How to start a child as this user."""
    if user.pw_uid == os.geteuid():
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def own_folder(path: Path, user: pwd.struct_passwd, mode: int = 0o700) -> None:
    """Make the folder where it is missing and hand it, not what is in it, to this user. A symbolic link is refused."""
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != user.pw_uid:
            os.fchown(descriptor, user.pw_uid, user.pw_gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def let_in(state: Path, user: pwd.struct_passwd) -> None:
    """Root's state folder lets this user pass and nobody else look in; a user's own state folder is his alone.

    Folders above it are left as they are: one that is closed to the user is an error.
    """
    if user.pw_uid == os.geteuid():
        state.chmod(0o700)
        return
    os.chown(state, -1, user.pw_gid)
    state.chmod(0o710)
    looked = subprocess.run(["/bin/sh", "-c", 'cd "$0"', str(state)], capture_output=True, check=False, **dropped(user))
    if looked.returncode:
        raise NoServiceUser(
            f"{state} lies below a folder that is closed to {user.pw_name}; choose another state folder"
        )


def _make(name: str) -> pwd.struct_passwd:
    shell = next((path for path in NO_LOGIN if os.path.exists(path)), "/bin/false")
    failure = "none of useradd, pw and adduser was found"
    for command in _ways(name, shell):
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        try:
            return pwd.getpwnam(name)
        except KeyError:
            said = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
            failure = f"{command[0]}: {said[-1]}"
    raise NoServiceUser(
        f"the system user {name} cannot be made ({failure}); make it, or name one in BACKUP_SYNCER_USER"
    )


def _ways(name: str, shell: str) -> Iterator[list[str]]:
    """useradd of Linux, of the BSDs and SunOS, pw of FreeBSD, adduser of busybox: those that are here."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    comment = "backup_syncer services"
    useradd, pw, adduser = (shutil.which(tool, path=path) for tool in ("useradd", "pw", "adduser"))
    if useradd:
        yield [
            useradd,
            "--system",
            "--user-group",
            "--no-create-home",
            "--home-dir",
            "/",
            "-s",
            shell,
            "-c",
            comment,
            name,
        ]
        yield [useradd, "-d", "/", "-s", shell, "-c", comment, name]
    if pw:
        yield [pw, "useradd", name, "-d", "/nonexistent", "-s", shell, "-c", comment]
    if adduser:
        yield [adduser, "-S", "-D", "-H", "-h", "/", "-s", shell, "-g", comment, name]
