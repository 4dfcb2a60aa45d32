"""Test the walk: each name once, no link followed, nothing opened but directories."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scanner.collector.entries import WalkedEntry
from scanner.collector.run.walk import walk
from scanner.collector.system.directories import RootError
from scanner.format.entry_type import EntryType
from scanner.format.excludes import Excludes, parse_excludes
from tests.scanner.collector import trees
from tests.scanner.collector.installation import ROOT

NOBODY = 65534


def walk_tree(root: Path, excludes: str = "") -> dict[bytes, WalkedEntry]:
    """Return the entries below `root` by path, each exactly once."""
    entries = list(walk(os.fsencode(root), parse_excludes(excludes)))
    entries_by_path = {entry.path: entry for entry in entries}
    assert len(entries_by_path) == len(entries)
    return entries_by_path


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Let root be an ordinary user for a while: root can read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Make a directory that every user can enter. Those of pytest are for their owner alone."""
    directory = Path(tempfile.mkdtemp(prefix="walk-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def test_every_name_once(tmp_path: Path) -> None:
    """Any name that a file system allows is found, byte for byte, with the status of lstat."""
    contents = trees.make_nasty_tree(tmp_path)
    entries = walk_tree(tmp_path)
    assert set(entries) == set(contents)
    for path, entry in entries.items():
        status = os.lstat(os.path.join(os.fsencode(tmp_path), path))
        assert entry == WalkedEntry(
            path=path,
            type=EntryType.FILE,
            size=len(contents[path]),
            mtime_ns=status.st_mtime_ns,
            ctime_ns=status.st_ctime_ns,
            mode=status.st_mode,
            uid=status.st_uid,
            gid=status.st_gid,
            dev=status.st_dev,
            ino=status.st_ino,
            nlink=1,
        )


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A symbolic link is an entry with the bytes of its target, whatever the target is."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/file").touch()
    targets = {
        b"to-file": b"dir/file",
        b"to-dir": b"dir",
        b"loop": b"loop",
        b"up": b"..",
        b"odd": b"\xff\n",
        b"dangling": b"/no",
    }
    for name, target in targets.items():
        os.symlink(target, os.path.join(os.fsencode(tmp_path), name))

    entries = walk_tree(tmp_path)

    links = {path: entry.detail for path, entry in entries.items() if entry.type == EntryType.LINK}
    assert links == targets
    assert set(entries) == {b"dir/file", *targets}


def test_special_files_are_not_opened(tmp_path: Path) -> None:
    """FIFOs and sockets are entries with their kind. Opening the FIFO would hang."""
    kinds = trees.make_special_files(tmp_path)
    entries = walk_tree(tmp_path)
    assert {path: entry.detail for path, entry in entries.items()} == kinds
    assert {entry.type for entry in entries.values()} == {EntryType.SPECIAL}


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="no /dev")
def test_devices() -> None:
    """A device is an entry with its kind."""
    null_device = walk_tree(Path("/dev"))[b"null"]
    assert null_device.type == EntryType.SPECIAL
    assert null_device.detail == b"char"


def test_hard_links(tmp_path: Path) -> None:
    """Each name of a file is an entry, with the inode and its number of links."""
    (tmp_path / "one").write_text("x")
    os.link(tmp_path / "one", tmp_path / "two")
    entries = walk_tree(tmp_path)
    assert entries[b"one"].ino == entries[b"two"].ino
    assert entries[b"one"].nlink == 2
    assert entries[b"two"].nlink == 2


def test_excluded_directory_is_not_entered(open_directory: Path) -> None:
    """An excluded directory that cannot be listed is no error."""
    (open_directory / "cache").mkdir()
    (open_directory / "cache/x").touch()
    (open_directory / "kept.txt").touch()
    (open_directory / "a.tmp").touch()
    (open_directory / "cache").chmod(0)
    with unprivileged():
        assert set(walk_tree(open_directory, "cache/\n*.tmp")) == {b"kept.txt"}


def test_unlistable_directory_is_an_error(open_directory: Path) -> None:
    """A directory that may not be listed is an error entry, and the walk goes on."""
    for name in ("closed", "open"):
        (open_directory / name).mkdir()
        (open_directory / name / "file").touch()
    (open_directory / "closed").chmod(0)
    with unprivileged():
        entries = walk_tree(open_directory)
    assert set(entries) == {b"closed", b"open/file"}
    assert entries[b"closed"] == WalkedEntry(b"closed", EntryType.ERROR, detail=b"EACCES", stage="list")


def test_unsearchable_directory_is_an_error_for_each_name(open_directory: Path) -> None:
    """A name that can be listed but not examined is an error."""
    (open_directory / "names").mkdir()
    (open_directory / "names/file").touch()
    (open_directory / "names").chmod(0o444)
    error = WalkedEntry(b"names/file", EntryType.ERROR, detail=b"EACCES", stage="stat")
    with unprivileged():
        assert walk_tree(open_directory) == {b"names/file": error}


def test_deeper_than_path_max(tmp_path: Path) -> None:
    """A tree of 1,200 directories, 12,000 bytes deep, is walked to its end."""
    name = b"d" * 9
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir(name, dir_fd=descriptor)
        child = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = child
    os.close(os.open(b"file", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=descriptor))
    os.close(descriptor)
    try:
        assert set(walk_tree(tmp_path)) == {b"/".join([name] * 1200) + b"/file"}
    finally:
        subprocess.run(["rm", "-rf", tmp_path], check=True)


