"""Test that content which changed without a trace is read again before the report says so."""

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
from scanner.collector.engines.choice import EngineChoice, choose_engine
from scanner.collector.engines.profiles import ToolCatalogue
from scanner.collector.entries import FailedFile, FileResult, HashedFile, VanishedFile, WalkedEntry
from scanner.collector.run.confirm import Rereads, Suspect, judge
from scanner.collector.run.ctime_trust import SETTLED_NS
from scanner.collector.run.limits import ResourceLimits
from scanner.collector.run.progress import Progress
from scanner.collector.run.replica_run import ReplicaRunner
from scanner.collector.run.statement import Job
from scanner.collector.run.summary import ReplicaSummary
from scanner.format.entry_type import EntryType
from tests.disk_image import DiskImage, why_no_image
from tests.scanner.collector.misreading_engine import MisreadingEngine

UUID = "00000000-0000-4000-8000-000000000000"
OLD_NS = 1_600_000_000 * 10**9
FIRST_CONTENT = b"content of a"
SECOND_CONTENT = b"another one!"


class RunSeries:
    """Runs of one root in this process, one after the other."""

    def __init__(self, directory: Path, root: Path | None = None, *, cross_mounts: bool = False) -> None:
        self.root = root or directory / "root"
        self.root.mkdir(exist_ok=True)
        self.marks = directory / "marks"
        """Directory of the marks by which an engine knows what to misread."""
        self.marks.mkdir()
        self.messages: list[str] = []
        self.last_line = ""
        """Line of the last run for a person."""
        self._run_count = 0

        state = directory / "state"
        own_identity = identity.ensure_identity(state)
        self.runner = ReplicaRunner(
            identity.load_key(state, own_identity.key),
            ResourceLimits(workers=1, max_rate=None),
            (),
            lambda _replica: None,
            self.messages.append,
        )
        self.job = Job(
            server=UUID,
            replica=UUID,
            group=UUID,
            group_name="g",
            root=bytes(self.root),
            excludes="",
            engine="hashlib",
            cross_mounts=cross_mounts,
            accepted=None,
            directory=directory / "replica",
        )
        Spool(self.job.directory).prepare()

    def misread(self, *engines: str) -> None:
        """Let these engines misread marked files. `first` is the engine of the first read."""
        for name in engines:
            engine_name = "hashlib" if name == "first" else name
            choice_name = "auto" if name == "first" else name
            engine = MisreadingEngine(self.marks, engine_name)
            self.runner._choices[choice_name] = EngineChoice(engine, name, "faulty")
        if "first" in engines:
            self.job = self.job._replace(engine="auto")

    def mark(self, name: str, times: int) -> None:
        """Let a file be misread so many times."""
        (self.marks / name).write_text(str(times))

    def run(self) -> dict[str, Any]:
        """Do the next run and return its records: entries by path, notes by `note:path`."""
        self._run_count += 1
        run_uuid = f"{UUID[:-1]}{self._run_count}"
        ever_queued = self._run_count > 1
        finished_run = self.runner.run(self.job, run_uuid, None, ever_queued, Progress())
        assert finished_run.statement.outcome == "complete", finished_run.statement.reason
        self.last_line = ReplicaSummary(self.job, finished_run, delivered=True).line()

        _envelope, *lines = gzip.decompress(finished_run.report.path.read_bytes()).splitlines()
        records = {}
        for line in lines:
            record = json.loads(line)
            key = f"{record['note']}:{record['path']}" if "note" in record else record["path"]
            records[key] = record
        return records

    def write(self, name: str, content: bytes, mtime_ns: int = OLD_NS) -> Path:
        """Write a file with this content and modification time."""
        path = self.root / name
        path.write_bytes(content)
        os.utime(path, ns=(mtime_ns, mtime_ns))
        return path


def notes(records: dict[str, Any]) -> set[str]:
    """Return the keys of the notes."""
    return {key for key in records if ":" in key}


