"""Long-lived children: started, stopped with all they started, found again when their launcher was killed."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from backup_syncer.launcher.processes import MARK, Child, find_leftovers, stop_leftovers

ME = pwd.getpwuid(os.geteuid())


def until(what: Callable[[], object], seconds: float = 10) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def family(number: int) -> list[psutil.Process]:
    """A process and its children."""
    leader = psutil.Process(number)
    return [leader, *leader.children(recursive=True)]


@pytest.fixture
def stubborn(tmp_path: Path) -> Iterator[Child]:
    """A leader that ends when asked, and a worker of it that does not."""
    code = (
        "import os, signal, subprocess, sys, time\n"
        "hard = 'import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)'\n"
        "worker = subprocess.Popen([sys.executable, '-c', hard]); time.sleep(60)"
    )
    child = Child(
        "stubborn", [sys.executable, "-c", code], ME, dict(os.environ) | {MARK: str(tmp_path)}, tmp_path / "log"
    )
    yield child
    child.kill()


def test_stop_ends_the_whole_group(stubborn: Child, tmp_path: Path) -> None:
    """A worker that ignores the request is not left behind, and what was said is in the log."""
    stubborn.start()
    assert stubborn.process is not None
    until(lambda: (tmp_path / "log").read_text() == "1\n")
    processes = family(stubborn.process.pid)
    assert len(processes) == 2
    stubborn.stop(grace=5)
    until(lambda: not any(process.is_running() for process in processes))


def test_left_over_children_are_found_without_their_leader(stubborn: Child, tmp_path: Path) -> None:
    """The mark in the environment is enough; processes of another state directory are not touched."""
    stubborn.start()
    assert stubborn.process is not None
    until(lambda: (tmp_path / "log").read_text() == "1\n")
    stubborn.process.kill()
    stubborn.process.wait()
    other = Child("other", ["sleep", "60"], ME, dict(os.environ) | {MARK: "/another"})
    other.start()
    assert len(find_leftovers(tmp_path)) == 1
    assert stop_leftovers(tmp_path, grace=0.3) == 1
    until(lambda: not find_leftovers(tmp_path))
    survived = other.ended() is None
    other.kill()
    assert survived


def test_children_end_with_their_launcher(tmp_path: Path) -> None:
    """A launcher that is killed takes its children along (Linux)."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells a child of its parent's death")
    code = (
        "import os, pwd, sys, time\nfrom backup_syncer.launcher.processes import MARK, Child\n"
        "child = Child('c', ['sleep', '60'], pwd.getpwuid(os.geteuid()), dict(os.environ) | {MARK: sys.argv[1]})\n"
        "child.start(); print(child.process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        child = psutil.Process(int(launcher.stdout.readline()))
        until(lambda: child.name() == "sleep")
        launcher.send_signal(signal.SIGKILL)
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
