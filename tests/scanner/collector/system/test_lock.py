"""One collector at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scanner.collector.errors import LockedError
from scanner.collector.system.lock import hold_lock
from tests.scanner.collector.fake_central import FakeCentral
from tests.scanner.collector.installation import Installation, clean_environment

HOLDER = """
import pathlib, sys, time
from scanner.collector.system.lock import hold_lock
with hold_lock(pathlib.Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_second_is_refused(tmp_path: Path) -> None:
    """While the lock is held another one is refused with the holder's number; afterwards it is free."""
    with hold_lock(tmp_path):
        with pytest.raises(LockedError, match=f"process {os.getpid()}"), hold_lock(tmp_path):
            pass
    with hold_lock(tmp_path):
        pass


def test_killed_holder_frees_it(tmp_path: Path) -> None:
    """The kernel drops the lock of a process that was killed."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment())
    assert process.stdout is not None and process.stdout.readline() == b"locked\n"
    with pytest.raises(LockedError), hold_lock(tmp_path):
        pass

    process.kill()
    process.wait()
    process.stdout.close()
    with hold_lock(tmp_path):
        pass


def test_several_runs_at_once(installation: Installation, central: FakeCentral) -> None:
    """One of several runs does the work, the others end with 2 and one line. No number is used twice."""
    replica = installation.enrol(central)
    with (installation.tree / "big").open("wb") as file:
        file.truncate(1 << 30)

    program = [sys.executable, "-m", "scanner.collector", "--config", str(installation.conf)]
    command = [*program, "run", "--engine", "hashlib"]
    processes = [
        subprocess.Popen(command, env=clean_environment(), stderr=subprocess.PIPE, text=True) for _ in range(6)
    ]
    time.sleep(0.1)
    results = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]
    successful = [message for message, code in results if code == 0]
    refused = [message for message, code in results if code == 2]
    assert successful and len(successful) + len(refused) == 6
    assert all("another collector" in message and message.count("\n") == 1 for message in refused)
    assert [report.statement.sequence for report in replica.chain] == list(range(1, len(successful) + 1))
