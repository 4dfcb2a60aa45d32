"""What changed without a trace is read again before anything is said of it."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import mmap
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scanner.collector.delivery import identity
from scanner.collector.delivery.spool import Spool
from scanner.collector.engines.choice import EngineChoice, choose
from scanner.collector.engines.profiles import Catalogue
from scanner.collector.entries import FailedFile, FileResult, HashedFile, VanishedFile, WalkedEntry
from scanner.collector.run.confirm import Rereads, Suspect, judge
from scanner.collector.run.ctime_trust import SETTLED_NS
from scanner.collector.run.progress import Progress
from scanner.collector.run.replica_run import FinishedRun, ReplicaRunner, ResourceLimits
from scanner.collector.run.statement import Job
from scanner.collector.run.summary import ReplicaSummary
from scanner.format.entry_type import EntryType
from tests import images
from tests.scanner.collector.misreading_engine import MisreadingEngine

UUID = "00000000-0000-4000-8000-000000000000"
OLD = 1_600_000_000 * 10**9


class Bench:
    """A root, and runs of it in this process, one after the other."""

    def __init__(self, folder: Path, root: Path | None = None, *, cross: bool = False) -> None:
        self.root = root or folder / "root"
        self.root.mkdir(exist_ok=True)
        self.marks = folder / "marks"
        self.marks.mkdir()
        state = folder / "state"
        own = identity.ensure_identity(state)
        key = identity.load_key(state, own.key)
        self.told: list[str] = []
        self.runner = ReplicaRunner(key, ResourceLimits(1, None), (), lambda _replica: None, self.told.append)
        self.job = Job(UUID, UUID, UUID, "g", bytes(self.root), "", "hashlib", cross, None, folder / "replica")
        Spool(self.job.folder).prepare()
        self.number = 0

    def misread(self, *engines: str) -> None:
        """Let these engines misread what is marked."""
        for name in engines:
            engine = MisreadingEngine(self.marks, "hashlib" if name == "first" else name)
            self.runner._choices["auto" if name == "first" else name] = EngineChoice(engine, name, "faulty")
        if "first" in engines:
            self.job = self.job._replace(engine="auto")

    def run(self) -> dict[str, Any]:
        """The records of the next run by (note and) path."""
        self.number += 1
        begun = self.number > 1
        made: FinishedRun = self.runner.run(self.job, f"{UUID[:-1]}{self.number}", None, begun, Progress())
        assert made.statement.outcome == "complete", made.statement.reason
        self.line = ReplicaSummary(self.job, made, delivered=True).line()
        _envelope, *lines = gzip.decompress(made.report.path.read_bytes()).splitlines()
        found = [json.loads(line) for line in lines]
        return {f"{one['note']}:{one['path']}" if "note" in one else one["path"]: one for one in found}

    def write(self, name: str, content: bytes, mtime_ns: int = OLD) -> Path:
        """A file with this content and time."""
        path = self.root / name
        path.write_bytes(content)
        os.utime(path, ns=(mtime_ns, mtime_ns))
        return path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A root with two files."""
    made = Bench(tmp_path)
    made.write("a", b"content of a")
    made.write("b", b"content of b")
    return made


@pytest.fixture
def image(tmp_path: Path) -> Iterator[images.Image]:
    """A file system that can be damaged."""
    if images.missing():
        pytest.skip(images.missing())
    with images.Image(tmp_path, 16) as mounted:
        yield mounted


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_written_with_the_time_kept(bench: Bench) -> None:
    """A content under the old mtime is confirmed by both engines, and the ctime tells that somebody wrote."""
    bench.run()
    bench.write("a", b"another one!")
    found = bench.run()
    note = found["confirmed:a"]
    assert note["against"] == UUID[:-1] + "1" and note["ctime_same"] is False and note["reads"] == 3
    assert note["engines"][0] == "hashlib" and found["a"]["sha256"] == sha(b"another one!")
    assert "1 changed (date unchanged)" in bench.line
    assert "confirmed:b" not in found and "confirmed:a" not in bench.run()
    assert "date unchanged" not in bench.line