@pytest.fixture
def series(tmp_path: Path) -> RunSeries:
    """Prepare runs of a root with two files."""
    new_series = RunSeries(tmp_path)
    new_series.write("a", FIRST_CONTENT)
    new_series.write("b", b"content of b")
    return new_series


@pytest.fixture
def image(tmp_path: Path) -> Iterator[DiskImage]:
    """Mount a file system that can be damaged."""
    if why_no_image():
        pytest.skip(why_no_image())
    with DiskImage(tmp_path, 16) as mounted_image:
        yield mounted_image


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_written_with_the_old_time(series: RunSeries) -> None:
    """New content under the old time is confirmed by both engines, and the ctime shows that somebody wrote."""
    series.run()
    series.write("a", SECOND_CONTENT)
    records = series.run()

    note = records["confirmed:a"]
    assert note["against"] == UUID[:-1] + "1"
    assert note["ctime_same"] is False
    assert note["reads"] == 3
    assert note["engines"][0] == "hashlib"
    assert records["a"]["sha256"] == sha256(SECOND_CONTENT)
    assert "1 changed (date unchanged)" in series.last_line
    assert "confirmed:b" not in records

    assert "confirmed:a" not in series.run()
    assert "date unchanged" not in series.last_line


def test_an_honest_edit_is_not_read_again(series: RunSeries) -> None:
    """New content under a later time needs no confirmation."""
    series.run()
    series.write("a", b"edited", time.time_ns())
    records = series.run()
    assert notes(records) == set()
    assert records["a"]["sha256"] == sha256(b"edited")


@pytest.mark.parametrize("damage", ["flip", "zero", "cut"])
def test_damage_below_the_file_system(tmp_path: Path, image: DiskImage, damage: str) -> None:
    """Damage on the disk changes no time: the ctime is the same, and the reads bypassed the cache."""
    root = image.mount_point / "data"
    root.mkdir()
    series = RunSeries(tmp_path, root)
    path = series.write("a", os.urandom(20_000))
    series.write("b", b"whole")
    image.age_files()  # younger stamps prove nothing
    series.run()

    if damage == "flip":
        image.flip_bit(path)
    elif damage == "zero":
        image.zero_block(path)
    else:
        image.shorten(path, 9000)
    records = series.run()

    note = records["confirmed:a"]
    assert note["ctime_same"] is True, note
    assert note["cold"] is True, note
    assert records["a"]["sha256"] == sha256(path.read_bytes())
    assert "confirmed:b" not in records


def test_damage_under_another_name(tmp_path: Path, image: DiskImage) -> None:
    """A file whose directory was renamed is known again by its inode: its ctime has not moved, and the bytes have.

    So it is where directories change places, as those of rotated snapshots do. A file that was renamed itself has
    another ctime, which proves nothing. A file that is whole under its new name has no note, and neither has one of
    whose names two changed: nobody can say which became which.
    """
    root = image.mount_point / "data"
    series = RunSeries(tmp_path, root)
    for name in ("old/a", "old/whole", "old/linked", "one/a", "two/a", "renamed", "edited"):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(os.urandom(5000))
        os.utime(path, ns=(OLD_NS + 1, OLD_NS + 1))
    os.link(root / "old/linked", root / "old/other name")
    image.age_files()
    series.run()

    (root / "old").rename(root / "new")
    (root / "one").rename(root / "spare")
    (root / "two").rename(root / "one")
    (root / "spare").rename(root / "two")
    (root / "renamed").rename(root / "again")
    (root / "edited").rename(root / "newer")
    for name in ("new/a", "new/linked", "two/a", "again"):
        image.flip_bit(root / name)
    (root / "newer").write_bytes(b"an honest edit")
    records = series.run()

    renamed = {
        key: (record["was_path"], record["ctime_same"])
        for key, record in records.items()
        if key.startswith("confirmed:") and "was_path" in record
    }
    assert renamed == {
        "confirmed:new/a": ("old/a", True),
        "confirmed:two/a": ("one/a", True),
        "confirmed:again": ("renamed", False),
    }
    assert not any(key.startswith("confirmed:") and "was_path" in record for key, record in series.run().items())


