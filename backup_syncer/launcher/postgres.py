"""Set up, start, adopt and stop a PostgreSQL server of our own. It listens on a Unix socket only."""

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
from backup_syncer.launcher.parent_death import die_with_parent
from backup_syncer.launcher.postgres_binaries import find_programs
from backup_syncer.launcher.service_user import make_owned_directory, open_to_user, run_as
from backup_syncer.state_directory import DATABASE, socket_directory

SOCKET_LIMIT = 103
"""The longest address of a Unix socket that every system takes: `sun_path` is 108 bytes on Linux, 104 on the BSDs."""

SUPERUSER = "postgres"
START_SECONDS = 300
"""The crash recovery of a large database takes its time."""
STOP_SECONDS = 120
"""So does a last checkpoint."""
QUIT_SECONDS = 10

PREDECESSOR_MESSAGES = ("shared memory block", "lock file")
"""Messages of a server that finds its predecessor, or backends of it, still at work; they end within moments."""

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
    """The PostgreSQL server whose files are in `state`, run as `owner`.

    Only `owner` and root can connect (peer authentication), as the role `backup_syncer`, which owns one database and is
    no superuser, or as `postgres`. `may_create` lets the role make databases, as tests do.
    """

    def __init__(
        self, state: Path, owner: pwd.struct_passwd, options: Mapping[str, str] | None = None, may_create: bool = False
    ) -> None:
        self.state = state
        self.owner = owner
        self.data = state / "pgdata"
        self.sockets = socket_directory(state)
        self.options = OPTIONS | dict(options or {}) | {"unix_socket_directories": str(self.sockets)}
        self.may_create = may_create
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, or adopt one that runs. Return when it takes connections and role and database exist.

        Of several starters at once one starts and the others adopt. The server ends when the thread that started it
        does (see `die_with_parent`), so that must be a thread that lasts. Raise DatabaseNotStarted.
        """
        address_length = len(os.fsencode(self.sockets / ".s.PGSQL.5432"))
        if address_length > SOCKET_LIMIT:
            excess = address_length - SOCKET_LIMIT
            raise DatabaseNotStarted(f"{self.state}: {excess} bytes too long to hold a Unix socket")

        # Of starters that come at once, each waits here and finds the server of the first.
        with self._locked():
            if not self._answers():
                self._prepare()
                self._bring_up()
            self._make_database()

    def stop(self) -> None:
        """Shut down fast: sessions end, a checkpoint is written. Do nothing when no server runs.

        A server that takes too long is ended at once; it recovers at its next start.
        """
        # PostgreSQL's fast and immediate shutdown (manual, "Shutting Down the Server").
        for signal_number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, QUIT_SECONDS)):
            server = self._postmaster()
            if server is None:
                break
            with contextlib.suppress(psutil.NoSuchProcess):
                server.send_signal(signal_number)
            self._await_end(seconds)

        if self.process is not None:
            self.process.wait(QUIT_SECONDS)
            self.process = None

    def running(self) -> bool:
        """Return whether a server process works on these files."""
        return self._postmaster() is not None

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Return a connection as superuser, for set-up and tests."""
        connection_info = make_conninfo(
            host=str(self.sockets), user=SUPERUSER, dbname="postgres", connect_timeout=5, requirepeer=self.owner.pw_name
        )
        return psycopg.connect(connection_info, autocommit=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
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
        """Find the programs and make directories, cluster and configuration."""
        open_to_user(self.state, self.owner)
        programs = find_programs(self.owner, self.state)
        self.programs = programs.directory

        make_owned_directory(self.sockets, self.owner)
        if not (self.data / "PG_VERSION").exists():
            self._initdb(programs.version)

        cluster_version = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if cluster_version != str(programs.version):
            raise DatabaseNotStarted(
                f"{self.data} was made by PostgreSQL {cluster_version}, the programs are {programs.version}: pg_upgrade"
            )
        self._configure()

    def _configure(self) -> None:
        """Write the configuration anew: the state directory may have moved, and a new version's options must count."""
        lines = []
        for name, value in self.options.items():
            quoted = value.replace("'", "''")
            lines.append(f"{name} = '{quoted}'\n")
        self._write("backup_syncer.conf", "".join(lines))

        self._write("pg_hba.conf", "local all all peer map=backup_syncer\n")

        mappings = ""
        for system_user in sorted({"root", self.owner.pw_name}):
            mappings += f'backup_syncer "{system_user}" {SUPERUSER}\n'
            mappings += f'backup_syncer "{system_user}" {DATABASE}\n'
        self._write("pg_ident.conf", mappings)

    def _initdb(self, version: int) -> None:
        """Make the cluster beside its place and rename it: a half-made one never looks like a cluster."""
        partial = self.state / "pgdata.new"
        shutil.rmtree(partial, ignore_errors=True)
        make_owned_directory(partial, self.owner)

        locale = ["--locale=C.UTF-8"]
        if version >= 17:  # the built-in provider sorts alike on every system, whatever its C library does
            locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        command = ["initdb", "-D", str(partial), "-U", SUPERUSER, "-A", "peer", "-E", "UTF8", "-k", *locale]
        completed = subprocess.run(**self._call(command), capture_output=True, text=True, check=False)
        if completed.returncode:
            raise DatabaseNotStarted(f"initdb: {_error_line(completed.stderr)}")

        # One line in PostgreSQL's own file: an operator's settings in it stay, ours are written anew at each start.
        with open(partial / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write("include = 'backup_syncer.conf'\n")
        partial.rename(self.data)

    def _write(self, name: str, contents: str) -> None:
        """Replace a file by a new one: in a directory of `owner`, root follows no link and touches no other file."""
        new_file = self.data / f".{name}.new"
        new_file.unlink(missing_ok=True)
        descriptor = os.open(new_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(contents)
            os.fchown(file.fileno(), self.owner.pw_uid, self.owner.pw_gid)
        new_file.replace(self.data / name)

    def _bring_up(self) -> None:
        """Launch a server unless one runs, which may be about to answer, or about to end as its starter did."""
        if self.process is not None and self.process.poll() is not None:
            self.process = None

        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._postmaster() is None:
                # The one that was launched has ended. Unless its predecessor was in the way, it would end so again.
                if self.process is not None and not self._waits_for_predecessor():
                    raise DatabaseNotStarted(f"PostgreSQL: {self._last_error()}")
                self._drop_stale_locks()
                self._launch()
            if time.monotonic() > deadline:
                raise DatabaseNotStarted(f"PostgreSQL did not answer in {START_SECONDS} s: {self._last_error()}")
            time.sleep(0.05)

    def _waits_for_predecessor(self) -> bool:
        return any(message in self._last_error() for message in PREDECESSOR_MESSAGES)

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

    def _last_error(self) -> str:
        """Return the server's last error, from its start or from its own log."""
        logs = [self.state / "postgresql.start.log", *(self.data / "log").glob("*.log")]
        newest_log = max(logs, key=lambda path: path.stat().st_mtime_ns)
        return _error_line(newest_log.read_text(encoding="utf-8", errors="replace"))

    def _call(self, command: list[str]) -> dict[str, Any]:
        # Nothing else of our environment: PGDATA, PGPORT and their kin would change what is started. Messages stay
        # English, since they are searched for words.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
        program = [str(self.programs / command[0]), *command[1:]]
        return {"args": program, "cwd": "/", "env": environment, "stdin": subprocess.DEVNULL, **run_as(self.owner)}

    def _postmaster(self) -> psutil.Process | None:
        """Return the running server, known by its command line: the number in a pid file may be anybody's."""
        for process in psutil.process_iter(["cmdline", "uids"]):
            arguments = process.info["cmdline"] or []
            uids = process.info["uids"]
            if uids is None or uids.real != self.owner.pw_uid:
                continue
            if arguments[1:] == ["-D", str(self.data)] and os.path.basename(arguments[0]) == "postgres":
                return process
        return None

    def _await_end(self, seconds: float) -> None:
        """Wait until the server is gone. A zombie counts as gone: its parent may never ask for its exit code."""
        deadline = time.monotonic() + seconds
        while self._postmaster() is not None and time.monotonic() < deadline:
            time.sleep(0.05)

    def _drop_stale_locks(self) -> None:
        """Remove lock files of a server that is gone.

        Such a file may name a zombie or, after a reboot, a stranger that was given the old number; PostgreSQL would
        then refuse to start for ever. Where a left-over backend still works, PostgreSQL refuses by its shared memory.
        """
        if self._postmaster() is None:
            for path in (self.data / "postmaster.pid", self.sockets / ".s.PGSQL.5432.lock"):
                path.unlink(missing_ok=True)

    def _make_database(self) -> None:
        name = sql.Identifier(DATABASE)
        with self.connect() as connection:
            if not connection.execute(ROLE_EXISTS, {"name": DATABASE}).fetchone():
                createdb = sql.SQL("NOCREATEDB")
                if self.may_create:
                    createdb = sql.SQL("CREATEDB")
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN {}").format(name, createdb))
            if not connection.execute(DATABASE_EXISTS, {"name": DATABASE}).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))


def _error_line(output: str) -> str:
    """Return the last line that names an error, else the last line."""
    lines = [line for line in output.splitlines() if line.strip()] or ["no message"]
    error_lines = [line for line in lines if re.search("FATAL|PANIC|error:|No space left", line)]
    return (error_lines or lines)[-1].strip()
