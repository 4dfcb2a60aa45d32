"""Kill the collector at every point where something becomes durable, and at random moments: the next run is right."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scanner.collector.delivery.spool import read_envelope
from scanner.format.statement import read_statement
from tests.scanner.collector.fake_central import FakeCentral, Replica
from tests.scanner.collector.installation import Installation, clean_environment

FEWEST_POINTS = 30
"""A sweep that passes fewer points has not tested the collector."""
MOST_POINTS = 500


def check_next_run(installation: Installation, replica: Replica, central: FakeCentral, killed_at: str) -> None:
    """Assert that the next run is complete and delivered, the chain intact, and nothing unfinished is left."""
    summary = installation.run()
    assert summary.exit_code == 0, (killed_at, summary.problems)

    chain = replica.chain
    assert replica.sequences() == list(range(1, len(chain) + 1)), killed_at
    assert replica.is_chain_intact(), killed_at
    for report in chain:
        assert report.statement.outcome == "complete", killed_at
        assert report.statement.break_ is None, killed_at
    assert len({report.statement.run for report in chain}) == len(chain)
    assert not central.on_hold, killed_at

    directory = installation.state / "replicas" / replica.replica
    assert {path.name for path in directory.iterdir()} == {"queue", "sent", "refused", "state.db"}, killed_at
    assert not list(installation.state.rglob("*.part")), killed_at

    spooled_reports = installation.spool(replica).chain_reports()
    spooled_statements = [read_statement(read_envelope(report.path).payload) for report in spooled_reports]
    assert [statement.sequence for statement in spooled_statements] == [report.sequence for report in spooled_reports]


@pytest.mark.long
def test_kill_at_every_point(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A run is killed at its n-th point, for every n until a run passes them all, and the next run is right."""
    kill_at_points(installation, replica, central, step=1)


def test_kill_at_every_fifth_point(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """The same at fewer points."""
    kill_at_points(installation, replica, central, step=5)


def kill_at_points(installation: Installation, replica: Replica, central: FakeCentral, step: int) -> None:
    """Kill a run at each `step`-th point until a run passes them all, and look at the next run each time."""
    installation.run()
    for number in range(1, MOST_POINTS, step):
        result = installation.call("run", "--workers", "1", BACKUP_SYNCER_FAIL=f"*:{number}:kill")
        if result.exit_code == 0:
            break
        assert result.exit_code == -signal.SIGKILL, (number, result.stderr)
        check_next_run(installation, replica, central, f"point {number}")
    assert number > FEWEST_POINTS


@pytest.mark.long
def test_full_disk_at_every_point(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """With a full disk at its n-th point a run ends with 2, or goes on where it can, and the next run is right."""
    installation.run()
    for number in range(1, MOST_POINTS, 3):
        result = installation.call("run", "--workers", "1", BACKUP_SYNCER_FAIL=f"*:{number}:raise")
        if result.exit_code == 0 and "No space left" not in result.stderr:
            break
        assert result.exit_code in (0, 2), (number, result.stderr)
        assert "Traceback" not in result.stderr, (number, result.stderr)

        installation.run()
        assert replica.sequences() == list(range(1, len(replica.chain) + 1))
    assert number > FEWEST_POINTS


def test_kill_during_confirmation(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A run that is killed while it reads suspects again leaves nothing, and the next one confirms them anew."""
    installation.run()
    path = installation.tree / "sub" / "05.dat"
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    result = installation.call("run", "--workers", "1", BACKUP_SYNCER_FAIL="confirm:chunk:1:kill")
    assert result.exit_code == -signal.SIGKILL, result.stderr

    summary = installation.run()
    assert [replica_summary.members()["confirmed"] for replica_summary in summary.replicas] == [1]
    check_next_run(installation, replica, central, "confirm")


def test_kill_at_random_moments(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """The whole program is killed at random moments, most of them between two points."""
    chance = random.Random(7)
    arguments = ["--config", str(installation.conf), "run", "--workers", "1"]
    for number in range(12):
        process = subprocess.Popen(
            [sys.executable, "-m", "scanner.collector", *arguments],
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.uniform(0.05, 0.5))
        process.kill()
        process.wait()
        check_next_run(installation, replica, central, f"moment {number}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_ends_it_soon(
    installation: Installation, replica: Replica, central: FakeCentral, number: signal.Signals
) -> None:
    """A signal ends a run in the middle of a file with exit code 2, and leaves no worker and no unfinished file."""
    big_file = installation.tree / "big"
    with big_file.open("wb") as file:
        file.truncate(50 << 30)

    arguments = ["--config", str(installation.conf), "run", "--engine", "hashlib"]
    command = [sys.executable, "-m", "scanner.collector", *arguments]
    with subprocess.Popen(command, env=clean_environment(), stderr=subprocess.PIPE, text=True) as process:
        # Before its workers start, the collector has not yet said what a signal means.
        children = wait_for_children(process.pid)
        try:
            process.send_signal(number)
            _, messages = process.communicate(timeout=60)
            assert process.returncode == 2
            assert f"ended by {number.name}" in messages, messages
            assert children
            assert not [pid for pid in children if is_alive(pid)]
        finally:
            for pid in filter(is_alive, [process.pid, *children]):
                os.kill(pid, signal.SIGKILL)

    big_file.unlink()
    check_next_run(installation, replica, central, number.name)


def wait_for_children(pid: int) -> list[int]:
    """Return the processes that a process has started, as soon as there are some."""
    for _ in range(600):
        if children := find_children(pid):
            return children
        time.sleep(0.1)
    raise AssertionError("the collector has started no worker")


def find_children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    process = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in process.stdout.split()]


def is_alive(pid: int) -> bool:
    """Return whether a process exists and is no zombie. Where there is no /proc, it counts as alive."""
    if not os.path.exists("/proc/self/stat"):
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
