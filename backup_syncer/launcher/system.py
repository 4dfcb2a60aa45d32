"""The whole system as one: PostgreSQL, web server and task cluster; started and stopped in order, watched meanwhile."""

from __future__ import annotations

import fcntl
import json
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
from backup_syncer.launcher.processes import MARK, Child, stop_left_over
from backup_syncer.launcher.service_user import dropped, let_in, own_folder, service_user
from backup_syncer.launcher.watchdog import Watchdog
from backup_syncer.state_folder import claim
from backup_syncer.terminal import Progress

READY_SECONDS = 60
WEB_GRACE, CLUSTER_GRACE = 15.0, 60.0
QUICK_DEATH, QUICK_DEATHS = 10.0, 5
"""A web server that dies within so many seconds, so many times in a row, is given up."""


class System:
    """Everything that serves one state folder.

    `listener` is the bound socket of the web server; it stays open here until the stop, so that a web server that is
    replaced loses no connection. `logs` is the folder of the children's output; None sends it to stderr.
    """

    def __init__(self, state: Path, url: str, listener: socket.socket, logs: Path | None, progress: Progress) -> None:
        self.state, self.url, self.listener, self.logs, self.progress = state, url, listener, logs, progress
        self.user = service_user()
        self.environment = self._environment()
        self.database = None if self._has_database() else Embedded(state, self.user)
        self.web = self._child("gunicorn", self._gunicorn(), [listener.fileno()])
        self.cluster = self._child("qcluster", [sys.executable, "-m", "backup_syncer", "qcluster"])
        self.watchdog = Watchdog(self.cluster, state / "beat")
        self.deaths = 0
        self.lock: IO[bytes] | None = None

    def start(self, *setup: str) -> dict[str, Any]:
        """Bring all of it up. `setup` are options of the command `setup_site`, whose answer comes back."""
        self._lock()
        left = stop_left_over(self.state)
        if left:
            self.progress.say(f"stopped {left} processes that an earlier start left behind")
        for name in ("keys", "reports", "journal", "beat", "static", "media"):
            own_folder(self.state / name, self.user, 0o755 if name == "static" else 0o700)
        if self.database is not None:
            self.database.start()
            self.progress.say("PostgreSQL answers")
        said = self.manage("setup_site", *setup)
        self.progress.say("database and static files are set up")
        self.web.start()
        self.cluster.start()
        self._await_web()
        self.progress.say(f"the web server answers at {self.url}")
        return said

    def manage(self, *command: str, meanwhile: Callable[[], None] | None = None) -> dict[str, Any]:
        """Run one of our commands as the service user; it answers with one JSON object on its last line."""
        with subprocess.Popen(
            [sys.executable, "-m", "backup_syncer", *command],
            cwd="/",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **dropped(self.user),
        ) as process:
            try:
                out, err = _communicate(process, meanwhile)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise StepFailed(f"{command[0]}: {self._reason(command[0], err or out, process.returncode)}")
        answer: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
        return answer

    def _reason(self, name: str, said: str, code: int) -> str:
        """The line that names the error; a database adds lines below it. All of it goes into the logs."""
        if self.logs is not None:
            (self.logs / f"{name}.log").write_text(said, encoding="utf-8")
        lines = [line for line in said.splitlines() if line.strip()] or [f"exit code {code}"]
        named = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Configured|Interrupt)\b", line)]
        return (named or lines)[-1]

    def tick(self) -> None:
        """Look after the children once; replace what ended or hangs."""
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
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self.web.stop(WEB_GRACE)
        self.cluster.stop(CLUSTER_GRACE)
        if self.lock is not None:
            stop_left_over(self.state)
            if self.database is not None:
                self.database.stop()
            self.lock.close()
        self.listener.close()
        self.progress.say("stopped")

    def _database_alive(self) -> bool:
        process = None if self.database is None else self.database.process
        return process is None or process.poll() is None

    def _restart_web(self) -> None:
        lived = time.monotonic() - self.web.started
        self.deaths = self.deaths + 1 if lived < QUICK_DEATH else 1
        if self.deaths >= QUICK_DEATHS:
            raise NotStarted(
                f"the web server ended {self.deaths} times within seconds; see {self.logs or 'its messages'}"
            )
        self.progress.say(f"the web server ended with code {self.web.ended()}; starting it again")
        self.web.kill()
        self.web.start()

    def _lock(self) -> None:
        claim(self.state)
        let_in(self.state, self.user)
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
        """Any answer of the application will do, a redirect to https as well as a page."""
        deadline = time.monotonic() + READY_SECONDS
        port = self.listener.getsockname()[1]
        request = urllib.request.Request(f"http://127.0.0.1:{port}/login/", headers={"Host": urlsplit(self.url).netloc})
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
        log = None if self.logs is None else self.logs / f"{name}.log"
        return Child(name, command, self.user, self.environment | {MARK: str(self.state)}, log, pass_fds)

    def _gunicorn(self) -> list[str]:
        """Threads, because an upload may take hours; no recycling of workers, because it would cut an upload short."""
        workers = os.environ.get("BACKUP_SYNCER_WEB_WORKERS", "") or "2"
        options = f"-k gthread -w {workers} --threads 8 --timeout 120 --no-control-socket --bind fd://{self.listener.fileno()}"
        return [sys.executable, "-m", "gunicorn", *options.split(), "backup_syncer.wsgi"]

    def _environment(self) -> dict[str, str]:
        """What the children know. Their home is the state folder: the service user has none, and root's is closed."""
        ours = {
            "BACKUP_SYNCER_STATE": str(self.state),
            "BACKUP_SYNCER_PUBLIC_URL": self.url,
            "DJANGO_SETTINGS_MODULE": "backup_syncer.settings",
            "PYTHONPATH": os.pathsep.join(_paths()),
            "PYTHONSAFEPATH": "1",
            "HOME": str(self.state),
        }
        return dict(os.environ) | ours

    def _has_database(self) -> bool:
        return bool(os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE"))


def _communicate(process: subprocess.Popen[str], meanwhile: Callable[[], None] | None) -> tuple[str, str]:
    """All that it says, when it has ended."""
    while True:
        try:
            return process.communicate(timeout=0.5)
        except subprocess.TimeoutExpired:
            if meanwhile is not None:
                meanwhile()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """A redirect is an answer and is not followed."""


def _paths() -> list[str]:
    """The folder that holds our packages, so that children started elsewhere find them, and what was set before."""
    before = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    return list(dict.fromkeys([str(PACKAGE.parent), *before]))


def interruptible() -> None:
    """SIGTERM and SIGHUP end the program like Ctrl-C, through the same clean-up; what nohup ignores stays ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
