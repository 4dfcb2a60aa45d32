"""Test the walk by a process that is replaced where it hangs: everything else is found, whatever gives no answer."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scanner.collector.entries import WalkedEntry
from scanner.collector.run.walk import Walker, WalkScope
from scanner.collector.run.walk_process import WalkError, WalkProcess
from scanner.collector.system.child_process import ChildProcess
from scanner.collector.system.directories import RootError
from scanner.format.entry_type import EntryType
from tests.scanner.collector import trees

NO_PROGRESS = 1.0
NOTHING_SPECIAL = WalkScope((), False, frozenset(), frozenset())


def walk(root: Path, scope: WalkScope = NOTHING_SPECIAL) -> dict[bytes, WalkedEntry]:
    """Return the entries below `root` by path, the first one of each."""
    entries: dict[bytes, WalkedEntry] = {}
    for entry in WalkProcess(os.fsencode(root), scope, NO_PROGRESS).entries():
        entries.setdefault(entry.path, entry)
    return entries


def errors_among(entries: dict[bytes, WalkedEntry]) -> dict[bytes, tuple[bytes | None, str | None]]:
    """Return error and stage of each path that is an error."""
    return {path: (entry.detail, entry.stage) for path, entry in entries.items() if entry.type == EntryType.ERROR}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make three directories with three files each."""
    for directory in "abc":
        (tmp_path / directory).mkdir()
        for name in "123":
            (tmp_path / directory / name).write_text(name)
    return tmp_path


def test_same_as_within_one_process(tmp_path: Path) -> None:
    """The process finds what the walk finds, with every odd name."""
    contents = trees.make_nasty_tree(tmp_path)
    kinds = trees.make_special_files(tmp_path)
    entries = walk(tmp_path)
    assert set(entries) == {*contents, *kinds}
    assert [entries[file.path] for file in trees.list_files(tmp_path)] == trees.list_files(tmp_path)


def test_scope(root: Path) -> None:
    """Excludes, missing mounts and directories of the collector hold in the process, too."""
    scope = WalkScope(("a/", "2"), False, frozenset({b"gone"}), frozenset({b"c"}))
    entries = walk(root, scope)
    assert set(entries) == {b"gone", b"b/1", b"b/3"}
    assert errors_among(entries) == {b"gone": (b"EUNMOUNTED", "list")}


@pytest.mark.parametrize("number", [2, 4, 6])
def test_hung_look(root: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A path at which the process hangs is an error; a new process examines all others, each once in the end."""
    monkeypatch.setenv("BACKUP_SYNCER_FAIL", f"walk:look:{number}:sleep")
    entries = walk(root)
    errors = errors_among(entries)
    assert errors
    assert set(errors.values()) == {(b"ETIMEDOUT", "stat")}

    directories_given_up = {path for path in errors if b"/" not in path}
    expected = {b"%c/%c" % (directory, name) for directory in b"abc" for name in b"123"}
    missing = {path for path in expected if path not in entries}
    assert {path[:1] for path in missing} == directories_given_up


def test_hung_listing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory whose listing hangs is an error, and the others are listed."""
    monkeypatch.setenv("BACKUP_SYNCER_FAIL", "walk:list:3:sleep")
    entries = walk(root)
    errors = errors_among(entries)
    assert set(errors.values()) == {(b"ETIMEDOUT", "list")}
    assert len(errors) == 1
    assert len(entries) == 1 + 2 * 3


def test_hung_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A root that cannot even be listed ends the walk: a run without any entry would look like an empty root."""
    monkeypatch.setenv("BACKUP_SYNCER_FAIL", "walk:list:1:sleep")
    with pytest.raises(RootError) as caught:
        walk(root)
    assert caught.value.reason == "root unreadable"


@pytest.mark.long
def test_dead_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After hangs in a row the rest of the device is given up at once, instead of path by path for days."""
    for number in range(40):
        (tmp_path / f"{number:02}").touch()
    monkeypatch.setenv("BACKUP_SYNCER_FAIL", "walk:look:1:sleep")
    errors = errors_among(walk(tmp_path))
    assert len(errors) == 40
    assert set(errors.values()) == {(b"ETIMEDOUT", "stat")}


def test_killed_process(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies is replaced. One after the other that dies ends the walk."""
    monkeypatch.setenv("BACKUP_SYNCER_FAIL", "walk:list:3:kill")
    with pytest.raises(WalkError, match="does not go on"):
        walk(root)

    start = ChildProcess.__init__

    def start_once_to_be_killed(*arguments: Any) -> None:
        start(*arguments)
        monkeypatch.delenv("BACKUP_SYNCER_FAIL", raising=False)

    monkeypatch.setattr(ChildProcess, "__init__", start_once_to_be_killed)
    assert len(walk(root)) == 9


def test_no_process(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a process the walk ends, with the reason."""

    def refuse(*arguments: Any) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(ChildProcess, "__init__", refuse)
    with pytest.raises(WalkError, match=os.strerror(errno.EAGAIN)):
        walk(root)


def test_missing_root(tmp_path: Path) -> None:
    """A root that is not there is told as by the walk itself."""
    with pytest.raises(RootError) as caught:
        walk(tmp_path / "missing")
    assert caught.value.reason == "root missing"


def test_name_listed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that a directory lists twice is examined once, and a large directory is said to be in doubt."""
    for name in ("a", "b"):
        (tmp_path / name).touch()
    walker = Walker(os.fsencode(tmp_path), NOTHING_SPECIAL)
    scandir = os.scandir

    class Doubled:
        def __init__(self, descriptor: int) -> None:
            self._names = [*scandir(descriptor), *scandir(descriptor)]

        def __enter__(self) -> Doubled:
            return self

        def __exit__(self, *details: object) -> None:
            return

        def __iter__(self) -> Iterator[os.DirEntry[str]]:
            return iter(self._names)

    monkeypatch.setattr(os, "scandir", Doubled)
    paths = [item.path for item in walker.list_directory(walker.first_directory())]
    assert sorted(paths) == [b"a", b"b"]
    doubts = [walker.may_repeat]

    monkeypatch.setattr("scanner.collector.run.walk._REMEMBERED_NAMES", 1)
    list(walker.list_directory(walker.first_directory()))
    doubts.append(walker.may_repeat)
    assert doubts == [False, True]
    walker.close()
