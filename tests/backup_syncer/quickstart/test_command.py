"""The quick start with real processes: from a directory to a proven run, and everything gone afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backup_syncer.launcher.postgres import Embedded
from backup_syncer.launcher.processes import find_leftovers
from backup_syncer.launcher.service_user import service_user
from backup_syncer.quickstart.options import parser

Command = Callable[..., "subprocess.CompletedProcess[str]"]
PATIENCE = 180.0
"""Seconds that a whole road may take on a busy machine."""

pytestmark = pytest.mark.xdist_group("quickstart")


@pytest.fixture(autouse=True)
def existing_user(environment: dict[str, str], owner: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """For root, another user than the one that would be made: a test makes no system user."""
    name = owner.pw_name  # type: ignore[attr-defined]  # an entry of the password file
    user = name if name != "nobody" else "daemon"
    environment["BACKUP_SYNCER_USER"] = user
    monkeypatch.setenv("BACKUP_SYNCER_USER", user)


@pytest.fixture
def command(environment: dict[str, str], python: Path) -> Command:
    """Run `backup-syncer` with these arguments and settings, by a Python that the services can run."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        line = [str(python), "-m", "backup_syncer", *arguments]
        env = environment | settings
        return subprocess.run(line, env=env, cwd="/", capture_output=True, text=True, timeout=PATIENCE, check=False)

    return run


@pytest.fixture
def tree(short: Path) -> Path:
    """A directory with a name that needs care."""
    (short / "some data" / "sub").mkdir(parents=True)
    (short / "some data" / "a").write_bytes(b"contents")
    (short / "some data" / "sub" / "b\nc").write_bytes(b"")
    return short / "some data"


