"""The watchdog replaces a cluster that ended or hangs, and lets one work that works."""

from __future__ import annotations

import os
import pwd
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django_q.signals import post_execute_in_worker, pre_execute

from backup_syncer.launcher import heartbeat
from backup_syncer.launcher.postgres import Embedded
from backup_syncer.launcher.processes import Child
from backup_syncer.launcher.watchdog import Watchdog
from tests.backup_syncer.conftest import Command
from tests.backup_syncer.launcher.test_processes import family, until

ME = pwd.getpwuid(os.geteuid())


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Child]:
    """Something that runs, in place of a task cluster."""
    child = Child("cluster", ["sleep", "60"], ME, dict(os.environ))
    (tmp_path / "busy").mkdir()
    child.start()
    yield child
    child.kill()


def test_silence_is_a_hang(cluster: Child, tmp_path: Path) -> None:
    """No beat for longer than the limit, and nobody at work."""
    watchdog = Watchdog(cluster, tmp_path, limit=0.3)
    assert watchdog.verdict() is None
    time.sleep(0.4)
    assert "no sign of life" in str(watchdog.verdict())


def test_a_beat_is_life(cluster: Child, tmp_path: Path) -> None:
    """Each touch of the file counts from when it is seen; the wall clock does not matter."""
    watchdog = Watchdog(cluster, tmp_path, limit=0.3)
    for second in range(3):
        time.sleep(0.2)
        (tmp_path / "beat").touch()
        os.utime(tmp_path / "beat", (second, second))
        assert watchdog.verdict() is None
    time.sleep(0.4)
    assert watchdog.verdict()


def test_work_is_life(cluster: Child, tmp_path: Path) -> None:
    """A process of this cluster that says it runs a task; the file of a dead one or a stranger counts for nothing."""
    watchdog = Watchdog(cluster, tmp_path, limit=0)
    assert cluster.process is not None
    time.sleep(0.01)
    for stranger in (os.getpid(), 2**22 + 1):
        (tmp_path / "busy" / str(stranger)).touch()
    (tmp_path / "busy" / "nonsense").touch()
    assert watchdog.verdict()
    (tmp_path / "busy" / str(cluster.process.pid)).touch()
    assert watchdog.verdict() is None


def test_an_ended_cluster_is_replaced(cluster: Child, tmp_path: Path) -> None:
    """The new one gets its own time to show life."""
    watchdog = Watchdog(cluster, tmp_path, limit=60)
    assert cluster.process is not None
    first = cluster.process
    first.kill()
    first.wait()
    assert watchdog.verdict() == "ended with code -9"
    watchdog.replace()
    assert cluster.process is not first
    assert watchdog.verdict() is None


def test_workers_say_when_they_work(tmp_path: Path, settings: object) -> None:
    """django-q2's signals write and remove the file of the worker's number; a beat touches its file."""
    settings.BACKUP_SYNCER_BEAT = tmp_path  # type: ignore[attr-defined]  # pytest-django's wrapper
    mine = tmp_path / "busy" / str(os.getpid())
    pre_execute.send(sender="test", func=None, task={})
    assert mine.exists()
    post_execute_in_worker.send(sender="test", func=None, task={})
    assert not mine.exists()
    heartbeat.beat()
    assert (tmp_path / "beat").exists()


@pytest.mark.long
@pytest.mark.parametrize("victim", [1, 2], ids=["sentinel", "idle worker"])
def test_a_real_hang_is_healed(
    command: Command, environment: dict[str, str], short: Path, owner: pwd.struct_passwd, victim: int
) -> None:
    """A cluster whose sentinel, or idle worker, was killed stays silent; its replacement beats again.

    In the order of their birth: leader, sentinel, workers, monitor, pusher.
    """
    server = Embedded(short / "state", owner)
    server.start()
    done = command("setup_site")
    assert done.returncode == 0, done.stderr
    settings = environment | {"BACKUP_SYNCER_WORKERS": "1"}
    cluster = Child("qcluster", [sys.executable, "-m", "backup_syncer", "qcluster"], ME, settings, short / "log")
    beat = short / "state" / "beat"
    watchdog = Watchdog(cluster, beat, limit=100)
    cluster.start()
    try:
        until((beat / "beat").exists, 120)
        assert cluster.process is not None
        processes = family(cluster.process.pid)
        sorted(processes, key=psutil.Process.create_time)[victim].send_signal(signal.SIGKILL)
        until(watchdog.verdict, 240)
        watchdog.replace()
        (beat / "beat").unlink()
        until((beat / "beat").exists, 120)
        assert watchdog.verdict() is None
    finally:
        cluster.stop(10)
        server.stop()
