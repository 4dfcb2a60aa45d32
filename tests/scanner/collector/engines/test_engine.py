"""The engines within one process: both say the same of every tree, and why one of them was chosen."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scanner.collector.engines import choice
from scanner.collector.engines.base import Answer, Digests, Engine, Root
from scanner.collector.engines.choice import choose
from scanner.collector.engines.hashlib_engine import HashlibEngine
from scanner.collector.engines.native_engine import NativeEngine
from scanner.collector.engines.profiles import Candidate, Catalogue, catalogue, gnu_z
from scanner.collector.entries import FailedFile, FileResult, HashedFile, VanishedFile, WalkedEntry
from tests.fakes.install import install
from tests.scanner.collector import trees
from tests.scanner.collector.trees import FreeMeter

NONE = Catalogue([], [])


@pytest.fixture(scope="module", params=["hashlib", "native"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine that this system has."""
    chosen = choose(request.param)
    if chosen.engine.name != request.param:
        pytest.skip(f"no native tools here: {chosen.why}")
    return chosen.engine


def hashed(
    engine: Engine, root: Path, files: list[WalkedEntry], meter: FreeMeter | None = None
) -> dict[bytes, FileResult]:
    """What an engine says of files, each exactly once; digests alone stand for a file that is as it was."""
    descriptor = os.open(root, os.O_RDONLY)
    answers: dict[int, Answer] = {}
    try:
        for index, answer in engine.hash(Root(os.fsencode(root), descriptor), files, meter or FreeMeter()):
            assert index not in answers
            answers[index] = answer
    finally:
        os.close(descriptor)
    assert set(answers) == set(range(len(files)))
    return {files[index].path: whole(files[index], answer) for index, answer in answers.items()}


def whole(found: WalkedEntry, answer: Answer) -> FileResult:
    if not isinstance(answer, Digests):
        return answer
    fields = found.size, found.mtime_ns, found.ctime_ns, found.mode, found.uid, found.gid, found.dev, found.ino
    return HashedFile(found.path, answer.sha256, answer.md5, *fields)


def only(engine: Engine, root: Path, name: str, change: Callable[[], object]) -> FileResult:
    """What an engine says of one file that changes after the walk."""
    files = [each for each in trees.list_files(root) if each.path == name.encode()]
    change()
    return hashed(engine, root, files)[name.encode()]


def test_nasty_names(engine: Engine, tmp_path: Path) -> None:
    """Every file of a tree of nasty names has its own digests."""
    content = trees.make_nasty_tree(tmp_path)
    files = trees.list_files(tmp_path)
    assert hashed(engine, tmp_path, files) == {
        each.path: trees.expected_result(each, content[each.path]) for each in files
    }


