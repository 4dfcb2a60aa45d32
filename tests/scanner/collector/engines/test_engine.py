"""Both engines, in one process: they say the same of every tree."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scanner.collector.engines.base import Engine
from scanner.collector.engines.choice import choose_engine
from scanner.collector.entries import FailedFile, FileResult, HashedFile, VanishedFile
from tests.scanner.collector import trees
from tests.scanner.collector.engines.hashing import hash_files, walked_file
from tests.scanner.collector.trees import FreeMeter

Repeat = Callable[[Callable[[], object]], None]

PATH_LENGTHS = (1022, 1023, 1024, 1025, 4090, 4094, 4095, 4096, 4097, 9000)
"""Bytes of absolute paths, around the limits of the BSDs and Linux, and beyond."""
FILE_SIZES = [
    0,
    1,
    65535,
    65536,
    65537,
    (1 << 18) - 1,
    1 << 18,
    (1 << 18) + 1,
    (1 << 20) + 1,
    (8 << 20) + 1,
    70_000_001,
]
"""Sizes around the limits of the engines."""


@pytest.fixture(scope="module", params=["hashlib", "native"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine that this system has."""
    choice = choose_engine(request.param)
    if choice.engine.name != request.param:
        pytest.skip(f"no native tools here: {choice.reason}")
    return choice.engine


@pytest.fixture
def repeat() -> Iterator[Repeat]:
    """Do something again and again, on another thread, until the test ends."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start(work: Callable[[], object]) -> None:
        def loop() -> None:
            while not stop.wait(0.001):
                work()

        thread = threading.Thread(target=loop)
        threads.append(thread)
        thread.start()

    yield start
    stop.set()
    for thread in threads:
        thread.join()


def hash_after(engine: Engine, root: Path, name: str, change: Callable[[], object]) -> FileResult:
    """Return an engine's result for one file that changes between walk and read."""
    files = [file for file in trees.list_files(root) if file.path == name.encode()]
    change()
    return hash_files(engine, root, files)[name.encode()]


def make_file_at_length(root: Path, length: int) -> bytes:
    """Make a file whose absolute path has so many bytes. Return its path below the root.

    The directories are made one in the other, since the system does not take such a path in one piece.
    """
    room = length - len(os.fsencode(root)) - 1
    parts = [b"d" * 99] * (room // 100) + [b"f" * (room % 100 or 1)]
    directory = os.open(root, os.O_RDONLY)
    for part in parts[:-1]:
        if not os.path.exists(b"/proc/self/fd/%d/%s" % (directory, part)):
            os.mkdir(part, dir_fd=directory)
        child = os.open(part, os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = child
    with open(os.open(parts[-1], os.O_CREAT | os.O_WRONLY, dir_fd=directory), "wb") as file:
        file.write(b"%d" % length)
    os.close(directory)
    return b"/".join(parts)


def test_nasty_names(engine: Engine, tmp_path: Path) -> None:
    """Every file of a tree of nasty names has its own digests."""
    content = trees.make_nasty_tree(tmp_path)
    files = trees.list_files(tmp_path)
    expected = {file.path: trees.expected_result(file, content[file.path]) for file in files}
    assert hash_files(engine, tmp_path, files) == expected


def test_paths_near_the_limits(engine: Engine, tmp_path: Path) -> None:
    """Paths around 1,024 and 4,096 bytes, and beyond what the system takes in one piece, are read."""
    content = {make_file_at_length(tmp_path, length): b"%d" % length for length in PATH_LENGTHS}
    files = trees.list_files(tmp_path)
    expected = {file.path: trees.expected_result(file, content[file.path]) for file in files}
    assert hash_files(engine, tmp_path, files) == expected


def test_sizes_near_the_limits(engine: Engine, tmp_path: Path) -> None:
    """Files of all sizes have the right digests, with one thread, with two and under a rate limit."""
    content = {b"%d" % size: os.urandom(size) for size in FILE_SIZES}
    for name, data in content.items():
        (tmp_path / name.decode()).write_bytes(data)
    files = trees.list_files(tmp_path)
    expected = {file.path: trees.expected_result(file, content[file.path]) for file in files}
    assert hash_files(engine, tmp_path, files, FreeMeter(second_thread=True)) == expected

    meter = FreeMeter(rate_limited=True)
    assert hash_files(engine, tmp_path, files, meter) == expected
    assert sum(FILE_SIZES) <= meter.reserved <= sum(FILE_SIZES) + (1 << 20) * len(FILE_SIZES)


def test_vanished_files(engine: Engine, tmp_path: Path) -> None:
    """A file that is gone, or whose directory is, has vanished: first, in the middle and last of a batch."""
    for number in range(9):
        (tmp_path / f"dir{number}").mkdir()
        (tmp_path / f"dir{number}/file").write_text(f"{number}")
    files = trees.list_files(tmp_path)
    for number in (0, 4, 8):
        (tmp_path / f"dir{number}/file").unlink()
    (tmp_path / "dir8").rmdir()

    results = hash_files(engine, tmp_path, files)
    vanished = [path for path, result in results.items() if isinstance(result, VanishedFile)]
    assert vanished == [b"dir0/file", b"dir4/file", b"dir8/file"]
    assert sum(isinstance(result, HashedFile) for result in results.values()) == 6


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: path.mkdir(), id="directory"),
        pytest.param(os.mkfifo, id="fifo"),
        pytest.param(lambda path: path.symlink_to("/etc/passwd"), id="link"),
        pytest.param(lambda path: path.symlink_to(path), id="loop"),
    ],
)
def test_swapped_for_something_else(engine: Engine, tmp_path: Path, make: Callable[[Path], object]) -> None:
    """A path that is no regular file any more is neither read nor followed, and nothing hangs."""
    path = tmp_path / "file"
    path.write_text("good")

    def swap() -> None:
        path.unlink()
        make(path)

    assert hash_after(engine, tmp_path, "file", swap) == FailedFile(b"file", "ECHANGED", "open")


