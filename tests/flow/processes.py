"""The whole system as separate processes, for tests that kill them: web, task cluster, collectors, a database."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import psycopg

REPOSITORY = Path(__file__).resolve().parents[2]
# Not DROP DATABASE ... WITH (FORCE): that would end an autovacuum as any other session, for which the role may have no
# right; the plain one waits for it.
END_SESSIONS = """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = '{}' AND usename = current_user AND pid <> pg_backend_pid()"""
PASSWORD = "correct horse battery staple"  # of a user that lives as long as a test


class Group:
    """A process that leads a group of its own, its output in a file."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.command = command
        self.environment = dict(environment)
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it must not run."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL for the leader and all its children."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


class RunningSystem:
    """A central server with its own database, directories and port. `url` names any database of a running PostgreSQL.

    `like` is a system that was set up before: its tables and static files are copied, which is quicker.
    """

    def __init__(self, directory: Path, url: str, like: RunningSystem | None = None) -> None:
        self.directory = directory
        self.maintenance = url
        self.like = like
        self.database = f"flow_{uuid.uuid4().hex[:12]}"
        self.own_database = urllib.parse.urlsplit(url)._replace(path=f"/{self.database}").geturl()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = self._environment()
        web = f"-k gthread -w 2 --threads 4 --timeout 60 --no-control-socket --bind 127.0.0.1:{self.port}"
        python = [sys.executable, "-W", "ignore"]
        self.web = Group(
            [*python, "-m", "gunicorn", *web.split(), "backup_syncer.wsgi"], self.environment, directory / "web.log"
        )
        self.cluster = Group([*python, "manage.py", "qcluster"], self.environment, directory / "cluster.log")

    def _environment(self) -> dict[str, str]:
        ours = {
            "BACKUP_SYNCER_STATE": str(self.directory),
            "BACKUP_SYNCER_PUBLIC_URL": self.url,
            "DJANGO_SETTINGS_MODULE": "backup_syncer.settings",
            "DATABASE_URL": self.own_database,
            "PYTHONPATH": str(REPOSITORY),
        }
        return {key: value for key, value in os.environ.items() if not key.startswith("BACKUP_SYNCER")} | ours

    def set_up(self) -> None:
        """Make the database, its tables, the static files and an administrator."""
        for name in ("keys", "reports", "journal", "beat", "media"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        if self.like is not None:
            (self.directory / "static").symlink_to(self.like.directory / "static")
            self._maintain(f'CREATE DATABASE "{self.database}" TEMPLATE "{self.like.database}"')
            return
        (self.directory / "static").mkdir()
        self._maintain(f'CREATE DATABASE "{self.database}"')
        self.manage("setup_site")
        self.manage("createsuperuser", "--noinput", "--username=tester", "--email=", DJANGO_SUPERUSER_PASSWORD=PASSWORD)

    def start(self) -> None:
        """Set it up, then start web server and cluster."""
        self.set_up()
        self.web.start()
        self.await_web()
        self.cluster.start()

    def stop(self) -> None:
        """Kill what runs and drop the database."""
        self.web.kill()
        self.cluster.kill()
        self._maintain(END_SESSIONS.format(self.database))
        self._maintain(f'DROP DATABASE IF EXISTS "{self.database}"')

    def _maintain(self, statement: str) -> None:
        with psycopg.connect(self.maintenance, autocommit=True) as connection:
            connection.execute(statement.encode())

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a SELECT on the system's database."""
        with psycopg.connect(self.own_database, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def manage(self, *command: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a management command; its failure fails the test with what it said."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "manage.py", *command],
            cwd=REPOSITORY,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def shell(self, code: str) -> str:
        """Run `code` within Django and return what it prints."""
        return self.manage("shell", "--no-imports", "-v", "0", "-c", code).stdout.strip()

    def await_web(self) -> None:
        """Wait until the web server answers."""
        wait_for(lambda: _answers(f"{self.url}/login/"), 30, "the web server")

    def replica(self, root: Path, name: str) -> tuple[str, str]:
        """Make a group, a server and a replica of `root`; its uuid and an enrolment token come back."""
        output = self.shell(
            "import os\nfrom scanner.format import paths\nfrom scanner.enrolment import create_token\n"
            "from scanner.models import Group, Replica, Server\n"
            f"s = Server.objects.create(name={name!r}); g = Group.objects.create(name={name!r})\n"
            f"r = Replica.objects.create(group=g, server=s, root=paths.encode(os.fsencode({str(root)!r})))\n"
            "print(r.uuid, create_token(s))"
        )
        replica, token = output.split()
        return replica, token

    def await_proofs(self, count: int, seconds: float = 60) -> None:
        """Wait until `count` runs are proven."""
        wait_for(lambda: self.proven() >= count, seconds, f"{count} proven runs")

    def proven(self) -> int:
        """Return how many runs are proven now."""
        return int(self.query("SELECT count(*) FROM checker_proof WHERE ok")[0][0])

    def runs(self) -> list[tuple[int, str]]:
        """Sequence and state of all runs."""
        return self.query("SELECT sequence, state FROM scanner_run ORDER BY replica_id, sequence")


class Collector:
    """A collector with a state directory of its own."""

    def __init__(self, directory: Path, url: str, patience: int = 60) -> None:
        self.directory = directory
        self.state = directory / "state"
        directory.mkdir(parents=True, exist_ok=True)
        self.config = directory / "collector.conf"
        self.config.write_text(f"[collector]\nserver = {url}\nstate = {self.state}\npatience = {patience}\n")
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("BACKUP_SYNCER")}
        self.started: list[Group] = []

    def command(self, *arguments: str) -> list[str]:
        """The command line of the collector."""
        return [sys.executable, "-m", "scanner.collector", "--config", str(self.config), *arguments]

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; the caller judges the exit code."""
        return subprocess.run(
            self.command(*arguments),
            cwd=REPOSITORY,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def summary(self, *arguments: str) -> dict[str, Any]:
        """The JSON summary of a `run`."""
        done = self("run", "--json", *arguments)
        assert done.stdout, done.stderr
        summary: dict[str, Any] = json.loads(done.stdout)
        return summary

    def start(self, *arguments: str) -> Group:
        """The command as a process group that can be killed."""
        group = Group(self.command(*arguments), self.environment, self.directory / "log")
        self.started.append(group)
        group.start()
        return group


class Visitor:
    """A person at a browser without JavaScript: cookies, forms, redirects."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.cookies = CookieJar()
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.cookies)
        )

    def get(self, path: str) -> str:
        """The page's text; a refusal raises HTTPError."""
        with self.opener.open(urllib.parse.urljoin(self.url, path), timeout=30) as answer:
            return str(answer.read().decode())

    def post(self, path: str, **fields: str) -> str:
        """Fill in the form of the page at `path` and send it; the page that follows comes back."""
        page = self.get(path)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token, f"no form at {path}"
        body = urllib.parse.urlencode(fields | {"csrfmiddlewaretoken": token[1]}).encode()
        request = urllib.request.Request(
            urllib.parse.urljoin(self.url, path), body, {"Referer": urllib.parse.urljoin(self.url, path)}
        )
        with self.opener.open(request, timeout=30) as answer:
            return str(answer.read().decode())

    def log_in(self) -> None:
        """Log in as the administrator of a test's system."""
        page = self.post("/login/", username="tester", password=PASSWORD)
        assert 'name="password"' not in page, "the login failed"


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(test: Callable[[], object], seconds: float, what: str) -> None:
    """Return when `test` is true; fail when it does not become so in time."""
    deadline = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@contextlib.contextmanager
def running(directory: Path, url: str, like: RunningSystem) -> Iterator[RunningSystem]:
    """A system from start to stop."""
    system = RunningSystem(directory, url, like)
    try:
        system.start()
        yield system
    finally:
        system.stop()
