"""The hash pass: every file once, whatever happens to the workers, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scanner.collector.engines.choice import EngineChoice, choose
from scanner.collector.engines.process import WorkerProcess
from scanner.collector.entries import FailedFile, FileResult, HashedFile, WalkedEntry
from scanner.collector.run.hash_pass import DIED, HashPass, HashPassError
from tests import pythons
from tests.scanner.collector import trees
from tests.scanner.collector.installation import ROOT


@pytest.fixture(scope="module", params=["hashlib", "native"])
def choice(request: pytest.FixtureRequest) -> EngineChoice:
    """Each engine that this system has."""
    chosen = choose(request.param)
    if chosen.engine.name != request.param:
        pytest.skip(f"no native tools here: {chosen.why}")
    return chosen


def run(root: Path, choice: EngineChoice, files: list[WalkedEntry], workers: int = 2) -> dict[bytes, FileResult]:
    with HashPass(os.fsencode(root), choice, workers) as hash_pass:
        results = list(hash_pass.run(iter(files)))
        assert hash_pass.bytes_done == sum(each.size for each in files)
        assert hash_pass.worker_pids == []
    assert len({each.path for each in results}) == len(results)
    return {each.path: each for each in results}


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """A root with a file of a terabyte of nothing, which takes many minutes to read."""
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 1 << 40)
    return tmp_path


@pytest.mark.parametrize("workers", [1, 3])
def test_every_file_once(choice: EngineChoice, tmp_path: Path, workers: int) -> None:
    """Every file of a nasty tree has one result, which is right."""
    content = trees.make_nasty_tree(tmp_path)
    files = trees.list_files(tmp_path)
    found = run(tmp_path, choice, files, workers)
    assert found == {each.path: trees.expected_result(each, content[each.path]) for each in files}


def test_no_files(choice: EngineChoice, tmp_path: Path) -> None:
    """Without files there are no results, and no worker is started."""
    assert run(tmp_path, choice, []) == {}


def test_bad_files_are_data(choice: EngineChoice, tmp_path: Path) -> None:
    """Files that are gone or became something else are told, and the others are read."""
    for number in range(600):
        (tmp_path / f"{number:03}").write_text(str(number))
    files = trees.list_files(tmp_path)
    (tmp_path / "100").unlink()
    (tmp_path / "200").unlink()
    (tmp_path / "200").mkdir()
    found = run(tmp_path, choice, files)
    assert found[b"100"] == (b"100",)
    assert found[b"200"] == FailedFile(b"200", "ECHANGED", "open")
    assert sum(isinstance(each, HashedFile) for each in found.values()) == 598


def test_files_are_taken_as_needed(tmp_path: Path) -> None:
    """Of many files only those in hand are taken: memory does not grow with their number."""
    (tmp_path / "file").write_text("x")
    one = trees.list_files(tmp_path)[0]
    taken = 0

    def many() -> Iterator[WalkedEntry]:
        nonlocal taken
        for _ in range(100_000):
            taken += 1
            yield one

    with HashPass(os.fsencode(tmp_path), choose("hashlib"), 2) as hash_pass:
        results = hash_pass.run(many())
        for _ in range(1000):
            next(results)
        assert taken < 5000


def test_a_large_file_gets_idle_cores(tmp_path: Path) -> None:
    """A file that is larger than all others has two threads from its start; so has one that is left over."""
    sizes = {b"large": 100 << 20, b"small": 1 << 20}
    for name, size in sizes.items():
        (tmp_path / name.decode()).write_bytes(os.urandom(size))
    files = trees.list_files(tmp_path)
    wanted = {
        each.path: trees.expected_result(each, (tmp_path / os.fsdecode(each.path)).read_bytes()) for each in files
    }
    for total in (None, sum(sizes.values())):
        with HashPass(os.fsencode(tmp_path), choose("hashlib"), 2) as hash_pass:
            assert {each.path: each for each in hash_pass.run(iter(files), total)} == wanted


def test_large_files_do_not_queue(tmp_path: Path) -> None:
    """A large file waits for an idle worker, not behind another large one."""
    for name, size in {"a": 1 << 40, "b": 9 << 20, "c": 9 << 20, "d": 1}.items():
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, size)
    with HashPass(os.fsencode(tmp_path), choose("hashlib"), 2) as hash_pass:
        results = hash_pass.run(iter(trees.list_files(tmp_path)))
        assert [next(results).path for _ in range(3)] == [b"b", b"c", b"d"]


def test_progress_of_one_file(choice: EngineChoice, huge: Path) -> None:
    """The bytes of a file that is still being read are counted, as another thread can see."""
    with HashPass(os.fsencode(huge), choice, 1) as hash_pass:
        thread = threading.Thread(target=lambda: list(hash_pass.run(iter(trees.list_files(huge)))), daemon=True)
        thread.start()
        until = time.monotonic() + 30
        while hash_pass.bytes_done == 0 and time.monotonic() < until:
            time.sleep(0.05)
        assert 0 < hash_pass.bytes_done < 1 << 40
        for _ in range(3):
            strike(hash_pass, signal.SIGKILL)
        thread.join(30)
        assert not thread.is_alive()


def strike(hash_pass: HashPass, number: int) -> None:
    """Send a signal to a worker that is in the middle of a file, and wait until it is replaced or the work is done."""
    until = time.monotonic() + 30
    reading: list[int] = []
    while not reading and time.monotonic() < until:
        time.sleep(0.02)
        reading = [worker.pid for worker in list(hash_pass._workers) if worker.partial]
    os.kill(reading[0], number)
    while time.monotonic() < until and reading[0] in hash_pass.worker_pids:
        time.sleep(0.02)


def test_killed_workers_lose_nothing(choice: EngineChoice, tmp_path: Path) -> None:
    """When workers are killed again and again, the files that they had are read by others."""
    for number in range(3000):
        (tmp_path / f"{number:04}").write_bytes(b"%d" % number * 500)
    files = trees.list_files(tmp_path)
    with HashPass(os.fsencode(tmp_path), choice, 2) as hash_pass:
        results: dict[bytes, FileResult] = {}
        for count, result in enumerate(hash_pass.run(iter(files)), 1):
            results[result.path] = result
            if count in (1, 900, 1800):
                os.kill(hash_pass.worker_pids[0], signal.SIGKILL)
    assert results == {each.path: trees.expected_result(each, read(tmp_path, each)) for each in files}


def read(root: Path, found: WalkedEntry) -> bytes:
    return (root / os.fsdecode(found.path)).read_bytes()


def test_a_file_that_kills_has_failed(choice: EngineChoice, huge: Path) -> None:
    """A file over which three workers have died has failed; the files beside it have not."""
    for number in range(20):
        (huge / f"small{number}").write_text("x")
    results: list[FileResult] = []
    with HashPass(os.fsencode(huge), choice, 1) as hash_pass:
        thread = threading.Thread(target=lambda: results.extend(hash_pass.run(iter(trees.list_files(huge)))))
        thread.start()
        for _ in range(3):
            strike(hash_pass, signal.SIGKILL)
        thread.join(60)
    assert FailedFile(b"huge", DIED, "read") in results
    assert sum(isinstance(each, HashedFile) for each in results) == 20


def test_a_hanging_worker_is_given_up(tmp_path: Path) -> None:
    """A worker without progress is replaced; what hangs when it is alone has timed out."""
    for name in ("a", "b"):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 1 << 40)
    (tmp_path / "small").write_text("x")
    with HashPass(os.fsencode(tmp_path), choose("hashlib"), 1, no_progress=2.0) as hash_pass:
        results: list[FileResult] = []
        thread = threading.Thread(target=lambda: results.extend(hash_pass.run(iter(trees.list_files(tmp_path)))))
        thread.start()
        for _ in range(2):
            strike(hash_pass, signal.SIGSTOP)
        thread.join(60)
    failed = [FailedFile(name, "ETIMEDOUT", "read") for name in (b"a", b"b")]
    assert [each for each in results if isinstance(each, FailedFile)] == failed
    assert len(results) == 3


def test_a_slow_consumer_is_no_hang(tmp_path: Path) -> None:
    """Time in which nobody asks for results is not held against the workers."""
    for number in range(2000):
        (tmp_path / f"{number:04}").write_text("x")
    with HashPass(os.fsencode(tmp_path), choose("hashlib"), 2, no_progress=1.5) as hash_pass:
        results: list[FileResult] = []
        for result in hash_pass.run(iter(trees.list_files(tmp_path))):
            if len(results) in (0, 700):
                time.sleep(2.5)
            results.append(result)
    assert all(isinstance(each, HashedFile) for each in results)


def test_rate_limit(choice: EngineChoice, tmp_path: Path) -> None:
    """With a rate limit the pass takes the time that its bytes are due, over all workers."""
    for number in range(12):
        (tmp_path / f"{number}").write_bytes(bytes(1 << 20))
    start = time.monotonic()
    with HashPass(os.fsencode(tmp_path), choice, 2, max_rate=6 << 20) as hash_pass:
        assert len(list(hash_pass.run(iter(trees.list_files(tmp_path))))) == 12
    took = time.monotonic() - start
    assert took < 20
    if choice.engine.name == "hashlib":  # the native batch of all 12 is booked at once, and begins at once
        assert took > 1.5


def test_root_that_is_gone(tmp_path: Path) -> None:
    """When the root itself is gone, the pass ends with an error, not with as many as there are files."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root/file").write_text("x")
    files = trees.list_files(tmp_path / "root")
    shutil.rmtree(tmp_path / "root")
    with (
        pytest.raises(HashPassError, match="root missing"),
        HashPass(os.fsencode(tmp_path / "root"), choose("hashlib"), 1) as hash_pass,
    ):
        list(hash_pass.run(iter(files)))


