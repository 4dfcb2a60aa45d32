"""Test the hash pass: every file once, whatever happens to the workers, and no process left behind."""

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

from scanner.collector.engines.choice import EngineChoice, choose_engine
from scanner.collector.engines.worker_process import WorkerProcess
from scanner.collector.entries import FailedFile, FileResult, HashedFile, VanishedFile, WalkedEntry
from scanner.collector.run.hash_pass import DIED, HashPass, HashPassError
from tests.pythons import find_python
from tests.scanner.collector import trees
from tests.scanner.collector.installation import ROOT

MIB = 1 << 20
TIB = 1 << 40
SECONDS_TO_WAIT = 30


@pytest.fixture(scope="module", params=["hashlib", "native"])
def choice(request: pytest.FixtureRequest) -> EngineChoice:
    """Choose each engine that this system has."""
    engine_choice = choose_engine(request.param)
    if engine_choice.engine.name != request.param:
        pytest.skip(f"no native tools here: {engine_choice.reason}")
    return engine_choice


def make_sparse_file(path: Path, size: int) -> None:
    """Make a file of `size` zeros, which take no space and a long time to read."""
    path.touch()
    os.truncate(path, size)


@pytest.fixture
def huge_root(tmp_path: Path) -> Path:
    """Make a root with a file of a terabyte, which takes many minutes to read."""
    make_sparse_file(tmp_path / "huge", TIB)
    return tmp_path


def run(root: Path, choice: EngineChoice, files: list[WalkedEntry], workers: int = 2) -> dict[bytes, FileResult]:
    """Return the results of a hash pass by path, each exactly once. No worker is left."""
    with HashPass(os.fsencode(root), choice, workers) as hash_pass:
        results = list(hash_pass.run(iter(files)))
        assert hash_pass.bytes_done == sum(file.size for file in files)
        assert hash_pass._workers == []
    results_by_path = {result.path: result for result in results}
    assert len(results_by_path) == len(results)
    return results_by_path


def expected_results(root: Path, files: list[WalkedEntry]) -> dict[bytes, FileResult]:
    """Return the right result of each file by its path."""
    return {file.path: trees.expected_result(file, (root / os.fsdecode(file.path)).read_bytes()) for file in files}


@pytest.mark.parametrize("workers", [1, 3])
def test_every_file_once(choice: EngineChoice, tmp_path: Path, workers: int) -> None:
    """Every file of a nasty tree has one result, and it is right."""
    contents = trees.make_nasty_tree(tmp_path)
    files = trees.list_files(tmp_path)
    results = run(tmp_path, choice, files, workers)
    assert results == {file.path: trees.expected_result(file, contents[file.path]) for file in files}


def test_no_files(choice: EngineChoice, tmp_path: Path) -> None:
    """Without files there are no results, and no worker is started."""
    assert run(tmp_path, choice, []) == {}


def test_bad_files_are_data(choice: EngineChoice, tmp_path: Path) -> None:
    """Files that are gone or replaced have a result that says so, and the others are read."""
    for number in range(600):
        (tmp_path / f"{number:03}").write_text(str(number))
    files = trees.list_files(tmp_path)
    (tmp_path / "100").unlink()
    (tmp_path / "200").unlink()
    (tmp_path / "200").mkdir()

    results = run(tmp_path, choice, files)

    assert results[b"100"] == VanishedFile(b"100")
    assert results[b"200"] == FailedFile(b"200", "ECHANGED", "open")
    assert sum(isinstance(result, HashedFile) for result in results.values()) == 598


def test_files_are_taken_as_needed(tmp_path: Path) -> None:
    """Only the files in hand are taken: memory does not grow with their number."""
    (tmp_path / "file").write_text("x")
    (file,) = trees.list_files(tmp_path)
    taken_files = 0

    def count_files() -> Iterator[WalkedEntry]:
        nonlocal taken_files
        for _ in range(100_000):
            taken_files += 1
            yield file

    with HashPass(os.fsencode(tmp_path), choose_engine("hashlib"), 2) as hash_pass:
        results = hash_pass.run(count_files())
        for _ in range(1000):
            next(results)
        assert taken_files < 5000


@pytest.mark.parametrize("total_bytes", [None, 101 * MIB], ids=["left over", "larger than the rest"])
def test_a_large_file_gets_idle_cores(tmp_path: Path, total_bytes: int | None) -> None:
    """A file that gets a second thread, from its start or later, has the right digests."""
    (tmp_path / "large").write_bytes(os.urandom(100 * MIB))
    (tmp_path / "small").write_bytes(os.urandom(MIB))
    files = trees.list_files(tmp_path)
    with HashPass(os.fsencode(tmp_path), choose_engine("hashlib"), 2) as hash_pass:
        results = {result.path: result for result in hash_pass.run(iter(files), total_bytes)}
    assert results == expected_results(tmp_path, files)


