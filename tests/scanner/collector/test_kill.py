"""Killed at any instant, the next run is right: a kill at every point where something becomes durable, and at random
ones."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scanner.collector.delivery import sender
from scanner.collector.delivery.spool import read_envelope
from scanner.format.statement import read_statement
from tests.scanner.collector.fake_central import FakeCentral, Replica
from tests.scanner.collector.installation import Installation, clean_environment

ENOUGH = 30
"""The least number of points that the sweep must have passed to be one."""


@pytest.fixture
def replica(installation: Installation, central: FakeCentral, monkeypatch: pytest.MonkeyPatch) -> Replica:
    """The tree as a replica of an enrolled server; pauses between tries are short."""
    monkeypatch.setattr(sender, "_FIRST_PAUSE", 0.05)
    return installation.enrol(central)


def check(installation: Installation, replica: Replica, central: FakeCentral, at: str) -> None:
    """What must hold after any kill: the next run is complete and delivered, the chain whole, nothing half left."""
    summary = installation.run()
    assert summary.exit_code == 0, (at, summary.problems)
    chain = replica.chain
    assert [taken.statement.sequence for taken in chain] == list(range(1, len(chain) + 1)), at
    assert [taken.statement.previous for taken in chain] == [None, *(taken.digest for taken in chain)][:-1], at
    assert all(taken.statement.outcome == "complete" and taken.statement.break_ is None for taken in chain), at
    assert len({taken.statement.run for taken in chain}) == len(chain) and not central.on_hold, at
    folder = installation.state / "replicas" / replica.replica
    left = {path.name for path in folder.iterdir()}
    assert left == {"queue", "sent", "refused", "state.db"}, at
    assert not list(installation.state.rglob("*.part")), at
    spooled = installation.spool(replica).chain_reports()
    assert [read_statement(read_envelope(report.path).payload).sequence for report in spooled] == [
        report.sequence for report in spooled
    ]


def test_sweep(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A kill at the n-th point, for every n until a run passes them all; after each kill the next run is right."""
    installation.run()
    for number in range(1, 500):
        done = installation.call("run", "--workers", "1", BACKUP_SYNCER_FAIL=f"*:{number}:kill")
        if done.exit_code == 0:
            break
        assert done.exit_code == -signal.SIGKILL, (number, done.stderr)
        check(installation, replica, central, f"point {number}")
    assert number > ENOUGH


def test_sweep_of_failures(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A full disk at the n-th point: the program ends with 2, or goes on where it may; the next run is right."""
    installation.run()
    for number in range(1, 500, 3):
        done = installation.call("run", "--workers", "1", BACKUP_SYNCER_FAIL=f"*:{number}:raise")
        if done.exit_code == 0 and "No space left" not in done.stderr:
            break
        assert done.exit_code in (0, 2) and "Traceback" not in done.stderr, (number, done.stderr)
        installation.run()
        assert [taken.statement.sequence for taken in replica.chain] == list(range(1, len(replica.chain) + 1))
    assert number > ENOUGH


def test_killed_while_it_confirms(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A run that dies over what changed without a trace leaves nothing; the next one finds and confirms it anew."""
    installation.run()
    path = installation.tree / "sub" / "05.dat"
    kept = path.stat()
    path.write_bytes(bytes(kept.st_size))
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    done = installation.call("run", "--workers", "1", BACKUP_SYNCER_FAIL="confirm:chunk:1:kill")
    assert done.exit_code == -signal.SIGKILL, done.stderr
    summary = installation.run()
    assert [line.members()["confirmed"] for line in summary.replicas] == [1]
    check(installation, replica, central, "confirm")


def test_random_moments(installation: Installation, replica: Replica, central: FakeCentral) -> None:
    """A kill of the whole program at random moments, most of them between two points."""
    chance = random.Random(7)
    command = [sys.executable, "-m", "scanner.collector", "--config", str(installation.conf), "run", "--workers", "1"]
    for number in range(12):
        process = subprocess.Popen(
            command, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0.05, 0.5))
        process.kill()
        process.wait()
        check(installation, replica, central, f"moment {number}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_ends_it_soon(
    installation: Installation, replica: Replica, central: FakeCentral, number: signal.Signals
) -> None:
    """SIGTERM, SIGINT and SIGHUP end a run within five seconds with exit code 2, without a worker or a half file
    left."""
    big = installation.tree / "big"
    with big.open("wb") as file:
        file.truncate(50 << 30)
    command = [
        sys.executable,
        "-m",
        "scanner.collector",
        "--config",
        str(installation.conf),
        "run",
        "--engine",
        "hashlib",
    ]
    with subprocess.Popen(command, env=clean_environment(), stderr=subprocess.PIPE, text=True) as process:
        time.sleep(1.5)
        output = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False).stdout
        children = [int(pid) for pid in output.split()]
        try:
            since = time.monotonic()
            process.send_signal(number)
            _, words = process.communicate(timeout=10)
            assert time.monotonic() - since < 5
            assert process.returncode == 2 and f"ended by {number.name}" in words, words
            assert children and not [pid for pid in children if alive(pid)]
        finally:
            for pid in filter(alive, [process.pid, *children]):
                os.kill(pid, signal.SIGKILL)
    big.unlink()
    check(installation, replica, central, number.name)


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if os.path.exists("/proc/self/stat") else True
    except (FileNotFoundError, ProcessLookupError):
        return False