def test_an_honest_edit_is_not_read_again(bench: Bench) -> None:
    """A later mtime needs no confirmation."""
    bench.run()
    bench.write("a", b"edited", time.time_ns())
    found = bench.run()
    assert not [name for name in found if ":" in name] and found["a"]["sha256"] == sha(b"edited")


@pytest.mark.parametrize("damage", ["flip", "zero", "cut"])
def test_damage_beneath_the_file_system(tmp_path: Path, image: images.Image, damage: str) -> None:
    """Bits that turn on the disk change no time: the ctime is the same, and the reads were cold."""
    root = image.point / "data"
    root.mkdir()
    bench = Bench(tmp_path, root)
    path = bench.write("a", os.urandom(20_000))
    bench.write("b", b"whole")
    image.age()  # younger stamps prove nothing
    bench.run()
    {"flip": image.flip, "zero": image.zero}.get(damage, lambda path: image.cut(path, 9000))(path)
    found = bench.run()
    note = found["confirmed:a"]
    assert (note["ctime_same"], note["cold"]) == (True, True), note
    assert found["a"]["sha256"] == sha(path.read_bytes()) and "confirmed:b" not in found


@pytest.mark.parametrize(("age_ns", "settled"), [(0, False), (SETTLED_NS, False), (SETTLED_NS + 1, True)])
def test_a_young_stamp_proves_nothing(tmp_path: Path, image: images.Image, age_ns: int, settled: bool) -> None:
    """What was read soon after its last stamp can have been written again without one: the ctime says nothing. How old
    the stamp is now does not matter."""
    root = image.point / "data"
    root.mkdir()
    bench = Bench(tmp_path, root)
    path = bench.write("a", os.urandom(20_000))
    image.age()
    bench.run()
    with contextlib.closing(sqlite3.connect(bench.job.folder / "state.db")) as state, state:
        state.execute("UPDATE seen SET read_ns = max(mtime_ns, ctime_ns) + ?", (age_ns,))
    image.flip(path)
    assert bench.run()["confirmed:a"]["ctime_same"] is settled


@pytest.mark.parametrize("where", ["root", "below the root"])
def test_a_map_where_no_write_is_stamped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """On tmpfs a program writes through a memory map and no time tells of it, however old the stamps are."""
    if images.missing():
        pytest.skip(images.missing())
    monkeypatch.setattr("scanner.collector.run.ctime_trust.SETTLED_NS", 0)
    point = tmp_path / "root" / ("" if where == "root" else "inner")
    point.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(point)], check=True)
    try:
        bench = Bench(tmp_path, tmp_path / "root", cross=where != "root")
        path = bench.write(str((point / "a").relative_to(bench.root)), b"content of a")
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            mapped[:3] = b"one"
            before = path.stat()
            time.sleep(0.05)
            bench.run()
            mapped[:3] = b"two"
        after = path.stat()
        assert (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)
        (note,) = [one for name, one in bench.run().items() if name.startswith("confirmed:")]
        assert note["ctime_same"] is False
    finally:
        subprocess.run(["umount", str(point)], check=True)


def test_misread_once(bench: Bench) -> None:
    """A first read that nobody confirms is noted, and the good digest is the entry's."""
    bench.run()
    bench.misread("first")
    (bench.marks / "a").write_text("1")
    found = bench.run()
    assert found["a"]["sha256"] == sha(b"content of a") and "confirmed:a" not in found
    assert found["misread:a"]["sha256"] != sha(b"content of a")
    assert set(bench.run()) == {"a", "b"}


def test_misread_of_new_content(bench: Bench) -> None:
    """A first read can be wrong and the content new all the same: both are noted."""
    bench.run()
    bench.write("a", b"another one!")
    bench.misread("first")
    (bench.marks / "a").write_text("1")
    found = bench.run()
    assert found["a"]["sha256"] == sha(b"another one!") and {"misread:a", "confirmed:a"} < set(found)


