"""Test the tables of a run: results of walk and hash pass become the records of the report and the next state."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from scanner.collector.entries import FailedFile, FileResult, HashedFile, VanishedFile, WalkedEntry
from scanner.collector.errors import StorageError
from scanner.collector.run import state, workspace
from scanner.collector.run.state import LastRun
from scanner.collector.run.workspace import Workspace
from scanner.collector.system.filesystem import FileSystem
from scanner.format import paths
from scanner.format.digests import RecordTotals, read_records
from scanner.format.entry_type import EntryType
from scanner.format.records import LINE_LIMIT, Entry, Note, Record, encode_record

SHA256 = b"s" * 32
MD5 = b"m" * 16
META = {
    "run": "r",
    "mounts": ["m"],
    "sequence": 7,
    "entries": 3,
    "file_system": {"type": "ext4", "id": "uuid:1", "mount_point": "/mnt/\\xff"},
}


def walked_file(path: bytes, size: int = 1, ino: int = 1, nlink: int = 1) -> WalkedEntry:
    """Return a file as the walk sees it."""
    return WalkedEntry(path, EntryType.FILE, size, 10, 20, 0o100644, 1, 2, 3, ino, nlink)


def hashed_file(file: WalkedEntry, **changes: Any) -> HashedFile:
    """Return the result of a read that saw what the walk saw, but for `changes`."""
    result = HashedFile(file.path, SHA256, MD5, *file[2:10])
    return result._replace(**changes)


def file_entry(path: str, size: int = 1, mtime_ns: int = 10) -> Entry:
    """Return the record of a file."""
    return Entry(path, EntryType.FILE, size, mtime_ns, 0o100644, 1, 2, SHA256, MD5)


def hash_all(tables: Workspace, results: Iterable[FileResult] = ()) -> list[bytes]:
    """Add a result for every file, those in `results` first, and return the paths in the order of the hash pass."""
    results_by_path = {result.path: result for result in results}
    hashed_paths = []

    def add_results(files: Iterable[WalkedEntry]) -> None:
        for file in files:
            hashed_paths.append(file.path)
            tables.add_result(results_by_path.get(file.path, hashed_file(file)))

    add_results(tables.files_to_hash())
    for files in tables.hard_link_rounds():
        add_results(files)
    return hashed_paths


def finish(tables: Workspace) -> list[Record]:
    """Return the records, after a check that a report may hold them in this order."""
    tables.merge_results()
    count = sum(tables.count_records())
    records = list(tables.records())
    assert list(read_records(map(encode_record, records), RecordTotals(count))) == records
    assert len(records) == count
    return records


def first_paths(tables: Workspace) -> dict[str, str | None]:
    """Return the first path of its inode for each file of the report, None for a first path itself."""
    records = finish(tables)
    return {
        record.path: record.detail for record in records if isinstance(record, Entry) and record.type == EntryType.FILE
    }


def test_records(tmp_path: Path) -> None:
    """Every type of entry becomes its record, sorted by the bytes of its coded path."""
    with Workspace(tmp_path) as tables:
        tables.add_entry(walked_file(b"z", size=5))
        tables.add_entry(WalkedEntry(b"\xff\n", EntryType.LINK, detail=b"../\xfe"))
        tables.add_entry(WalkedEntry(b"dir", EntryType.ERROR, detail=b"EACCES", stage="list"))
        tables.add_entry(WalkedEntry(b"pipe", EntryType.SPECIAL, detail=b"fifo"))
        tables.add_entry(walked_file(b"\xf0\x90\x80\x80", size=9))

        assert tables.plan_hash_pass() == (5, 2, 14)
        assert hash_all(tables) == [b"\xf0\x90\x80\x80", b"z"]
        assert finish(tables) == [
            Entry("\\xff\n", EntryType.LINK, detail="../\\xfe"),
            Entry("dir", EntryType.ERROR, detail="EACCES", stage="list"),
            Entry("pipe", EntryType.SPECIAL, detail="fifo"),
            file_entry("z", size=5),
            file_entry("\U00010000", size=9),
        ]


def test_results(tmp_path: Path) -> None:
    """A failed file is an error, a vanished one a note, and a changed one is as its read saw it."""
    files = [walked_file(path, ino=number) for number, path in enumerate((b"a", b"b", b"c", b"d"))]
    with Workspace(tmp_path) as tables:
        for file in files:
            tables.add_entry(file)
        tables.plan_hash_pass()

        changed_file = hashed_file(files[2], size=8, mtime_ns=11)
        hash_all(tables, [FailedFile(b"a", "EIO", "read"), VanishedFile(b"b"), changed_file])

        assert finish(tables) == [
            Entry("a", EntryType.ERROR, detail="EIO", stage="read"),
            file_entry("c", size=8, mtime_ns=11),
            file_entry("d"),
            Note("b", "vanished"),
        ]
        assert tables.skipped == 0
        assert tables.vanished == 1


def test_hard_links_are_read_once(tmp_path: Path) -> None:
    """One path of an inode is read, and the others name it. The same number on another device is another inode."""
    with Workspace(tmp_path) as tables:
        for path in (b"c", b"a", b"b"):
            tables.add_entry(walked_file(path, ino=5, nlink=4))
        tables.add_entry(walked_file(b"d", ino=5, nlink=4)._replace(dev=99))
        tables.plan_hash_pass()
        assert sorted(hash_all(tables)) == [b"a", b"d"]
        assert first_paths(tables) == {"a": None, "b": "a", "c": "a", "d": None}


@pytest.mark.parametrize(
    "result",
    [
        VanishedFile(b"a"),
        FailedFile(b"a", "EACCES", "open"),
        hashed_file(walked_file(b"a", ino=5, nlink=3), ino=77),
    ],
    ids=["vanished", "not opened", "another inode"],
)
def test_first_path_of_an_inode_is_gone(tmp_path: Path, result: FileResult) -> None:
    """When the first path of an inode is gone or another inode, the next path is read and becomes the first."""
    with Workspace(tmp_path) as tables:
        for path in (b"a", b"b", b"c"):
            tables.add_entry(walked_file(path, ino=5, nlink=3))
        tables.plan_hash_pass()
        assert hash_all(tables, [result]) == [b"a", b"b"]

        remaining_paths = first_paths(tables)
        remaining_paths.pop("a", None)
        assert remaining_paths == {"b": None, "c": "b"}


def test_read_error_is_that_of_the_inode(tmp_path: Path) -> None:
    """A read error belongs to all paths of an inode, and is not provoked once more for each."""
    with Workspace(tmp_path) as tables:
        for path in (b"a", b"b"):
            tables.add_entry(walked_file(path, ino=5, nlink=2))
        tables.plan_hash_pass()
        assert hash_all(tables, [FailedFile(b"a", "EIO", "read")]) == [b"a"]
        errors = [record.detail for record in finish(tables) if isinstance(record, Entry)]
        assert errors == ["EIO", "EIO"]


def test_many_first_paths_are_gone(tmp_path: Path) -> None:
    """When path after path of an inode vanishes, each is tried once, and the last one is read."""
    all_paths = [b"%03d" % number for number in range(30)]
    with Workspace(tmp_path) as tables:
        for path in all_paths:
            tables.add_entry(walked_file(path, ino=5, nlink=30))
        tables.plan_hash_pass()
        hashed_paths = hash_all(tables, [VanishedFile(path) for path in all_paths[:-1]])
        assert sorted(hashed_paths) == all_paths
        assert first_paths(tables) == {"029": None}
        assert tables.vanished == 29


def test_missing_result(tmp_path: Path) -> None:
    """A file without a result is a fault of the program, not a file without digests."""
    with Workspace(tmp_path) as tables:
        tables.add_entry(walked_file(b"a"))
        tables.plan_hash_pass()
        with pytest.raises(RuntimeError, match="no answer for 1"):
            tables.merge_results()


def test_too_long_for_a_line(tmp_path: Path) -> None:
    """Paths that do not fit in a line are counted in a note on the longest directory that does."""
    too_deep = b"/".join([b"\xff" * 250] * 40)
    long_path = b"/".join([b"n" * 250] * 120)
    with Workspace(tmp_path) as tables:
        for name in (b"x", b"y"):
            tables.add_entry(walked_file(too_deep + b"/" + name))
        tables.add_entry(walked_file(long_path, ino=1, nlink=2))
        tables.add_entry(walked_file(long_path + b"2", ino=1, nlink=2))
        tables.plan_hash_pass()
        hash_all(tables)

        first, second, note = finish(tables)
        assert isinstance(first, Entry)
        assert isinstance(second, Entry)
        assert second.detail == first.path
        assert isinstance(note, Note)
        assert note.note == "skipped"
        assert note.detail == '{"reason":"ENAMETOOLONG","count":2}'
        assert paths.decode(note.path) == b"/".join([b"\xff" * 250] * 25)
        assert tables.skipped == 2
        assert all(len(encode_record(record)) < LINE_LIMIT for record in (first, second, note))


def test_numbers_out_of_range(tmp_path: Path) -> None:
    """Times beyond 64 bits are clamped, and device and inode keep their bits."""
    file = walked_file(b"a")._replace(mtime_ns=2**70, ctime_ns=-(2**70), dev=2**64 - 1, ino=2**63)
    with Workspace(tmp_path) as tables:
        tables.add_entry(file)
        tables.plan_hash_pass()
        hash_all(tables)
        (entry,) = finish(tables)
        assert isinstance(entry, Entry)
        assert entry.mtime_ns == 2**63 - 1


def test_link_without_a_target(tmp_path: Path) -> None:
    """A link with an empty target, which no line can hold, is an error entry."""
    with Workspace(tmp_path) as tables:
        tables.add_entry(WalkedEntry(b"a", EntryType.LINK, detail=b""))
        tables.plan_hash_pass()
        assert finish(tables) == [Entry("a", EntryType.ERROR, detail="EINVAL", stage="stat")]


def test_commit_makes_the_state(tmp_path: Path) -> None:
    """A run that ended well becomes the state as a whole, and nothing else is left in the directory."""
    with Workspace(tmp_path) as tables:
        tables.add_entry(walked_file(b"a"))
        tables.plan_hash_pass()
        hash_all(tables)
        tables.merge_results()
        assert state.read_last_run(tmp_path) is None
        tables.commit(META)

    assert [path.name for path in tmp_path.iterdir()] == [state.FILE_NAME]
    assert state.read_last_run(tmp_path) == LastRun(
        sequence=7,
        entries=3,
        file_system=FileSystem("ext4", "uuid:1", b"/mnt/\xff"),
        run="r",
        mounts=frozenset([b"m"]),
    )
    with sqlite3.connect(tmp_path / state.FILE_NAME) as connection:
        row = connection.execute("SELECT path, size, ino, digest, read_ns > 0 FROM seen").fetchone()
    connection.close()
    assert row == ("a", 1, 1, SHA256 + MD5, 1)


def test_unfinished_run_leaves_the_state(tmp_path: Path) -> None:
    """The tables of an unfinished run are dropped, and those of a killed one are removed by the next."""
    with Workspace(tmp_path) as tables:
        tables.plan_hash_pass()
        tables.merge_results()
        tables.commit(META)
    with Workspace(tmp_path) as tables:
        tables.add_entry(walked_file(b"a"))
    assert [path.name for path in tmp_path.iterdir()] == [state.FILE_NAME]

    (tmp_path / "work.db").write_bytes(b"torn")
    (tmp_path / "next.db").write_bytes(b"torn")
    with Workspace(tmp_path) as tables:
        assert tables.plan_hash_pass() == (0, 0, 0)
    last_run = state.read_last_run(tmp_path)
    assert last_run is not None
    assert last_run.sequence == 7


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"x" * 4096, b"garbage" * 1000])
def test_damaged_state_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """A state that cannot be read is renamed: it is not used, and not lost."""
    (tmp_path / state.FILE_NAME).write_bytes(content)
    assert state.read_last_run(tmp_path) is None
    assert (tmp_path / f"{state.FILE_NAME}.damaged").read_bytes() == content
    assert not (tmp_path / state.FILE_NAME).exists()


def test_state_of_another_program(tmp_path: Path) -> None:
    """The database of another program is not taken for a state."""
    connection = sqlite3.connect(tmp_path / state.FILE_NAME)
    connection.executescript("CREATE TABLE meta (key, value); INSERT INTO meta VALUES ('sequence', '1')")
    connection.close()
    assert state.read_last_run(tmp_path) is None


def test_directory_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing disk is a StorageError that names the directory."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        Workspace(tmp_path / "file")

    with Workspace(tmp_path) as tables:
        monkeypatch.setattr(workspace, "BATCH", 1)
        tables._database.execute("DROP TABLE work.walked")
        with pytest.raises(StorageError, match="no such table"):
            tables.add_entry(walked_file(b"a"))