def test_large_files_do_not_queue(tmp_path: Path) -> None:
    """A large file waits for an idle worker, and not behind another large one."""
    for name, size in {"a": TIB, "b": 9 * MIB, "c": 9 * MIB, "d": 1}.items():
        make_sparse_file(tmp_path / name, size)
    with HashPass(os.fsencode(tmp_path), choose_engine("hashlib"), 2) as hash_pass:
        results = hash_pass.run(iter(trees.list_files(tmp_path)))
        assert [next(results).path for _ in range(3)] == [b"b", b"c", b"d"]


def start_pass(hash_pass: HashPass, root: Path, results: list[FileResult]) -> threading.Thread:
    """Run a hash pass in a thread that appends to `results`."""
    files = trees.list_files(root)
    thread = threading.Thread(target=lambda: results.extend(hash_pass.run(iter(files))), daemon=True)
    thread.start()
    return thread


def strike(hash_pass: HashPass, number: int) -> None:
    """Send a signal to a worker that is reading a file, and wait until it is replaced or the pass has ended."""
    deadline = time.monotonic() + SECONDS_TO_WAIT
    reading_pids: list[int] = []
    while not reading_pids and time.monotonic() < deadline:
        time.sleep(0.02)
        reading_pids = [worker.pid for worker in list(hash_pass._workers) if worker.bytes_of_file]

    os.kill(reading_pids[0], number)
    while time.monotonic() < deadline and reading_pids[0] in [worker.pid for worker in hash_pass._workers]:
        time.sleep(0.02)


def test_progress_of_one_file(choice: EngineChoice, huge_root: Path) -> None:
    """The bytes of a file that is still being read are counted, as another thread can see."""
    with HashPass(os.fsencode(huge_root), choice, 1) as hash_pass:
        thread = start_pass(hash_pass, huge_root, [])
        deadline = time.monotonic() + SECONDS_TO_WAIT
        while hash_pass.bytes_done == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert 0 < hash_pass.bytes_done < TIB

        for _ in range(3):
            strike(hash_pass, signal.SIGKILL)
        thread.join(SECONDS_TO_WAIT)
        assert not thread.is_alive()


def test_killed_workers_lose_nothing(choice: EngineChoice, tmp_path: Path) -> None:
    """When workers are killed again and again, other workers read their files."""
    for number in range(3000):
        (tmp_path / f"{number:04}").write_bytes(b"%d" % number * 500)
    files = trees.list_files(tmp_path)

    results: dict[bytes, FileResult] = {}
    with HashPass(os.fsencode(tmp_path), choice, 2) as hash_pass:
        for count, result in enumerate(hash_pass.run(iter(files)), 1):
            results[result.path] = result
            if count in (1, 900, 1800):
                os.kill(hash_pass._workers[0].pid, signal.SIGKILL)
    assert results == expected_results(tmp_path, files)


def test_a_file_that_kills_has_failed(choice: EngineChoice, huge_root: Path) -> None:
    """A file over which three workers have died has failed, and the files beside it have not."""
    for number in range(20):
        (huge_root / f"small{number}").write_text("x")

    results: list[FileResult] = []
    with HashPass(os.fsencode(huge_root), choice, 1) as hash_pass:
        thread = start_pass(hash_pass, huge_root, results)
        for _ in range(3):
            strike(hash_pass, signal.SIGKILL)
        thread.join(60)

    assert FailedFile(b"huge", DIED, "read") in results
    assert sum(isinstance(result, HashedFile) for result in results) == 20


@pytest.mark.long
def test_a_hanging_worker_is_given_up(tmp_path: Path) -> None:
    """A worker without progress is replaced, and a file that hangs alone has timed out."""
    for name in ("a", "b"):
        make_sparse_file(tmp_path / name, TIB)
    (tmp_path / "small").write_text("x")

    # Long enough for a worker on a busy machine, which would otherwise be given up before it is struck.
    results: list[FileResult] = []
    with HashPass(os.fsencode(tmp_path), choose_engine("hashlib"), 1, no_progress=6.0) as hash_pass:
        thread = start_pass(hash_pass, tmp_path, results)
        for _ in range(2):
            strike(hash_pass, signal.SIGSTOP)
        thread.join(60)

    failed_files = [result for result in results if isinstance(result, FailedFile)]
    assert failed_files == [FailedFile(path, "ETIMEDOUT", "read") for path in (b"a", b"b")]
    assert len(results) == 3


def test_a_slow_consumer_is_no_hang(tmp_path: Path) -> None:
    """Time during which nobody takes results does not count against the workers."""
    for number in range(2000):
        (tmp_path / f"{number:04}").write_text("x")

    results: list[FileResult] = []
    with HashPass(os.fsencode(tmp_path), choose_engine("hashlib"), 2, no_progress=1.5) as hash_pass:
        for result in hash_pass.run(iter(trees.list_files(tmp_path))):
            if len(results) in (0, 700):
                time.sleep(2.5)
            results.append(result)
    assert all(isinstance(result, HashedFile) for result in results)


