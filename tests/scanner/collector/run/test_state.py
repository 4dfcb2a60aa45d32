"""The state and the tables of a run on its way: what the walk and the hash pass said, sorted, in the report's
records."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from scanner.collector.entries import FailedFile, FileResult, HashedFile, VanishedFile, WalkedEntry
from scanner.collector.errors import StorageError
from scanner.collector.run import state, workspace
from scanner.collector.run.workspace import Workspace
from scanner.collector.system.filesystem import FileSystem
from scanner.format import paths
from scanner.format.digests import RecordTotals, read_records
from scanner.format.entry_type import EntryType
from scanner.format.records import LINE_LIMIT, Entry, Note, Record, encode_record

META = {
    "run": "r",
    "mounts": ["m"],
    "sequence": 7,
    "entries": 3,
    "file_system": {"type": "ext4", "id": "uuid:1", "mount_point": "/mnt/\\xff"},
}


def file(path: bytes, size: int = 1, ino: int = 1, nlink: int = 1) -> WalkedEntry:
    """A file as the walk sees it."""
    return WalkedEntry(path, EntryType.FILE, size, 10, 20, 0o100644, 1, 2, 3, ino, nlink)


def hashed(found: WalkedEntry, **other: Any) -> HashedFile:
    """Its digests."""
    size, *rest = found[2:10]
    made = HashedFile(found.path, b"s" * 32, b"m" * 16, size, *rest)
    return made._replace(**other)


def finish(tables: Workspace) -> list[Record]:
    """The records, which are what a report may hold, in its order."""
    tables.merge_results()
    count = sum(tables.count_records())
    records = list(tables.records())
    assert list(read_records(map(encode_record, records), RecordTotals(count))) == records
    assert len(records) == count
    return records


def hash_all(tables: Workspace, results: Iterable[FileResult] = ()) -> list[bytes]:
    """Answer for every file, with these results where there is one; the order in which they were asked for."""
    special = {result.path: result for result in results}
    asked = []
    for found in tables.files_to_hash():
        asked.append(found.path)
        tables.add_result(special.get(found.path, hashed(found)))
    for files in tables.hard_link_rounds():
        for found in files:
            asked.append(found.path)
            tables.add_result(special.get(found.path, hashed(found)))
    return asked


def test_records(tmp_path: Path) -> None:
    """Every type of entry comes out as its row, sorted by the bytes of its coded path."""
    with Workspace(tmp_path) as tables:
        tables.add_entry(file(b"z", size=5))
        tables.add_entry(WalkedEntry(b"\xff\n", EntryType.LINK, detail=b"../\xfe"))
        tables.add_entry(WalkedEntry(b"dir", EntryType.ERROR, detail=b"EACCES", stage="list"))
        tables.add_entry(WalkedEntry(b"pipe", EntryType.SPECIAL, detail=b"fifo"))
        tables.add_entry(file(b"\xf0\x90\x80\x80", size=9))
        assert tables.plan_hash_pass() == (5, 2, 14)
        assert hash_all(tables) == [b"\xf0\x90\x80\x80", b"z"]
        assert finish(tables) == [
            Entry("\\xff\n", EntryType.LINK, detail="../\\xfe"),
            Entry("dir", EntryType.ERROR, detail="EACCES", stage="list"),
            Entry("pipe", EntryType.SPECIAL, detail="fifo"),
            Entry("z", EntryType.FILE, 5, 10, 0o100644, 1, 2, b"s" * 32, b"m" * 16),
            Entry("\U00010000", EntryType.FILE, 9, 10, 0o100644, 1, 2, b"s" * 32, b"m" * 16),
        ]


def test_what_became_of_files(tmp_path: Path) -> None:
    """A file that failed is an error, one that vanished a note, one that the read saw otherwise is what the read
    saw."""
    found = [file(name, ino=number) for number, name in enumerate((b"a", b"b", b"c", b"d"))]
    with Workspace(tmp_path) as tables:
        for one in found:
            tables.add_entry(one)
        tables.plan_hash_pass()
        later = hashed(found[2], size=8, mtime_ns=11)
        hash_all(tables, [FailedFile(b"a", "EIO", "read"), VanishedFile(b"b"), later])
        assert finish(tables) == [
            Entry("a", EntryType.ERROR, detail="EIO", stage="read"),
            Entry("c", EntryType.FILE, 8, 11, 0o100644, 1, 2, b"s" * 32, b"m" * 16),
            Entry("d", EntryType.FILE, 1, 10, 0o100644, 1, 2, b"s" * 32, b"m" * 16),
            Note("b", "vanished"),
        ]
        assert (tables.skipped, tables.vanished) == (0, 1)


def links(tables: Workspace) -> dict[str, str | None]:
    """The first path of the inode, for each file of the report."""
    return {row.path: row.detail for row in finish(tables) if isinstance(row, Entry) and row.type == EntryType.FILE}


def test_hard_links_are_read_once(tmp_path: Path) -> None:
    """One path of an inode is read; the others name the first path of the tree. Other devices are other inodes."""
    with Workspace(tmp_path) as tables:
        for name in (b"c", b"a", b"b"):
            tables.add_entry(file(name, ino=5, nlink=4))
        tables.add_entry(file(b"d", ino=5, nlink=4)._replace(dev=99))
        tables.plan_hash_pass()
        assert sorted(hash_all(tables)) == [b"a", b"d"]
        assert links(tables) == {"a": None, "b": "a", "c": "a", "d": None}


@pytest.mark.parametrize(
    "result", [VanishedFile(b"a"), FailedFile(b"a", "EACCES", "open"), hashed(file(b"a", ino=5, nlink=3), ino=77)]
)
def test_first_path_of_an_inode_is_gone(tmp_path: Path, result: FileResult) -> None:
    """When the path that stood for an inode is gone or another one now, the next path is read and leads."""
    with Workspace(tmp_path) as tables:
        for name in (b"a", b"b", b"c"):
            tables.add_entry(file(name, ino=5, nlink=3))
        tables.plan_hash_pass()
        assert hash_all(tables, [result]) == [b"a", b"b"]
        assert {name: first for name, first in links(tables).items() if name != "a"} == {"b": None, "c": "b"}


def test_read_error_is_that_of_the_inode(tmp_path: Path) -> None:
    """A read error belongs to all names of an inode: it is not provoked once more for each."""
    with Workspace(tmp_path) as tables:
        for name in (b"a", b"b"):
            tables.add_entry(file(name, ino=5, nlink=2))
        tables.plan_hash_pass()
        assert hash_all(tables, [FailedFile(b"a", "EIO", "read")]) == [b"a"]
        assert [row.detail for row in finish(tables) if isinstance(row, Entry)] == ["EIO", "EIO"]


def test_many_first_paths_are_gone(tmp_path: Path) -> None:
    """However many names of an inode vanish one after the other, each is asked for once and the last one leads."""
    names = [b"%03d" % number for number in range(30)]
    with Workspace(tmp_path) as tables:
        for name in names:
            tables.add_entry(file(name, ino=5, nlink=30))
        tables.plan_hash_pass()
        asked = hash_all(tables, [VanishedFile(name) for name in names[:-1]])
        assert sorted(asked) == names
        assert links(tables) == {"029": None} and tables.vanished == 29


def test_answer_missing(tmp_path: Path) -> None:
    """A file for which nobody gave an answer is a fault of the program, not a file without digests."""
    with Workspace(tmp_path) as tables:
        tables.add_entry(file(b"a"))
        tables.plan_hash_pass()
        with pytest.raises(RuntimeError, match="no answer for 1"):
            tables.merge_results()


def test_too_long_for_a_line(tmp_path: Path) -> None:
    """What does not fit in a line is counted in a note on the longest directory that does; what fits is kept."""
    deep = b"/".join([b"\xff" * 250] * 40)
    with Workspace(tmp_path) as tables:
        for name in (b"x", b"y"):
            tables.add_entry(file(deep + b"/" + name))
        long = b"/".join([b"n" * 250] * 120)
        tables.add_entry(file(long, ino=1, nlink=2))
        tables.add_entry(file(long + b"2", ino=1, nlink=2))
        tables.plan_hash_pass()
        hash_all(tables)
        first, second, note = finish(tables)
        assert isinstance(first, Entry) and isinstance(second, Entry) and second.detail == first.path
        assert isinstance(note, Note) and note.note == "skipped" and tables.skipped == 2
        assert note.detail == '{"reason":"ENAMETOOLONG","count":2}'
        assert paths.decode(note.path) == b"/".join([b"\xff" * 250] * 25)
        assert all(len(encode_record(record)) < LINE_LIMIT for record in (first, second, note))


def test_numbers_out_of_range(tmp_path: Path) -> None:
    """Times beyond 64 bits are clamped; device and inode keep their bits."""
    odd = file(b"a")._replace(mtime_ns=2**70, ctime_ns=-(2**70), dev=2**64 - 1, ino=2**63)
    with Workspace(tmp_path) as tables:
        tables.add_entry(odd)
        tables.plan_hash_pass()
        hash_all(tables)
        (row,) = finish(tables)
        assert isinstance(row, Entry) and row.mtime_ns == 2**63 - 1


def test_link_without_a_target(tmp_path: Path) -> None:
    """An empty target, which no line can hold, is an error entry."""
    with Workspace(tmp_path) as tables:
        tables.add_entry(WalkedEntry(b"a", EntryType.LINK, detail=b""))
        tables.plan_hash_pass()
        assert finish(tables) == [Entry("a", EntryType.ERROR, detail="EINVAL", stage="stat")]


def test_commit_makes_the_state(tmp_path: Path) -> None:
    """Only a run that ended well becomes the state, whole, and nothing else is left in the folder."""
    with Workspace(tmp_path) as tables:
        tables.add_entry(file(b"a"))
        tables.plan_hash_pass()
        hash_all(tables)
        tables.merge_results()
        assert state.read_last_run(tmp_path) is None
        tables.commit(META)
    assert [path.name for path in tmp_path.iterdir()] == [state.FILE_NAME]
    assert state.read_last_run(tmp_path) == state.LastRun(
        7, 3, FileSystem("ext4", "uuid:1", b"/mnt/\xff"), "r", frozenset([b"m"])
    )
    with sqlite3.connect(tmp_path / state.FILE_NAME) as connection:
        row = connection.execute("SELECT path, size, ino, digest, read_ns > 0 FROM seen").fetchone()
    connection.close()
    assert row == ("a", 1, 1, b"s" * 32 + b"m" * 16, 1)


def test_run_that_ends_early_leaves_the_state(tmp_path: Path) -> None:
    """What a run that did not end had gathered is dropped; what a killed one left is removed by the next."""
    with Workspace(tmp_path) as tables:
        tables.plan_hash_pass()
        tables.merge_results()
        tables.commit(META)
    with Workspace(tmp_path) as tables:
        tables.add_entry(file(b"a"))
    assert [path.name for path in tmp_path.iterdir()] == [state.FILE_NAME]
    (tmp_path / "work.db").write_bytes(b"torn")
    (tmp_path / "next.db").write_bytes(b"torn")
    with Workspace(tmp_path) as tables:
        assert tables.plan_hash_pass() == (0, 0, 0)
    last = state.read_last_run(tmp_path)
    assert last is not None and last.sequence == 7


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"x" * 4096, b"garbage" * 1000])
def test_damaged_state_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """A state that cannot be read is put aside, not obeyed and not lost."""
    (tmp_path / state.FILE_NAME).write_bytes(content)
    assert state.read_last_run(tmp_path) is None
    assert (tmp_path / f"{state.FILE_NAME}.damaged").read_bytes() == content
    assert not (tmp_path / state.FILE_NAME).exists()


def test_state_of_another_make(tmp_path: Path) -> None:
    """A database that somebody else wrote is not taken for a state."""
    connection = sqlite3.connect(tmp_path / state.FILE_NAME)
    connection.executescript("CREATE TABLE meta (key, value); INSERT INTO meta VALUES ('sequence', '1')")
    connection.close()
    assert state.read_last_run(tmp_path) is None


def test_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing disk is a StorageError with the folder's name."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        Workspace(tmp_path / "file")
    with Workspace(tmp_path) as tables:
        monkeypatch.setattr(workspace, "BATCH", 1)
        tables._database.execute("DROP TABLE work.walked")
        with pytest.raises(StorageError, match="no such table"):
            tables.add_entry(file(b"a"))