def test_reads_that_disagree(bench: Bench) -> None:
    """When no two further reads agree it is an error, and no change."""
    bench.run()
    bench.misread("first", "hashlib", "native")
    (bench.marks / "a").write_text("3")
    found = bench.run()
    assert (found["a"]["error"], found["a"]["stage"]) == ("EUNSTABLE", "read")
    assert "1 not read, 1 read differently each time" in bench.line
    assert bench.run()["a"]["sha256"] == sha(b"content of a")


def test_hard_links_are_told_at_each_name(bench: Bench) -> None:
    """Every name of a damaged inode has the note."""
    os.link(bench.root / "a", bench.root / "z")
    bench.run()
    bench.write("a", b"another one!")
    found = bench.run()
    assert {"confirmed:a", "confirmed:z"} < set(found)


def test_a_new_name_of_a_suspect(bench: Bench) -> None:
    """What is found out of an inode is the entry of all its names, also of one that has no past to be compared with."""
    bench.run()
    os.link(bench.root / "a", bench.root / "z")
    bench.misread("first")
    (bench.marks / "a").write_text("1")
    found = bench.run()
    assert {found[name]["sha256"] for name in "az"} == {sha(b"content of a")}
    assert "misread:a" in found and "misread:z" not in found


def test_first_name_gone_while_it_is_confirmed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """That one name of an inode goes says nothing of the others: they are read by the next one, which leads them."""
    for name in ("x", "y"):
        os.link(bench.root / "a", bench.root / name)
    bench.run()
    bench.write("a", b"another one!")
    before_native(bench, monkeypatch, (bench.root / "a").unlink)
    found = bench.run()
    assert "a" not in found and "vanished:a" in found and "confirmed:a" not in found
    assert "hardlink" not in found["x"] and found["y"]["hardlink"] == "x"
    assert {found[name]["sha256"] for name in "xy"} == {sha(b"another one!")}


def test_chunks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many suspects there are, each is told of once, and the names of an inode together."""
    monkeypatch.setattr("scanner.collector.run.previous_run.CHUNK", 3)
    names = [f"f{number}" for number in range(7)]
    for name in names:
        bench.write(name, name.encode())
    for number in range(4):
        os.link(bench.root / "f1", bench.root / f"g{number}")
    bench.run()
    for name in names:
        bench.write(name, name.upper().encode())
    told = {name for name in bench.run() if ":" in name}
    assert told == {f"confirmed:{name}" for name in [*names, "g0", "g1", "g2", "g3"]}


def test_without_native_tools(bench: Bench) -> None:
    """Where no native tool is to be had both reads are done in process, and the note says so."""
    bench.runner._choices["native"] = choose("native", Catalogue([], []))
    bench.run()
    bench.write("a", b"another one!")
    assert bench.run()["confirmed:a"]["engines"] == ["hashlib", "hashlib"]


FIRST, SECOND, OTHER = (bytes([number]) * 48 for number in (1, 2, 3))
FOUND = WalkedEntry(b"p", EntryType.FILE, 5, 10, 11, 0o100644, 0, 0, 1, 7)


def steady(digest: bytes, mtime_ns: int = 10, ctime_ns: int = 11, ino: int = 7) -> HashedFile:
    """A read that saw what the walk saw, when nothing else is said."""
    return HashedFile(b"p", digest[:32], digest[32:], 5, mtime_ns, ctime_ns, 0o100644, 0, 0, 1, ino)


EIO, BUSY, GONE = FailedFile(b"p", "EIO", "read"), FailedFile(b"p", "ECHANGED", "read"), VanishedFile(b"p")


@pytest.mark.parametrize(
    ("second", "third", "result", "notes"),
    [
        (steady(FIRST), steady(FIRST), None, {"confirmed"}),
        (steady(OTHER), steady(OTHER), steady(OTHER), {"misread"}),
        (steady(SECOND), steady(SECOND), steady(SECOND), {"misread", "confirmed"}),
        (steady(FIRST), steady(OTHER), FailedFile(b"p", "EUNSTABLE", "read"), set()),
        (steady(OTHER), steady(FIRST), FailedFile(b"p", "EUNSTABLE", "read"), set()),
        (steady(FIRST), EIO, EIO, set()),
        (EIO, steady(FIRST), EIO, set()),
        (steady(FIRST), GONE, GONE, set()),
        (GONE, steady(FIRST), steady(FIRST), set()),
        (BUSY, steady(SECOND), steady(SECOND), set()),
        (steady(SECOND), BUSY, steady(SECOND), set()),
        (BUSY, BUSY, BUSY, set()),
        (steady(FIRST), steady(FIRST, ctime_ns=12), steady(FIRST, ctime_ns=12), set()),
        (steady(OTHER, mtime_ns=12), steady(FIRST, mtime_ns=13), steady(FIRST, mtime_ns=13), set()),
        (steady(FIRST, ino=8), steady(FIRST, ino=8), steady(FIRST, ino=8), set()),
    ],
)
def test_verdicts(second: FileResult, third: FileResult, result: FileResult | None, notes: set[str]) -> None:
    """A claim is made only where two steady reads of the very file agree; else it is the last read, or an error."""
    confirmation = judge(Suspect(FOUND, FIRST, OTHER, ctime_same=True), Rereads(second, third, True, ["x", "y"], UUID))
    assert (confirmation.result, set(confirmation.notes)) == (result, notes)


def before_native(bench: Bench, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let `act` happen between the first read and the further ones."""
    choose_engine = bench.runner._choose

    def acting(wanted: str) -> EngineChoice:
        if wanted == "native":
            act()
        return choose_engine(wanted)

    monkeypatch.setattr(bench.runner, "_choose", acting)