def test_a_time_in_whole_seconds_may_be_that_of_many_files(series: RunSeries) -> None:
    """A new file with the inode, size and time of a removed one is that one only if the time has a fraction."""
    for mtime_ns, is_same in ((OLD_NS, False), (OLD_NS + 5, True)):
        series.write("before", b"1234", mtime_ns)
        series.run()
        (series.root / "before").rename(series.root / "after")
        series.write("after", b"5678", mtime_ns)
        records = series.run()
        assert ("confirmed:after" in records) is is_same
        (series.root / "after").unlink()


@pytest.mark.parametrize(("age_ns", "settled"), [(0, False), (SETTLED_NS, False), (SETTLED_NS + 1, True)])
def test_a_young_stamp_proves_nothing(tmp_path: Path, image: DiskImage, age_ns: int, settled: bool) -> None:
    """A file that was read soon after its last stamp may have been written again without one.

    How old the stamp is now does not matter.
    """
    root = image.mount_point / "data"
    root.mkdir()
    series = RunSeries(tmp_path, root)
    path = series.write("a", os.urandom(20_000))
    image.age_files()
    series.run()
    with contextlib.closing(sqlite3.connect(series.job.directory / "state.db")) as state, state:
        state.execute("UPDATE seen SET read_ns = max(mtime_ns, ctime_ns) + ?", (age_ns,))

    image.flip_bit(path)
    assert series.run()["confirmed:a"]["ctime_same"] is settled


@pytest.mark.parametrize("place", ["root", "below the root"])
def test_a_map_where_no_write_is_stamped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """On tmpfs a write through a memory map changes no time, however old the stamps are, so they prove nothing."""
    if why_no_image():
        pytest.skip(why_no_image())
    monkeypatch.setattr("scanner.collector.run.ctime_trust.SETTLED_NS", 0)
    mount_point = tmp_path / "root"
    if place == "below the root":
        mount_point = tmp_path / "root" / "inner"
    mount_point.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(mount_point)], check=True)
    try:
        series = RunSeries(tmp_path, tmp_path / "root", cross_mounts=place == "below the root")
        path = series.write(str((mount_point / "a").relative_to(series.root)), FIRST_CONTENT)
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            mapped[:3] = b"one"
            before = path.stat()
            time.sleep(0.05)
            series.run()
            mapped[:3] = b"two"
        after = path.stat()
        assert before.st_mtime_ns == after.st_mtime_ns
        assert before.st_ctime_ns == after.st_ctime_ns

        records = series.run()
        (note,) = [records[key] for key in notes(records) if key.startswith("confirmed:")]
        assert note["ctime_same"] is False
    finally:
        subprocess.run(["umount", str(mount_point)], check=True)


def test_misread_once(series: RunSeries) -> None:
    """A first read that no further read confirms is noted, and the entry has the right digest."""
    series.run()
    series.misread("first")
    series.mark("a", 1)
    records = series.run()
    assert records["a"]["sha256"] == sha256(FIRST_CONTENT)
    assert "confirmed:a" not in records
    assert records["misread:a"]["sha256"] != sha256(FIRST_CONTENT)

    assert set(series.run()) == {"a", "b"}


def test_misread_of_new_content(series: RunSeries) -> None:
    """When the first read was wrong and the content is new all the same, both are noted."""
    series.run()
    series.write("a", SECOND_CONTENT)
    series.misread("first")
    series.mark("a", 1)
    records = series.run()
    assert records["a"]["sha256"] == sha256(SECOND_CONTENT)
    assert {"misread:a", "confirmed:a"} < set(records)


def test_reads_that_disagree(series: RunSeries) -> None:
    """When no two further reads agree, the file is an error, and not a change."""
    series.run()
    series.misread("first", "hashlib", "native")
    series.mark("a", 3)
    records = series.run()
    assert records["a"]["error"] == "EUNSTABLE"
    assert records["a"]["stage"] == "read"
    assert "1 not read, 1 read differently each time" in series.last_line

    assert series.run()["a"]["sha256"] == sha256(FIRST_CONTENT)