def test_paths_near_the_limits(engine: Engine, tmp_path: Path) -> None:
    """Paths around 1,024 and 4,096 bytes, and beyond what the system takes in one piece, are read."""
    content = {}
    for length in (1022, 1023, 1024, 1025, 4090, 4094, 4095, 4096, 4097, 9000):
        room = length - len(os.fsencode(tmp_path)) - 1
        parts = [b"d" * 99] * (room // 100) + [b"f" * (room % 100 or 1)]
        folder = os.open(tmp_path, os.O_RDONLY)
        for part in parts[:-1]:
            if not os.path.exists(b"/proc/self/fd/%d/%s" % (folder, part)):
                os.mkdir(part, dir_fd=folder)
            below = os.open(part, os.O_RDONLY, dir_fd=folder)
            os.close(folder)
            folder = below
        with open(os.open(parts[-1], os.O_CREAT | os.O_WRONLY, dir_fd=folder), "wb") as file:
            file.write(b"%d" % length)
        os.close(folder)
        content[b"/".join(parts)] = b"%d" % length
    files = trees.list_files(tmp_path)
    assert hashed(engine, tmp_path, files) == {
        each.path: trees.expected_result(each, content[each.path]) for each in files
    }


def test_sizes_around_every_limit(engine: Engine, tmp_path: Path) -> None:
    """Files of all sizes around the engine's limits have the right digests, with one thread and with two."""
    sizes = [0, 1, 65535, 65536, 65537, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, (1 << 20) + 1, (8 << 20) + 1, 70_000_001]
    content = {b"%d" % size: os.urandom(size) for size in sizes}
    for name, data in content.items():
        (tmp_path / name.decode()).write_bytes(data)
    files = trees.list_files(tmp_path)
    wanted = {each.path: trees.expected_result(each, content[each.path]) for each in files}
    assert hashed(engine, tmp_path, files, FreeMeter(wide=True)) == wanted
    paced = FreeMeter(paced=True)
    assert hashed(engine, tmp_path, files, paced) == wanted
    assert sum(sizes) <= paced.reserved <= sum(sizes) + (1 << 20) * len(sizes)


def test_vanished(engine: Engine, tmp_path: Path) -> None:
    """A file that is gone, or whose directory is, is absent: first, in the middle and last of a batch."""
    for number in range(9):
        (tmp_path / f"dir{number}").mkdir()
        (tmp_path / f"dir{number}/file").write_text(f"{number}")
    files = trees.list_files(tmp_path)
    for number in (0, 4):
        (tmp_path / f"dir{number}/file").unlink()
    (tmp_path / "dir8/file").unlink()
    (tmp_path / "dir8").rmdir()
    found = hashed(engine, tmp_path, files)
    gone = [path for path, result in found.items() if isinstance(result, VanishedFile)]
    assert gone == [b"dir0/file", b"dir4/file", b"dir8/file"]
    assert sum(isinstance(result, HashedFile) for result in found.values()) == 6


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda path: path.mkdir(), "ECHANGED"),
        (os.mkfifo, "ECHANGED"),
        (lambda path: path.symlink_to("/etc/passwd"), "ECHANGED"),
        (lambda path: path.symlink_to(path), "ECHANGED"),
    ],
    ids=["directory", "fifo", "link", "loop"],
)
def test_swapped_for_something_else(engine: Engine, tmp_path: Path, make: Callable[[Path], object], error: str) -> None:
    """What is no regular file any more is neither read nor followed, and nothing hangs."""
    path = tmp_path / "file"
    path.write_text("good")

    def swap() -> None:
        path.unlink()
        make(path)

    assert only(engine, tmp_path, "file", swap) == FailedFile(b"file", error, "open")