def test_directory_swapped_for_a_link(engine: Engine, tmp_path: Path) -> None:
    """A file is not reached through a link that has taken the place of a directory above it."""
    for name in ("root/dir", "outside"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text(name)
    files = trees.list_files(tmp_path / "root")
    (tmp_path / "root/dir").rename(tmp_path / "away")
    (tmp_path / "root/dir").symlink_to(tmp_path / "outside")
    assert hash_files(engine, tmp_path / "root", files) == {b"dir/file": VanishedFile(b"dir/file")}


def test_replaced_since_the_walk(engine: Engine, tmp_path: Path) -> None:
    """A file that was replaced before it was read has the digests and the inode of the new file."""
    path = tmp_path / "file"
    path.write_text("old")

    def replace() -> None:
        (tmp_path / "new").write_text("new")
        (tmp_path / "new").rename(path)

    result = hash_after(engine, tmp_path, "file", replace)
    assert isinstance(result, HashedFile)
    assert result.sha256 == hashlib.sha256(b"new").digest()
    assert result.ino == path.stat().st_ino


def test_rewritten_with_its_old_time(engine: Engine, tmp_path: Path) -> None:
    """A file that was rewritten and given its old modification time has its new change time."""
    path = tmp_path / "file"
    path.write_text("old")
    before = path.stat()

    def rewrite() -> None:
        time.sleep(0.02)
        path.write_text("new")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    result = hash_after(engine, tmp_path, "file", rewrite)
    assert isinstance(result, HashedFile)
    assert result.mtime_ns == before.st_mtime_ns
    assert result.ctime_ns > before.st_ctime_ns
    assert result.sha256 == hashlib.sha256(b"new").digest()


def test_always_growing(engine: Engine, tmp_path: Path, repeat: Repeat) -> None:
    """A file that grows whenever it is read has no digest, after three tries."""
    path = tmp_path / "log"
    path.write_bytes(bytes(40 << 20))
    files = trees.list_files(tmp_path)

    def append() -> None:
        with path.open("ab") as log:
            log.write(b"line\n")

    repeat(append)
    assert hash_files(engine, tmp_path, files) == {b"log": FailedFile(b"log", "ECHANGED", "read")}


def test_rewritten_in_place_while_read(engine: Engine, tmp_path: Path, repeat: Repeat) -> None:
    """A file of constant size that is written to while it is read has no digest, even if its time is put back."""
    path = tmp_path / "database"
    path.write_bytes(bytes(40 << 20))
    files = trees.list_files(tmp_path)
    before = path.stat()

    def rewrite() -> None:
        with path.open("r+b") as database:
            os.pwrite(database.fileno(), os.urandom(4096), 30 << 20)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    repeat(rewrite)
    assert hash_files(engine, tmp_path, files) == {b"database": FailedFile(b"database", "ECHANGED", "read")}


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux")
def test_read_error(engine: Engine) -> None:
    """A file that opens and cannot be read has the error's name, never the digest of nothing."""
    files = [walked_file(b"/proc/self/mem", b"mem")]
    assert hash_files(engine, Path("/proc/self"), files) == {b"mem": FailedFile(b"mem", "EIO", "read")}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_lying_size(engine: Engine) -> None:
    """A file that holds more than its size says is not read to its end, and has no digest."""
    files = [walked_file(b"/proc/self/status", b"status")]
    assert files[0].size == 0
    assert hash_files(engine, Path("/proc/self"), files) == {b"status": FailedFile(b"status", "ECHANGED", "read")}
