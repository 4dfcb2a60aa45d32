"""One collector at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scanner.collector.errors import LockedError
from scanner.collector.system import lock
from tests.scanner.collector.fake_central import FakeCentral
from tests.scanner.collector.installation import Installation, clean_environment


def test_second_is_refused(tmp_path: Path) -> None:
    """While one holds the lock another one is refused and told who; afterwards it is free."""
    with lock.held(tmp_path):
        with pytest.raises(LockedError, match=f"process {os.getpid()}"), lock.held(tmp_path):
            pass
    with lock.held(tmp_path):
        pass


def test_killed_holder_frees_it(tmp_path: Path) -> None:
    """The kernel drops the lock of a process that was killed."""
    lines = [
        "import pathlib, sys, time",
        "from scanner.collector.system import lock",
        "with lock.held(pathlib.Path(sys.argv[1])):",
        "    print('held', flush=True)",
        "    time.sleep(60)",
    ]
    command = [sys.executable, "-c", "\n".join(lines), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment())
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    with pytest.raises(LockedError), lock.held(tmp_path):
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    with lock.held(tmp_path):
        pass


def test_many_at_once(installation: Installation, central: FakeCentral) -> None:
    """Of several runs that start together one does the work; the others end with 2 and one line. No number is used
    twice."""
    replica = installation.enrol(central)
    with (installation.tree / "big").open("wb") as file:
        file.truncate(1 << 30)
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
    started = [subprocess.Popen(command, env=clean_environment(), stderr=subprocess.PIPE, text=True) for _ in range(6)]
    time.sleep(0.1)
    results = [(process.communicate(timeout=60)[1], process.returncode) for process in started]
    done = [words for words, code in results if code == 0]
    refused = [words for words, code in results if code == 2]
    assert done and len(done) + len(refused) == 6
    assert all("another collector" in words and words.count("\n") == 1 for words in refused)
    assert [taken.statement.sequence for taken in replica.chain] == list(range(1, len(done) + 1))