def test_directory_swapped_for_a_link(engine: Engine, tmp_path: Path) -> None:
    """A file is not reached through a link that has taken the place of a directory above it."""
    for name in ("root/dir", "outside"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text(name)
    files = trees.list_files(tmp_path / "root")
    (tmp_path / "root/dir").rename(tmp_path / "away")
    (tmp_path / "root/dir").symlink_to(tmp_path / "outside")
    assert hashed(engine, tmp_path / "root", files) == {b"dir/file": VanishedFile(b"dir/file")}


def test_replaced_since_the_walk(engine: Engine, tmp_path: Path) -> None:
    """A file that was replaced before it was read is told as it was read, with its own inode."""
    path = tmp_path / "file"
    path.write_text("old")

    def replace() -> None:
        (tmp_path / "new").write_text("new")
        (tmp_path / "new").rename(path)

    result = only(engine, tmp_path, "file", replace)
    assert isinstance(result, HashedFile)
    assert (result.sha256, result.ino) == (hashlib.sha256(b"new").digest(), path.stat().st_ino)


def test_rewritten_with_its_old_time(engine: Engine, tmp_path: Path) -> None:
    """A file that was rewritten and given its old modification time is told with its new change time."""
    path = tmp_path / "file"
    path.write_text("old")
    before = path.stat()

    def rewrite() -> None:
        time.sleep(0.02)
        path.write_text("new")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    result = only(engine, tmp_path, "file", rewrite)
    assert isinstance(result, HashedFile)
    assert result.mtime_ns == before.st_mtime_ns
    assert result.ctime_ns > before.st_ctime_ns
    assert result.sha256 == hashlib.sha256(b"new").digest()


@pytest.fixture
def writer() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Does something again and again while the test runs."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start(work: Callable[[], object]) -> None:
        def loop() -> None:
            while not stop.wait(0.001):
                work()

        threads.append(threading.Thread(target=loop))
        threads[0].start()

    yield start
    stop.set()
    for thread in threads:
        thread.join()


def test_always_growing(engine: Engine, tmp_path: Path, writer: Callable[[Callable[[], object]], None]) -> None:
    """A file that grows whenever it is read has no digest, after three tries."""
    path = tmp_path / "log"
    path.write_bytes(bytes(40 << 20))
    files = trees.list_files(tmp_path)

    def write() -> None:
        with path.open("ab") as log:
            log.write(b"line\n")

    writer(write)
    assert hashed(engine, tmp_path, files) == {b"log": FailedFile(b"log", "ECHANGED", "read")}


def test_rewritten_in_place_while_read(
    engine: Engine, tmp_path: Path, writer: Callable[[Callable[[], object]], None]
) -> None:
    """A file of one size that is written to while it is read has no digest, even if its time is put back."""
    path = tmp_path / "database"
    path.write_bytes(bytes(40 << 20))
    files = trees.list_files(tmp_path)
    before = path.stat()

    def write() -> None:
        with path.open("r+b") as database:
            os.pwrite(database.fileno(), os.urandom(4096), 30 << 20)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    writer(write)
    assert hashed(engine, tmp_path, files) == {b"database": FailedFile(b"database", "ECHANGED", "read")}


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux")
def test_read_error(engine: Engine) -> None:
    """A file that opens and cannot be read has the error's name, never the digest of nothing."""
    files = [each for each in proc_files() if each.path == b"mem"]
    assert hashed(engine, Path("/proc/self"), files) == {b"mem": FailedFile(b"mem", "EIO", "read")}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_lying_size(engine: Engine) -> None:
    """A file that holds more than it says is not read to its end, and has no digest."""
    files = [each for each in proc_files() if each.path == b"status"]
    assert files[0].size == 0
    assert hashed(engine, Path("/proc/self"), files) == {b"status": FailedFile(b"status", "ECHANGED", "read")}


def proc_files() -> list[WalkedEntry]:
    fields = []
    for name in (b"mem", b"status"):
        seen = os.lstat(b"/proc/self/" + name)
        ids = seen.st_mode, seen.st_uid, seen.st_gid, seen.st_dev, seen.st_ino
        fields.append(WalkedEntry(name, 1, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, *ids))
    return fields


def test_wanted_words() -> None:
    """There are three words for an engine, and no fourth."""
    with pytest.raises(ValueError, match="'both'"):
        choose("both")
    assert choose("hashlib", NONE).why == "as configured"


def test_native_falls_back(tmp_path: Path) -> None:
    """Without a tool that passes its self-test hashlib does the work, and the statement says why."""
    wrong = install("faulty_sum", tmp_path, "wrong-sha256sum")
    tools = Catalogue([Candidate(str(tmp_path / "none"), gnu_z("sha256")), Candidate(wrong, gnu_z("sha256"))], [])
    for wanted in ("native", "auto"):
        statement = choose(wanted, tools).statement()
        assert statement["name"] == "hashlib"
        assert statement["wanted"] == wanted
        assert f"{wrong}: wrong answer for standard input" in str(statement["why"])
        assert f"{tmp_path}/none: No such file" in str(statement["why"])


def test_no_room_for_a_trial(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a folder for the trial hashlib does the work, and the statement says why."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    chosen = choose("auto")
    why = "no trial of native tools: No such file or directory; set TMPDIR"
    assert (chosen.engine.name, chosen.why) == ("hashlib", why)


@pytest.mark.parametrize(("faster", "name"), [(1.0, "hashlib"), (3.0, "native")])
def test_auto_takes_the_faster(monkeypatch: pytest.MonkeyPatch, faster: float, name: str) -> None:
    """`auto` times both engines and takes the faster one; the figures are part of the statement."""
    if choose("native").engine.name != "native":
        pytest.skip("no native tools here")
    rates = {HashlibEngine.name: 2.0 * (1 << 20), NativeEngine.name: faster * (1 << 20)}
    monkeypatch.setattr(choice._Trial, "rate", lambda _, engine: rates[engine.name])
    chosen = choose("auto")
    assert chosen.engine.name == name
    assert chosen.why == f"the faster in a trial: hashlib 2 MiB/s, native {faster:.0f} MiB/s"


def test_statement_is_plain() -> None:
    """The statement is text and integers, names a tool for each algorithm, and survives JSON."""
    for wanted in ("hashlib", "native", "auto"):
        statement = choose(wanted).statement()
        assert list(statement) == ["name", "wanted", "why", "tools"]
        assert json.loads(json.dumps(statement)) == statement
        tools = statement["tools"]
        assert isinstance(tools, list)
        assert [tool["algorithm"] for tool in tools] == ["sha256", "md5"]
        assert all(isinstance(value, (str, int)) for tool in tools for value in tool.values())


@pytest.mark.parametrize("platform", ["linux", "freebsd14", "openbsd7", "sunos5", "darwin", "other"])
def test_catalogues_are_absolute_and_complete(platform: str) -> None:
    """Each platform has tools for both algorithms, under absolute paths."""
    own, fast = catalogue(platform)
    assert {name for candidate in own for name in candidate.profile.algorithms} == {"sha256", "md5"}
    assert all(candidate.path.startswith("/") for candidate in own + fast)