def test_rate_limit(choice: EngineChoice, tmp_path: Path) -> None:
    """With a rate limit the pass takes the time that its bytes need, over all workers."""
    for number in range(12):
        (tmp_path / f"{number}").write_bytes(bytes(MIB))
    start = time.monotonic()
    with HashPass(os.fsencode(tmp_path), choice, 2, max_rate=6 * MIB) as hash_pass:
        assert len(list(hash_pass.run(iter(trees.list_files(tmp_path))))) == 12
    seconds = time.monotonic() - start
    if choice.engine.name == "hashlib":  # the native batch of all 12 files is booked at once, and begins at once
        assert seconds > 1.5


def test_root_that_is_gone(tmp_path: Path) -> None:
    """When the root itself is gone, the pass ends with one error, not with one for each file."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_text("x")
    files = trees.list_files(root)
    shutil.rmtree(root)
    with (
        pytest.raises(HashPassError, match="root missing"),
        HashPass(os.fsencode(root), choose_engine("hashlib"), 1) as hash_pass,
    ):
        list(hash_pass.run(iter(files)))


def test_workers_that_do_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that die before they are ready are not started for ever."""
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with (
        pytest.raises(HashPassError, match="do not start"),
        HashPass(os.fsencode(tmp_path), choose_engine("hashlib"), 2) as hash_pass,
    ):
        list(hash_pass.run(iter(trees.list_files(tmp_path))))


SCRIPT = """
import os, sys
from scanner.collector.engines.choice import choose_engine
from scanner.collector.run.hash_pass import HashPass
from scanner.collector.run.walk import walk
from scanner.format.excludes import Excludes
root = os.fsencode(sys.argv[1])
files = sorted(walk(root, Excludes([])), key=lambda file: -file.size)
with HashPass(root, choose_engine(sys.argv[2]), 2) as hash_pass:
    for result in hash_pass.run(iter(files)):
        print(result.path.decode(), result.sha256.hex(), flush=True)
"""


def find_descendants(pid: int) -> set[int]:
    """Return the processes below a process."""
    process = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True)
    pairs = [tuple(map(int, line.split())) for line in process.stdout.splitlines()]
    family = {pid}
    while True:
        children = {child for child, parent in pairs if parent in family} - family
        if not children:
            return family - {pid}
        family |= children


def is_running(pid: int) -> bool:
    """Return whether a process exists and is no zombie."""
    process = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True)
    return bool(process.stdout.strip()) and not process.stdout.startswith("Z")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left(choice: EngineChoice, huge_root: Path, number: int) -> None:
    """Interrupted, ended or killed, the program leaves no worker and no tool behind."""
    make_sparse_file(huge_root / "second", TIB // 2)
    (huge_root / "small").write_text("x")
    command = [sys.executable, "-c", SCRIPT, str(huge_root), choice.engine.name]
    expected_count = 2 if choice.engine.name == "hashlib" else 6

    descendants: set[int] = set()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while len(descendants) < expected_count and time.monotonic() < deadline:
                time.sleep(0.1)
                descendants = find_descendants(process.pid)
            assert len(descendants) >= expected_count

            process.send_signal(number)
            process.communicate(timeout=30)
            deadline = time.monotonic() + 10
            while any(is_running(pid) for pid in descendants) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert [pid for pid in descendants if is_running(pid)] == []
        finally:
            # What a failed test leaves behind would read its huge files for hours.
            for pid in {process.pid} | descendants:
                if is_running(pid):
                    os.kill(pid, signal.SIGKILL)


PYTHONS = {"this": sys.executable, "3.9": find_python("3.9")}


@pytest.mark.parametrize("version", list(PYTHONS))
def test_from_an_archive(tmp_path: Path, version: str) -> None:
    """The pass works from a zip archive, also on the oldest Python."""
    python = PYTHONS[version]
    if python is None:
        pytest.skip("Python 3.9 is not installed")

    archive = tmp_path / "collector.pyz"
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("__main__.py", SCRIPT)
        package.write(ROOT / "scanner/__init__.py", "scanner/__init__.py")
        for directory in ("scanner/format", "scanner/collector"):
            for path in (ROOT / directory).rglob("*.py"):
                package.write(path, path.relative_to(ROOT))

    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_text("content")
    for engine in ("hashlib", "auto"):
        process = subprocess.run(
            [python, archive.name, str(root), engine],
            check=True,
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        sha256 = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
        assert process.stdout.split() == ["file", sha256]


def test_a_fault_of_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that meets a fault of the program, not of a file, ends the pass with its traceback."""
    (tmp_path / "file").write_text("x")
    queue_batch: Callable[..., None] = WorkerProcess.queue_batch

    def queue_garbage(worker: WorkerProcess, batch: object) -> None:
        monkeypatch.setattr("scanner.collector.engines.frames.pack_files", lambda _: [("not", "a", "file")])
        queue_batch(worker, batch)

    monkeypatch.setattr(WorkerProcess, "queue_batch", queue_garbage)
    with (
        pytest.raises(HashPassError, match="Traceback"),
        HashPass(os.fsencode(tmp_path), choose_engine("hashlib"), 1) as hash_pass,
    ):
        list(hash_pass.run(iter(trees.list_files(tmp_path))))
