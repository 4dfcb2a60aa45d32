"""A PostgreSQL server of our own: set up, started, adopted and stopped. It listens on a Unix socket only."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from backup_syncer.errors import DatabaseNotStarted
from backup_syncer.launcher import postgres_binaries
from backup_syncer.launcher.parent_death import die_with_parent
from backup_syncer.launcher.service_user import dropped, let_in, own_folder
from backup_syncer.state_folder import DATABASE, socket_folder

SOCKET_LIMIT = 103
"""The longest address of a Unix socket that every system takes: `sun_path` is 108 bytes on Linux, 104 on the BSDs."""

SUPERUSER = "postgres"
START_SECONDS, STOP_SECONDS, QUIT_SECONDS = 300, 120, 10
"""A crash recovery of a large database, and a last checkpoint, take their time."""

PREDECESSOR = ("shared memory block", "lock file")
"""What a server says that finds its predecessor, or backends of it, still at work; they end within moments."""

OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_file_mode": "0600",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "max_connections": "60",
}


ROLE_EXISTS = "SELECT 1 FROM pg_roles WHERE rolname = %(name)s"
DATABASE_EXISTS = "SELECT 1 FROM pg_database WHERE datname = %(name)s"


class Embedded:
    """The server whose files are in `state`, run as `owner`.

    Only `owner` and root can connect (peer authentication), as the role `backup_syncer`, which owns one database and is
    no superuser, or as `postgres`. `may_create` lets the role make databases, as tests do.
    """

    def __init__(
        self, state: Path, owner: pwd.struct_passwd, options: Mapping[str, str] | None = None, may_create: bool = False
    ) -> None:
        self.state, self.owner = state, owner
        self.data, self.sockets = state / "pgdata", socket_folder(state)
        self.options = OPTIONS | dict(options or {}) | {"unix_socket_directories": str(self.sockets)}
        self.may_create = may_create
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when the server takes connections and role and database exist. One that runs already is adopted.

        Of several starters at once one starts and the others adopt. The server ends when the thread that started it
        does (see `die_with_parent`), so that must be a thread that lasts.
        """
        address = len(os.fsencode(self.sockets / ".s.PGSQL.5432"))
        if address > SOCKET_LIMIT:
            raise DatabaseNotStarted(f"{self.state}: {address - SOCKET_LIMIT} bytes too long to hold a Unix socket")
        with self._alone():
            if not self._answers():
                self._prepare()
                self._bring_up()
            self._make_database()

    def stop(self) -> None:
        """Fast shutdown: sessions end, a checkpoint is written. Nothing happens when no server runs.

        A server that takes too long is ended at once; it recovers at its next start.
        """
        for number, patience in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, QUIT_SECONDS)):
            server = self._postmaster()
            if server is None:
                break
            with contextlib.suppress(psutil.NoSuchProcess):
                server.send_signal(number)
            self._await_end(patience)
        if self.process is not None:
            self.process.wait(QUIT_SECONDS)
            self.process = None

    def running(self) -> bool:
        """Whether a server process works on these files."""
        return self._postmaster() is not None

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection as superuser, for set-up and tests."""
        where = make_conninfo(
            host=str(self.sockets), user=SUPERUSER, dbname="postgres", connect_timeout=5, requirepeer=self.owner.pw_name
        )
        return psycopg.connect(where, autocommit=True)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self.state / "postgresql.lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _prepare(self) -> None:
        """Programs, folders, cluster and configuration. The configuration is written anew at every start, so that the
        state folder may be moved and a new version's options count."""
        let_in(self.state, self.owner)
        self.programs, version = postgres_binaries.find(self.owner, self.state)
        own_folder(self.sockets, self.owner)
        if not (self.data / "PG_VERSION").exists():
            self._initdb(version)
        present = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if present != str(version):
            raise DatabaseNotStarted(
                f"{self.data} was made by PostgreSQL {present}, the programs are {version}: pg_upgrade"
            )
        lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in self.options.items()]
        self._write("backup_syncer.conf", "".join(lines))
        self._write("pg_hba.conf", "local all all peer map=backup_syncer\n")
        people = sorted({"root", self.owner.pw_name})
        roles = (SUPERUSER, DATABASE)
        self._write("pg_ident.conf", "".join(f'backup_syncer "{name}" {role}\n' for name in people for role in roles))

    def _initdb(self, version: int) -> None:
        """Make the cluster beside its place and rename it: a half-made one never looks like a cluster."""
        partial = self.state / "pgdata.new"
        shutil.rmtree(partial, ignore_errors=True)
        own_folder(partial, self.owner)
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        locale = builtin if version >= 17 else ["--locale=C.UTF-8"]
        command = ["initdb", "-D", str(partial), "-U", SUPERUSER, "-A", "peer", "-E", "UTF8", "-k", *locale]
        done = subprocess.run(**self._call(command), capture_output=True, text=True, check=False)
        if done.returncode:
            raise DatabaseNotStarted(f"initdb: {_complaint(done.stderr)}")
        with open(partial / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write("include = 'backup_syncer.conf'\n")
        partial.rename(self.data)

    def _write(self, name: str, contents: str) -> None:
        """A new file takes the old one's place: in a folder of `owner`, root follows no link, touches no other file."""
        made = self.data / f".{name}.new"
        made.unlink(missing_ok=True)
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(contents)
            os.fchown(file.fileno(), self.owner.pw_uid, self.owner.pw_gid)
        made.replace(self.data / name)

    def _bring_up(self) -> None:
        """Launch, unless one runs: it may be about to answer, or about to end, as its starter did."""
        if self.process is not None and self.process.poll() is not None:
            self.process = None
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._postmaster() is None:
                if self.process is not None and not any(words in self._complaint() for words in PREDECESSOR):
                    raise DatabaseNotStarted(f"PostgreSQL: {self._complaint()}")
                self._drop_stale_locks()
                self._launch()
            if time.monotonic() > deadline:
                raise DatabaseNotStarted(f"PostgreSQL did not answer in {START_SECONDS} s: {self._complaint()}")
            time.sleep(0.05)

    def _launch(self) -> None:
        with open(self.state / "postgresql.start.log", "wb") as log:
            call = self._call(["postgres", "-D", str(self.data)])
            self.process = subprocess.Popen(
                **call,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGINT),  # noqa: PLW1509  # the starter runs one thread
            )
        time.sleep(0.1)

    def _complaint(self) -> str:
        """What the server said last before it gave up, from its start or from its own log."""
        logs = [self.state / "postgresql.start.log", *(self.data / "log").glob("*.log")]
        newest = max(logs, key=lambda path: path.stat().st_mtime_ns)
        return _complaint(newest.read_text(encoding="utf-8", errors="replace"))

    def _call(self, command: list[str]) -> dict[str, Any]:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
        program = [str(self.programs / command[0]), *command[1:]]
        return {"args": program, "cwd": "/", "env": environment, "stdin": subprocess.DEVNULL, **dropped(self.owner)}

    def _postmaster(self) -> psutil.Process | None:
        """The running server, known by its command line: a number in a pid file alone may be anybody's."""
        for process in psutil.process_iter(["cmdline", "uids"]):
            line, uids = process.info["cmdline"] or [], process.info["uids"]
            ours = uids is not None and uids.real == self.owner.pw_uid
            if ours and line[1:] == ["-D", str(self.data)] and os.path.basename(line[0]) == "postgres":
                return process
        return None

    def _await_end(self, patience: float) -> None:
        """By the command line, which a zombie has lost: whose child it was may never ask for its exit code."""
        deadline = time.monotonic() + patience
        while self._postmaster() is not None and time.monotonic() < deadline:
            time.sleep(0.05)

    def _drop_stale_locks(self) -> None:
        """A lock file may name a zombie, or after a reboot a stranger that was given the old number; PostgreSQL would
        refuse to start for ever. Where a left-over backend still works, PostgreSQL refuses by its shared memory."""
        if self._postmaster() is None:
            for path in (self.data / "postmaster.pid", self.sockets / ".s.PGSQL.5432.lock"):
                path.unlink(missing_ok=True)

    def _make_database(self) -> None:
        name = sql.Identifier(DATABASE)
        with self.connect() as connection:
            if not connection.execute(ROLE_EXISTS, {"name": DATABASE}).fetchone():
                createdb = sql.SQL("CREATEDB" if self.may_create else "NOCREATEDB")
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN {}").format(name, createdb))
            if not connection.execute(DATABASE_EXISTS, {"name": DATABASE}).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))


def _complaint(said: str) -> str:
    """The line that names the error, else the last one."""
    lines = [line for line in said.splitlines() if line.strip()] or ["no message"]
    named = [line for line in lines if re.search("FATAL|PANIC|error:|No space left", line)]
    return (named or lines)[-1].strip()