def test_every_name_of_an_inode_has_the_note(series: RunSeries) -> None:
    """Each path of a damaged inode has the note."""
    os.link(series.root / "a", series.root / "z")
    series.run()
    series.write("a", SECOND_CONTENT)
    assert {"confirmed:a", "confirmed:z"} < set(series.run())


def test_a_new_name_of_a_suspect(series: RunSeries) -> None:
    """A new path of a suspect inode gets the right digest, too, but no note: it has no past to compare with."""
    series.run()
    os.link(series.root / "a", series.root / "z")
    series.misread("first")
    series.mark("a", 1)
    records = series.run()
    assert records["a"]["sha256"] == sha256(FIRST_CONTENT)
    assert records["z"]["sha256"] == sha256(FIRST_CONTENT)
    assert "misread:a" in records
    assert "misread:z" not in records


def before_further_reads(series: RunSeries, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let `act` happen between the first read and the further ones."""
    real_choose = series.runner._choose

    def act_and_choose(engine: str) -> EngineChoice:
        if engine == "native":
            act()
        return real_choose(engine)

    monkeypatch.setattr(series.runner, "_choose", act_and_choose)


def test_first_name_disappears_meanwhile(series: RunSeries, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the first path of an inode disappears, the next one is read for the others and becomes the first."""
    for name in ("x", "y"):
        os.link(series.root / "a", series.root / name)
    series.run()
    series.write("a", SECOND_CONTENT)
    before_further_reads(series, monkeypatch, (series.root / "a").unlink)
    records = series.run()

    assert "a" not in records
    assert "vanished:a" in records
    assert "confirmed:a" not in records
    assert "hardlink" not in records["x"]
    assert records["y"]["hardlink"] == "x"
    assert records["x"]["sha256"] == sha256(SECOND_CONTENT)
    assert records["y"]["sha256"] == sha256(SECOND_CONTENT)


def test_chunks(series: RunSeries, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of many suspects has its note once, and the paths of an inode are read together."""
    monkeypatch.setattr("scanner.collector.run.previous_run.CHUNK", 3)
    names = [f"f{number}" for number in range(7)]
    links = [f"g{number}" for number in range(4)]
    for name in names:
        series.write(name, name.encode())
    for link in links:
        os.link(series.root / "f1", series.root / link)
    series.run()
    for name in names:
        series.write(name, name.upper().encode())
    assert notes(series.run()) == {f"confirmed:{name}" for name in names + links}


def test_without_native_tools(series: RunSeries) -> None:
    """Without a native tool both reads are done in process, and the note says so."""
    series.runner._choices["native"] = choose_engine("native", ToolCatalogue([], []))
    series.run()
    series.write("a", SECOND_CONTENT)
    assert series.run()["confirmed:a"]["engines"] == ["hashlib", "hashlib"]


FIRST = bytes([1]) * 48
SECOND = bytes([2]) * 48
OTHER = bytes([3]) * 48
ENTRY = WalkedEntry(b"p", EntryType.FILE, 5, 10, 11, 0o100644, 0, 0, 1, 7)

EIO = FailedFile(b"p", "EIO", "read")
BUSY = FailedFile(b"p", "ECHANGED", "read")
UNSTABLE = FailedFile(b"p", "EUNSTABLE", "read")
GONE = VanishedFile(b"p")


def steady(digest: bytes, mtime_ns: int = 10, ctime_ns: int = 11, ino: int = 7) -> HashedFile:
    """Return a read that saw the status of the walk, but for the arguments."""
    return HashedFile(b"p", digest[:32], digest[32:], 5, mtime_ns, ctime_ns, 0o100644, 0, 0, 1, ino)


@pytest.mark.parametrize(
    ("second", "third", "result", "expected_notes"),
    [
        (steady(FIRST), steady(FIRST), None, {"confirmed"}),
        (steady(OTHER), steady(OTHER), steady(OTHER), {"misread"}),
        (steady(SECOND), steady(SECOND), steady(SECOND), {"misread", "confirmed"}),
        (steady(FIRST), steady(OTHER), UNSTABLE, set()),
        (steady(OTHER), steady(FIRST), UNSTABLE, set()),
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
def test_judge(second: FileResult, third: FileResult, result: FileResult | None, expected_notes: set[str]) -> None:
    """A note is made only when two reads of the unchanged file agree. Otherwise the last read counts, or an error."""
    suspect = Suspect(ENTRY, FIRST, OTHER, ctime_same=True)
    confirmation = judge(suspect, Rereads(second, third, True, ["x", "y"], UUID))
    assert confirmation.result == result
    assert set(confirmation.notes) == expected_notes


def test_written_meanwhile(series: RunSeries, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is written between the reads is as it was read last, without a note."""
    series.run()
    series.write("a", SECOND_CONTENT)
    before_further_reads(series, monkeypatch, lambda: series.write("a", b"written later", time.time_ns()))
    records = series.run()
    assert records["a"]["sha256"] == sha256(b"written later")
    assert notes(records) == set()


def test_gone_meanwhile(series: RunSeries, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that disappears between the reads has vanished."""
    series.run()
    series.write("a", SECOND_CONTENT)
    before_further_reads(series, monkeypatch, (series.root / "a").unlink)
    assert set(series.run()) == {"b", "vanished:a"}


def test_odd_modification_times(series: RunSeries) -> None:
    """A modification time that went back or lies in the future is noted once."""
    series.run()
    in_an_hour = time.time_ns() + 3600 * 10**9
    series.write("a", FIRST_CONTENT, OLD_NS - 10**9)
    series.write("b", b"content of b", in_an_hour)
    records = series.run()
    assert records["clock:a"] == {
        "note": "clock",
        "path": "a",
        "mtime": "back",
        "mtime_ns": OLD_NS - 10**9,
        "was_ns": OLD_NS,
    }
    assert records["clock:b"]["mtime"] == "future"

    assert set(series.run()) == {"a", "b"}


def test_damaged_state(series: RunSeries) -> None:
    """A damaged state of the last run costs the comparison, not the run."""
    for number in range(3000):
        series.write(f"f{number:04d}", b"x" * number)
    series.run()
    path = series.job.directory / "state.db"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(24_576)
        file.write(b"\xff" * (size - 24_576))

    series.write("a", SECOND_CONTENT)
    records = series.run()

    assert "confirmed:a" not in records
    assert (series.job.directory / "state.db.damaged").exists()


def test_missing_mount_below_the_root(tmp_path: Path) -> None:
    """A mount that was entered and is gone is an error in every run, until it is back or released."""
    if why_no_image():
        pytest.skip(why_no_image())
    series = RunSeries(tmp_path, cross_mounts=True)
    mount_point = series.root / "inner"
    mount_point.mkdir()
    series.write("a", b"a")
    subprocess.run(["mount", "-t", "tmpfs", "none", str(mount_point)], check=True)
    try:
        (mount_point / "f").write_text("x")
        assert set(series.run()) == {"a", "inner/f"}
    finally:
        subprocess.run(["umount", str(mount_point)], check=True)

    for _ in range(2):
        records = series.run()
        assert set(records) == {"a", "inner"}
        assert records["inner"]["error"] == "EUNMOUNTED"
        assert records["inner"]["stage"] == "list"

    series.job = series.job._replace(accepted="local")
    assert set(series.run()) == {"a"}
    series.job = series.job._replace(accepted=None)
    assert set(series.run()) == {"a"}


def test_restored_version_has_another_date(series: RunSeries) -> None:
    """An older version that is restored, with its own date, is read again, but is no change that kept the date."""
    series.run()
    os.utime(series.root / "a", ns=(10**18, 10**18))
    (series.root / "a").write_bytes(SECOND_CONTENT)
    series.run()
    (series.root / "a").write_bytes(FIRST_CONTENT)
    os.utime(series.root / "a", ns=(10**18, 10**18))

    assert "confirmed:a" in series.run()
    assert "date unchanged" not in series.last_line
