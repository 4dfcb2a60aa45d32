"""Find or make the system user under which PostgreSQL, gunicorn and the workers run when root starts them."""

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
NO_LOGIN_SHELLS = ("/usr/sbin/nologin", "/sbin/nologin", "/usr/bin/false", "/bin/false")


class UserArguments(TypedDict, total=False):
    """Arguments of `subprocess.Popen` that change the child's user; empty when it keeps the present one."""

    user: int
    group: int
    extra_groups: list[int]


def service_user() -> pwd.struct_passwd:
    """Return the user that runs the services: the present one or, for root, a system user, which is made when missing.

    `BACKUP_SYNCER_USER` names another system user than `backup_syncer`. root and nobody are refused: what belongs to
    nobody belongs to every program that also runs as nobody. Raise NoServiceUser.
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
        user = _make_user(name)

    if user.pw_uid == 0 or name == "nobody":
        raise NoServiceUser(
            f"the services must not run as {name}: set BACKUP_SYNCER_USER to a system user of their own"
        )
    return user


def run_as(user: pwd.struct_passwd) -> UserArguments:
    """Return the arguments that start a child process as this user."""
    if user.pw_uid == os.geteuid():
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def make_owned_directory(path: Path, user: pwd.struct_passwd, mode: int = 0o700) -> None:
    """Make the directory where it is missing and give it, not its contents, to this user. Refuse a symbolic link."""
    path.mkdir(mode=mode, parents=True, exist_ok=True)

    # By descriptor: what is checked is what is changed, even when somebody replaces the name meanwhile.
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != user.pw_uid:
            os.fchown(descriptor, user.pw_uid, user.pw_gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def open_to_user(state: Path, user: pwd.struct_passwd) -> None:
    """Let this user, and nobody else, pass through root's state directory. A user's own state directory is his alone.

    Directories above it stay as they are: one that is closed to the user raises NoServiceUser.
    """
    if user.pw_uid == os.geteuid():
        state.chmod(0o700)
        return

    # By its group the user may pass through, and neither list nor write.
    os.chown(state, -1, user.pw_gid)
    state.chmod(0o710)

    # Tried and not computed: access lists and mounts decide as well.
    command = ["/bin/sh", "-c", 'cd "$0"', str(state)]
    completed = subprocess.run(command, capture_output=True, check=False, **run_as(user))
    if completed.returncode:
        raise NoServiceUser(
            f"{state} lies below a directory that is closed to {user.pw_name}; choose another state directory"
        )


def _make_user(name: str) -> pwd.struct_passwd:
    shell = next((path for path in NO_LOGIN_SHELLS if os.path.exists(path)), "/bin/false")
    failure = "none of useradd, pw and adduser was found"

    for command in _commands_to_make_user(name, shell):
        completed = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        try:
            return pwd.getpwnam(name)
        except KeyError:
            output = (completed.stderr or completed.stdout).strip()
            lines = output.splitlines() or [f"exit code {completed.returncode}"]
            failure = f"{command[0]}: {lines[-1]}"

    raise NoServiceUser(
        f"the system user {name} cannot be made ({failure}); make it, or name one in BACKUP_SYNCER_USER"
    )


def _commands_to_make_user(name: str, shell: str) -> Iterator[list[str]]:
    """Yield what this system has: useradd of Linux, the BSDs and SunOS, pw of FreeBSD, adduser of busybox."""
    search_path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    comment = "backup_syncer services"

    useradd = shutil.which("useradd", path=search_path)
    if useradd:
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/"]
        yield [useradd, *options, "-s", shell, "-c", comment, name]
        # Where useradd knows no long options.
        yield [useradd, "-d", "/", "-s", shell, "-c", comment, name]

    pw = shutil.which("pw", path=search_path)
    if pw:
        yield [pw, "useradd", name, "-d", "/nonexistent", "-s", shell, "-c", comment]

    adduser = shutil.which("adduser", path=search_path)
    if adduser:
        yield [adduser, "-S", "-D", "-H", "-h", "/", "-s", shell, "-g", comment, name]