def test_workers_that_do_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that die before they are ready are not started for ever."""
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with (
        pytest.raises(HashPassError, match="do not start"),
        HashPass(os.fsencode(tmp_path), choose("hashlib"), 2) as hash_pass,
    ):
        list(hash_pass.run(iter(trees.list_files(tmp_path))))


SCRIPT = """
import os, sys
from scanner.collector.engines.choice import choose
from scanner.collector.run.hash_pass import HashPass
from scanner.collector.run.walk import walk
from scanner.format.excludes import Excludes
root = os.fsencode(sys.argv[1])
files = sorted(walk(root, Excludes([])), key=lambda each: -each.size)
with HashPass(root, choose(sys.argv[2]), 2) as hash_pass:
    for result in hash_pass.run(iter(files)):
        print(result.path.decode(), result.sha256.hex(), flush=True)
"""


def tree_of(pid: int) -> set[int]:
    """The processes below a process."""
    output = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
    pairs = [tuple(map(int, line.split())) for line in output.splitlines()]
    found = {pid}
    while True:
        more = {child for child, parent in pairs if parent in found} - found
        if not more:
            return found - {pid}
        found |= more


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left(choice: EngineChoice, huge: Path, number: int) -> None:
    """Interrupted, ended or killed, the program leaves no worker and no tool behind."""
    (huge / "second").touch()
    os.truncate(huge / "second", 1 << 39)
    (huge / "small").write_text("x")
    command = [sys.executable, "-c", SCRIPT, str(huge), choice.engine.name]
    wanted = 2 if choice.engine.name == "hashlib" else 6
    below: set[int] = set()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 60
            while len(below) < wanted and time.monotonic() < until:
                time.sleep(0.1)
                below = tree_of(process.pid)
            assert len(below) >= wanted
            process.send_signal(number)
            process.communicate(timeout=30)
            until = time.monotonic() + 10
            while any(running(pid) for pid in below) and time.monotonic() < until:
                time.sleep(0.1)
            assert [pid for pid in below if running(pid)] == []
        finally:
            kill_all({process.pid} | below)


def kill_all(pids: set[int]) -> None:
    """What a failed test leaves behind would read its huge files for hours."""
    for pid in pids:
        if running(pid):
            os.kill(pid, signal.SIGKILL)


def running(pid: int) -> bool:
    output = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True).stdout
    return bool(output.strip()) and not output.startswith("Z")


PYTHONS = {"this": sys.executable, "3.9": pythons.find("3.9")}


@pytest.mark.parametrize("version", list(PYTHONS))
def test_from_an_archive(tmp_path: Path, version: str) -> None:
    """The pass works from a zip archive, also on the oldest Python."""
    python = PYTHONS[version]
    if python is None:
        pytest.skip("Python 3.9 is not installed")
    archive = tmp_path / "collector.pyz"
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("__main__.py", SCRIPT)
        for path in [
            ROOT / "scanner/__init__.py",
            *(ROOT / "scanner/format").rglob("*.py"),
            *(ROOT / "scanner/collector").rglob("*.py"),
        ]:
            package.write(path, path.relative_to(ROOT))
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_text("content")
    for engine in ("hashlib", "auto"):
        done = subprocess.run(
            [python, archive.name, str(root), engine], check=True, capture_output=True, text=True, cwd=tmp_path
        )
        assert done.stdout.split() == ["file", "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"]


def test_a_fault_of_the_program_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that meets what is no fault of a file ends the pass, with its traceback."""
    (tmp_path / "file").write_text("x")
    give: Callable[..., None] = WorkerProcess.give

    def garble(worker: WorkerProcess, batch: object) -> None:
        monkeypatch.setattr("scanner.collector.engines.frames.pack_files", lambda _: [("not", "a", "file")])
        give(worker, batch)

    monkeypatch.setattr(WorkerProcess, "give", garble)
    with (
        pytest.raises(HashPassError, match="Traceback"),
        HashPass(os.fsencode(tmp_path), choose("hashlib"), 1) as hash_pass,
    ):
        list(hash_pass.run(iter(trees.list_files(tmp_path))))