def test_one_large_directory_in_flat_memory(tmp_path: Path) -> None:
    """The entries of a directory are yielded as they are read, and not gathered."""
    for number in range(20_000):
        os.close(os.open(tmp_path / f"{number:05}", os.O_CREAT | os.O_WRONLY, 0o600))
    tracemalloc.start()
    try:
        count = sum(1 for _ in walk(os.fsencode(tmp_path), Excludes([])))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 1 << 20


def test_directory_swapped_for_a_link(tmp_path: Path) -> None:
    """A directory that becomes a symbolic link before its turn is a link entry, and is not entered."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").touch()
    root = tmp_path / "root"
    (root / "dir").mkdir(parents=True)
    (root / "first").touch()

    remaining_entries = walk(os.fsencode(root), Excludes([]))
    entries = [next(remaining_entries)]
    (root / "dir").rmdir()
    (root / "dir").symlink_to(tmp_path / "outside")
    entries += remaining_entries

    types = sorted((entry.path, entry.type) for entry in entries)
    assert types == [(b"dir", EntryType.LINK), (b"first", EntryType.FILE)]


def test_directory_below_a_swapped_one(tmp_path: Path) -> None:
    """A directory is not reached through a link that took the place of the one above it."""
    outside = tmp_path / "outside/inner"
    outside.mkdir(parents=True)
    (outside / "secret").touch()
    root = tmp_path / "root"
    (root / "dir/inner").mkdir(parents=True)
    (root / "dir/file").touch()

    remaining_entries = walk(os.fsencode(root), Excludes([]))
    assert next(remaining_entries).path == b"dir/file"
    shutil.rmtree(root / "dir")
    (root / "dir").symlink_to(tmp_path / "outside")

    assert list(remaining_entries) == []


def test_replaced_directory_is_walked(tmp_path: Path) -> None:
    """Another directory that took a directory's place is listed: its files are there."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "first").touch()

    remaining_entries = walk(os.fsencode(tmp_path), Excludes([]))
    next(remaining_entries)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/new").touch()
    (tmp_path / "dir").rmdir()
    (tmp_path / "other").rename(tmp_path / "dir")

    assert [entry.path for entry in remaining_entries if b"new" in entry.path] == [b"dir/new"]


@pytest.mark.parametrize(
    ("make_root", "reason"),
    [
        (lambda _: None, "root missing"),
        (lambda path: path.touch(), "root is not a directory"),
        (lambda path: path.symlink_to(path), "root unreadable"),
    ],
    ids=["missing", "file", "loop"],
)
def test_root_that_cannot_be_walked(tmp_path: Path, make_root: Callable[[Path], None], reason: str) -> None:
    """A root that is no readable directory is refused at once, with a stable reason and its name."""
    root = tmp_path / "root"
    make_root(root)
    with pytest.raises(RootError, match=str(root)) as caught:
        walk(os.fsencode(root), Excludes([]))
    assert caught.value.reason == reason


def test_root_may_be_a_link(tmp_path: Path) -> None:
    """The root itself may be a symbolic link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").touch()
    (tmp_path / "root").symlink_to("real")
    assert set(walk_tree(tmp_path / "root")) == {b"file"}


WALK_WITH_MOUNTS = """
import os, subprocess, sys
from scanner.collector.run.walk import walk
from scanner.format.excludes import Excludes
root = sys.argv[1]
subprocess.run(["mount", "-t", "tmpfs", "none", f"{root}/tmp fs"], check=True)
open(f"{root}/tmp fs/inside", "w").close()
subprocess.run(["mount", "--bind", f"{root}/dir", f"{root}/bind"], check=True)
subprocess.run(["mount", "--bind", f"{root}/dir/file", f"{root}/file"], check=True)
for cross_mounts in False, True:
    entries = walk(os.fsencode(root), Excludes([]), cross_mounts)
    print(sorted((entry.path, entry.type, entry.detail) for entry in entries))
"""


def test_mounts_below(tmp_path: Path) -> None:
    """Another file system, a bind mount and a mounted file are special entries, and entered with `cross_mounts`."""
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*namespace, "true"], check=False).returncode != 0:
        pytest.skip("needs root, or user namespaces")

    for name in ("tmp fs", "dir", "bind"):
        (tmp_path / name).mkdir()
    (tmp_path / "dir/file").touch()
    (tmp_path / "file").touch()
    process = subprocess.run(
        [*namespace, sys.executable, "-c", WALK_WITH_MOUNTS, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    staying, crossing = process.stdout.splitlines()

    # The script prints plain numbers.
    file = EntryType.FILE.value
    special = EntryType.SPECIAL.value
    assert staying == repr(
        [
            (b"bind", special, b"mount"),
            (b"dir/file", file, None),
            (b"file", special, b"mount"),
            (b"tmp fs", special, b"mount"),
        ]
    )
    assert crossing == repr(
        [
            (b"bind/file", file, None),
            (b"dir/file", file, None),
            (b"file", file, None),
            (b"tmp fs/inside", file, None),
        ]
    )