@pytest.fixture
def launched(environment: dict[str, str], python: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a quick start that stays; end it, if it still runs, after the test."""
    started: list[subprocess.Popen[str]] = []

    def launch(*arguments: str) -> subprocess.Popen[str]:
        line = [str(python), "-m", "backup_syncer", "quickstart", "--port", "0", *arguments]
        process = subprocess.Popen(line, env=environment, cwd="/", stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield launch
    for process in started:
        process.terminate()
        process.communicate(timeout=120)


def read_until(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """The first line of its output that matches; a process that takes too long is ended, and so its output."""
    assert process.stdout is not None
    guard = threading.Timer(PATIENCE, process.terminate)
    guard.start()
    try:
        matches = (re.search(pattern, line) for line in process.stdout)
        return next(match for match in matches if match)
    except StopIteration:
        pytest.fail(f"{pattern} was never said")
    finally:
        guard.cancel()


def nothing_runs(state: Path) -> bool:
    """Neither children nor PostgreSQL."""
    return not find_leftovers(state) and not Embedded(state, service_user()).running()


def test_once_takes_a_directory_the_whole_road_and_reuses_everything(command: Command, short: Path, tree: Path) -> None:
    """Exit code 0 says proven. The second start makes no second administrator, server or group, but a second run."""
    state = short / "state"
    first = command("quickstart", "--once", "--port", "0", "--state", str(state), str(tree))
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Run 1: PROVEN (2 files, 8 bytes, 0 errors)" in first.stdout
    assert re.search(r"^Page: http://127\.0\.0\.1:\d+/runs/", first.stdout, re.MULTILINE)
    assert re.search(r"^Login: admin +Password: \S{20}", first.stdout, re.MULTILINE)
    assert nothing_runs(state)
    second = command("quickstart", "--once", "--port", "0", "--state", str(state), str(tree))
    assert second.returncode == 0, second.stdout + second.stderr
    assert "Run 2: PROVEN" in second.stdout
    assert "Password" not in second.stdout


@pytest.mark.long
def test_a_second_directory_is_a_group_of_its_own(command: Command, short: Path, tree: Path) -> None:
    """A system that has a directory takes another one, with the same collector."""
    state = short / "state"
    command("quickstart", "--once", "--port", "0", "--state", str(state), str(tree))
    second = command("quickstart", "--once", "--port", "0", "--state", str(state), str(tree / "sub"))
    assert second.returncode == 0, second.stdout + second.stderr
    assert "Run 1: PROVEN (1 file, 0 bytes, 0 errors)" in second.stdout
    assert len(list((state / "collector").iterdir())) == 1


def test_interrupt_stops_everything(
    launched: Callable[..., subprocess.Popen[str]], environment: dict[str, str], short: Path
) -> None:
    """The page answers while it runs; Ctrl-C ends it cleanly with exit code 0. Without DIR a sample is hashed."""
    process = launched("--state", str(short / "state"))
    url = read_until(process, r"^Page: (http://[^/]+)")[1]
    with urllib.request.urlopen(f"{url}/login/", timeout=10) as answer:
        assert answer.status == 200
    second = subprocess.run(process.args, env=environment, capture_output=True, text=True, check=False, cwd="/")
    assert second.returncode == 2
    assert "already runs on" in second.stderr.strip().splitlines()[-1]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert nothing_runs(short / "state")


@pytest.mark.long
def test_killed_launcher_leaves_nothing_that_hinders(
    launched: Callable[..., subprocess.Popen[str]], command: Command, short: Path, tree: Path
) -> None:
    """kill -9 of the launcher, and of the web server's master: the next start finds a clean table."""
    state = short / "state"
    process = launched("--state", str(state), str(tree))
    read_until(process, "^Page: ")
    for child in find_leftovers(state):
        if "gunicorn" in child.cmdline() and child.ppid() == process.pid:
            child.kill()
    process.kill()
    process.communicate()
    completed = command("quickstart", "--once", "--port", "0", "--state", str(state), str(tree))
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "Run 2: PROVEN" in completed.stdout
    assert nothing_runs(state)


@pytest.mark.long
def test_dead_children_are_replaced(launched: Callable[..., subprocess.Popen[str]], short: Path, tree: Path) -> None:
    """The launcher starts a web server, and a PostgreSQL, that died, and the page answers again."""
    state = short / "state"
    process = launched("--state", str(state), str(tree))
    url = read_until(process, r"^Page: (http://[^/]+)")[1]
    for child in find_leftovers(state):
        if "gunicorn" in child.cmdline():
            child.kill()
    os.kill(int((state / "pgdata" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.5)
        try:
            with urllib.request.urlopen(f"{url}/login/", timeout=10) as answer:
                assert answer.status == 200
            break
        except OSError:
            continue
    else:
        pytest.fail("the page did not come back")
    assert process.poll() is None


def test_taken_port_is_one_clear_line(command: Command, short: Path) -> None:
    """Before anything is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        completed = command("quickstart", "--once", "--port", str(port), "--state", str(short / "state"))
    assert completed.returncode == 2
    assert completed.stderr == (
        f"backup-syncer: port {port} of 127.0.0.1: Address already in use; choose another with --port, "
        "or stop the quick start that may still be running\n"
    )
    assert not (short / "state").exists()


def test_unreachable_database_is_one_clear_line(command: Command, short: Path) -> None:
    """A DATABASE_URL that leads nowhere."""
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    completed = command("quickstart", "--once", "--port", "0", "--state", str(short / "state"), DATABASE_URL=url)
    assert completed.returncode == 2
    assert "setup_site: " in completed.stderr.strip().splitlines()[-1]
    assert "Traceback" not in completed.stderr


@pytest.mark.long
def test_answers_of_the_set_up_are_json(command: Command, short: Path, owner: object) -> None:
    """`setup_site` gives a password once; the second call gives none."""
    server = Embedded(short / "state", owner)  # type: ignore[arg-type]  # an entry of the password file
    server.start()
    try:
        for directory in ("static", "keys"):
            (short / "state" / directory).mkdir()
        answers = [json.loads(command("setup_site").stdout) for _ in range(2)]
    finally:
        server.stop()
    assert len(answers[0]["password"]) == 20
    assert answers[0]["name"] == "admin"
    assert answers[1] == {"administrators": 1, "password": None, "name": None}


def test_wrong_port_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong port is refused with the range that is one."""
    with pytest.raises(SystemExit):
        parser().parse_args(["--port", "99999999"])
    assert "is no port: a number from 0 to 65535" in capsys.readouterr().err.splitlines()[-1]
