"""A checkout's development system: Django's own commands work without any set-up."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from backup_syncer.development.system import state_directory

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_SECONDS = 180


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """The environment of somebody who has just cloned the repository. Its state directory goes with the test."""
    with tempfile.TemporaryDirectory(prefix="bs-dev-", dir="/tmp") as directory:
        os.chmod(directory, 0o711)  # the service user passes, where root runs the tests
        kept = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONDEVMODE")
        clean = {name: os.environ[name] for name in kept if name in os.environ}
        yield clean | {"BACKUP_SYNCER_DEVELOPMENT_STATE": f"{directory}/state"}


def manage(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` with these arguments in the checkout."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def processes_of(state: str) -> list[psutil.Process]:
    """Return the processes that were started for this state directory and still run."""
    processes = psutil.process_iter(["cmdline"])
    return [process for process in processes if any(state in argument for argument in process.info["cmdline"] or [])]


def test_commands_work_in_a_fresh_clone(environment: dict[str, str]) -> None:
    """check, makemigrations, migrate and shell do what they do in any Django project, and leave nothing running."""
    assert "no issues" in manage(environment, "check").stdout

    checked = manage(environment, "makemigrations", "--check", "--dry-run")
    assert (checked.returncode, checked.stdout) == (0, "No changes detected\n")

    assert "Applying scanner.0001" in manage(environment, "migrate", "--no-color").stdout

    script = "from scanner.models import Run; print('runs:', Run.objects.count())"
    assert manage(environment, "shell", "-v", "0", "-c", script).stdout == "runs: 0\n"

    assert processes_of(environment["BACKUP_SYNCER_DEVELOPMENT_STATE"]) == []


def test_each_checkout_has_a_state_directory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its path is short enough for a Unix socket, however deep the checkout lies."""
    monkeypatch.delenv("BACKUP_SYNCER_DEVELOPMENT_STATE", raising=False)
    first = state_directory()

    monkeypatch.setattr("backup_syncer.development.system.PACKAGE", Path("/srv/" + "deep/" * 50 + "backup_syncer"))
    assert state_directory() != first
    assert len(os.fsencode(state_directory() / "run/.s.PGSQL.5432")) < 104


def test_a_state_directory_of_somebody_else_is_refused(environment: dict[str, str]) -> None:
    """Programs and keys are read from it, so it must be one's own."""
    if os.geteuid() != 0:
        pytest.skip("needs root to make a directory of another user")
    state = Path(environment["BACKUP_SYNCER_DEVELOPMENT_STATE"])
    state.mkdir()
    os.chown(state, 65534, 65534)

    refused = manage(environment, "check")
    assert refused.returncode == 2
    assert "belongs to user 65534" in refused.stderr


@pytest.mark.long
def test_named_tests_are_run(environment: dict[str, str]) -> None:
    """`manage.py test` hands its arguments to pytest and exits with pytest's code."""
    passed = manage(environment, "test", "tests/scanner/format/test_paths.py", "-q", "-p", "no:cacheprovider")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert " passed" in passed.stdout

    assert manage(environment, "test", "-k", "no_such_test_anywhere", "tests/scanner/format", "-q").returncode == 5


def test_runserver_serves_pages_and_runs_the_task_cluster(environment: dict[str, str]) -> None:
    """One command brings up pages, database and task cluster; Ctrl-C ends all of it."""
    assert manage(environment, "migrate").returncode == 0
    state = environment["BACKUP_SYNCER_DEVELOPMENT_STATE"]
    log_path = Path(state) / "runserver.log"

    with open(log_path, "wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-u", "manage.py", "runserver", "127.0.0.1:0", "--noreload"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    try:
        url = await_line(log_path, r"(http://127\.0\.0\.1:\d+)/", server)
        await_line(log_path, r"Processed 'scanner\.tasks\.sweep'", server)
        with urllib.request.urlopen(f"{url}/login/", timeout=60) as response:
            assert b"<form" in response.read()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(DEADLINE_SECONDS)

    deadline = time.monotonic() + DEADLINE_SECONDS
    while processes_of(state) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert processes_of(state) == []


def await_line(log_path: Path, pattern: str, process: subprocess.Popen[bytes]) -> str:
    """Wait until the log has a line that matches. Return the match, or its first group."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        match = re.search(pattern, log_path.read_text(encoding="utf-8", errors="replace"))
        if match:
            return match[match.lastindex or 0]
        time.sleep(0.2)
    pytest.fail(f"no line matches {pattern}: {log_path.read_text(encoding='utf-8', errors='replace')[-2000:]}")