def test_written_while_it_is_confirmed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that somebody writes meanwhile is what was read last, and no note claims anything."""
    bench.run()
    bench.write("a", b"another one!")
    before_native(bench, monkeypatch, lambda: bench.write("a", b"written later", time.time_ns()))
    found = bench.run()
    assert found["a"]["sha256"] == sha(b"written later") and not [name for name in found if ":" in name]


def test_gone_while_it_is_confirmed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that goes meanwhile has vanished."""
    bench.run()
    bench.write("a", b"another one!")
    before_native(bench, monkeypatch, (bench.root / "a").unlink)
    assert set(bench.run()) == {"b", "vanished:a"}


def test_clocks(bench: Bench) -> None:
    """A time that went back or lies ahead is noted once."""
    bench.run()
    ahead = time.time_ns() + 3600 * 10**9
    bench.write("a", b"content of a", OLD - 10**9)
    bench.write("b", b"content of b", ahead)
    found = bench.run()
    assert found["clock:a"] == {
        "note": "clock", "path": "a", "mtime": "back", "mtime_ns": OLD - 10**9, "was_ns": OLD
    }  # fmt: skip
    assert found["clock:b"]["mtime"] == "future" and set(bench.run()) == {"a", "b"}


def test_damaged_state(bench: Bench) -> None:
    """A file of the last run that cannot be read costs the look back, not the run."""
    for number in range(3000):
        bench.write(f"f{number:04d}", b"x" * number)
    bench.run()
    path = bench.job.folder / "state.db"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(24_576)
        file.write(b"\xff" * (size - 24_576))
    bench.write("a", b"another one!")
    found = bench.run()
    assert "confirmed:a" not in found and (bench.job.folder / "state.db.damaged").exists()


def test_missing_mount_below_the_root(tmp_path: Path) -> None:
    """A mount that was entered and is none now is an error that hides what was below, until it is there or released."""
    if images.missing():
        pytest.skip(images.missing())
    bench = Bench(tmp_path, cross=True)
    point = bench.root / "inner"
    point.mkdir()
    bench.write("a", b"a")
    subprocess.run(["mount", "-t", "tmpfs", "none", str(point)], check=True)
    try:
        (point / "f").write_text("x")
        assert set(bench.run()) == {"a", "inner/f"}
    finally:
        subprocess.run(["umount", str(point)], check=True)
    for _ in range(2):
        found = bench.run()
        assert set(found) == {"a", "inner"} and (found["inner"]["error"], found["inner"]["stage"]) == (
            "EUNMOUNTED",
            "list",
        )
    bench.job = bench.job._replace(accepted="local")
    assert set(bench.run()) == {"a"}
    bench.job = bench.job._replace(accepted=None)
    assert set(bench.run()) == {"a"}
