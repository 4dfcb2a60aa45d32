"""Start PostgreSQL, web server and task cluster in order, watch them, and stop them in order."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from backup_syncer.bundled import PACKAGE
from backup_syncer.errors import NotStarted, StepFailed
from backup_syncer.launcher.postgres import Embedded
from backup_syncer.launcher.processes import MARK, Child, stop_leftovers
from backup_syncer.launcher.service_user import make_owned_directory, open_to_user, run_as, service_user
from backup_syncer.launcher.watchdog import Watchdog
from backup_syncer.state_directory import claim
from backup_syncer.terminal import Progress

READY_SECONDS = 60
WEB_GRACE = 15.0
CLUSTER_GRACE = 60.0
"""Seconds in which a child may end by itself; a worker may be in the middle of an ingest."""

QUICK_DEATH = 10.0
MAX_QUICK_DEATHS = 5
"""A web server that dies within QUICK_DEATH seconds this many times in a row is given up."""


def check_semaphores() -> None:
    """Raise NotStarted where the task cluster could not start for want of POSIX semaphores, which lie in /dev/shm."""
    try:
        multiprocessing.get_context("spawn").Lock()
    except (OSError, ImportError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NotStarted(
            f"the task cluster needs a writable /dev/shm for its semaphores: {reason}; mount a tmpfs there"
        ) from error


class System:
    """All processes that serve one state directory.

    `listener` is the bound socket of the web server; it stays open here until the stop, so that a web server that is
    replaced loses no connection. `logs` is the directory of the children's output; None sends it to stderr.
    """

    def __init__(self, state: Path, url: str, listener: socket.socket, logs: Path | None, progress: Progress) -> None:
        self.state = state
        self.url = url
        self.listener = listener
        self.logs = logs
        self.progress = progress
        self.user = service_user()
        self.environment = self._environment()
        self.database: Embedded | None = None
        if not self._has_database():
            self.database = Embedded(state, self.user)
        self.web = self._child("gunicorn", self._gunicorn(), [listener.fileno()])
        self.cluster = self._child("qcluster", [sys.executable, "-m", "backup_syncer", "qcluster"])
        self.watchdog = Watchdog(self.cluster, state / "beat")
        self.deaths = 0
        self.lock: IO[bytes] | None = None

    def start(self, *setup: str) -> dict[str, Any]:
        """Start everything. `setup` are options of the command `setup_site`; return its answer."""
        self._lock()
        check_semaphores()
        stopped = stop_leftovers(self.state)
        if stopped:
            self.progress.say(f"stopped {stopped} processes that an earlier start left behind")

        for name in ("keys", "reports", "journal", "beat", "media"):
            make_owned_directory(self.state / name, self.user)
        make_owned_directory(self.state / "static", self.user, 0o755)

        if self.database is not None:
            self.database.start()
            self.progress.say("PostgreSQL answers")

        # Before any service: no web process and no worker meets tables of an older version.
        site = self.manage("setup_site", *setup)
        self.progress.say("database and static files are set up")

        self.web.start()
        self.cluster.start()
        self._await_web()
        self.progress.say(f"the web server answers at {self.url}")
        return site

    def manage(self, *command: str, meanwhile: Callable[[], None] | None = None) -> dict[str, Any]:
        """Run one of our commands as the service user. Return the JSON object of its last line.

        `meanwhile` is called twice a second while the command runs. Raise StepFailed when it fails.
        """
        with subprocess.Popen(
            [sys.executable, "-m", "backup_syncer", *command],
            cwd="/",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **run_as(self.user),
        ) as process:
            try:
                output, errors = _communicate(process, meanwhile)
            except BaseException:
                process.kill()
                raise

        if process.returncode:
            reason = self._failure_reason(command[0], errors or output, process.returncode)
            raise StepFailed(f"{command[0]}: {reason}")
        answer: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
        return answer

    def _failure_reason(self, name: str, output: str, exit_code: int) -> str:
        """Return the line that names the error (a database adds lines below it), and write all of it to the logs."""
        if self.logs is not None:
            (self.logs / f"{name}.log").write_text(output, encoding="utf-8")

        lines = [line for line in output.splitlines() if line.strip()] or [f"exit code {exit_code}"]
        error_lines = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Configured|Interrupt)\b", line)]
        return (error_lines or lines)[-1]

    def tick(self) -> None:
        """Check the children once and replace what ended or hangs."""
        if self.database is not None and not self._database_alive():
            self.progress.say("PostgreSQL ended; starting it again")
            self.database.start()
        if self.web.ended() is not None:
            self._restart_web()

        verdict = self.watchdog.verdict()
        if verdict:
            self.progress.say(f"the task cluster {verdict}; replacing it")
            self.watchdog.replace()

    def stop(self) -> None:
        """Stop everything, the database last. Further signals are ignored meanwhile: half a stop helps nobody."""
        for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signal_number, signal.SIG_IGN)

        self.web.stop(WEB_GRACE)
        self.cluster.stop(CLUSTER_GRACE)
        # Without the lock another launcher may be at work here: its processes are not ours to stop.
        if self.lock is not None:
            stop_leftovers(self.state)
            if self.database is not None:
                self.database.stop()
            self.lock.close()
        self.listener.close()
        self.progress.say("stopped")

    def _database_alive(self) -> bool:
        if self.database is None or self.database.process is None:
            return True
        return self.database.process.poll() is None

    def _restart_web(self) -> None:
        lifetime = time.monotonic() - self.web.started
        if lifetime >= QUICK_DEATH:
            self.deaths = 0
        self.deaths += 1
        if self.deaths >= MAX_QUICK_DEATHS:
            raise NotStarted(
                f"the web server ended {self.deaths} times within seconds; see {self.logs or 'its messages'}"
            )

        self.progress.say(f"the web server ended with code {self.web.ended()}; starting it again")
        self.web.kill()
        self.web.start()

    def _lock(self) -> None:
        claim(self.state)
        open_to_user(self.state, self.user)
        if self.logs is not None:
            self.logs.mkdir(mode=0o700, exist_ok=True)
        lock = open(self.state / "launcher.lock", "ab")  # noqa: SIM115  # held for life
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise NotStarted(f"another backup-syncer already runs on {self.state}") from error
        self.lock = lock

    def _await_web(self) -> None:
        """Wait for any answer of the application, a redirect to https as well as a page."""
        deadline = time.monotonic() + READY_SECONDS
        port = self.listener.getsockname()[1]
        request = urllib.request.Request(f"http://127.0.0.1:{port}/login/", headers={"Host": urlsplit(self.url).netloc})
        # Past any proxy that the environment names: this is our own child.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
        while True:
            try:
                opener.open(request, timeout=10).close()
            except urllib.error.HTTPError as error:
                if error.code < 400:
                    return
                raise NotStarted(f"the web server answers {error.code} to /login/; see {self.logs}") from error
            except OSError as error:
                if time.monotonic() > deadline or self.web.ended() is not None:
                    raise NotStarted(f"the web server does not answer: {error}; see {self.logs}") from error
                time.sleep(0.1)
            else:
                return

    def _child(self, name: str, command: Sequence[str], pass_fds: Sequence[int] = ()) -> Child:
        log = None
        if self.logs is not None:
            log = self.logs / f"{name}.log"
        return Child(name, command, self.user, self.environment | {MARK: str(self.state)}, log, pass_fds)

    def _gunicorn(self) -> list[str]:
        """Return the web server's command: threads, because an upload may take hours, and no recycling of workers."""
        workers = os.environ.get("BACKUP_SYNCER_WEB_WORKERS", "") or "2"
        options = f"-k gthread -w {workers} --threads 8 --timeout 120 --no-control-socket --bind fd://{self.listener.fileno()}"
        return [sys.executable, "-m", "gunicorn", *options.split(), "backup_syncer.wsgi"]

    def _environment(self) -> dict[str, str]:
        """Return the children's environment. Their home is the state directory: the service user has no other."""
        settings = {
            "BACKUP_SYNCER_STATE": str(self.state),
            "BACKUP_SYNCER_PUBLIC_URL": self.url,
            "DJANGO_SETTINGS_MODULE": "backup_syncer.settings",
            "PYTHONPATH": os.pathsep.join(_paths()),
            "PYTHONSAFEPATH": "1",
            "HOME": str(self.state),
        }
        return dict(os.environ) | settings

    def _has_database(self) -> bool:
        return bool(os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE"))


def _communicate(process: subprocess.Popen[str], meanwhile: Callable[[], None] | None) -> tuple[str, str]:
    """Return what the process writes to stdout and stderr until it ends."""
    while True:
        try:
            return process.communicate(timeout=0.5)
        except subprocess.TimeoutExpired:
            if meanwhile is not None:
                meanwhile()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect: it is an answer."""


def _paths() -> list[str]:
    """Return the directory of our packages, so that children find them from anywhere, and what PYTHONPATH holds."""
    paths = [str(PACKAGE.parent)]
    for path in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        if path and path not in paths:
            paths.append(path)
    return paths


def interruptible() -> None:
    """Let SIGTERM and SIGHUP end the program like Ctrl-C, through the same clean-up; what nohup ignores stays so."""
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signal_number) is not signal.SIG_IGN:
            signal.signal(signal_number, signal.default_int_handler)
