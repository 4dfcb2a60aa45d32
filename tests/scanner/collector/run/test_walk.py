"""The walk sees every name once, follows nothing and opens nothing but directories."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.collector.entries import WalkedEntry
from scanner.collector.run.walk import walk
from scanner.collector.system.filesystem import RootError
from scanner.format.entry_type import EntryType
from scanner.format.excludes import Excludes, parse_excludes
from tests.scanner.collector import trees
from tests.scanner.collector.installation import ROOT

NOBODY = 65534


def seen(root: Path, excludes: str = "") -> dict[bytes, WalkedEntry]:
    found = list(walk(os.fsencode(root), parse_excludes(excludes)))
    by_path = {each.path: each for each in found}
    assert len(by_path) == len(found)
    return by_path


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """As root, for a while nobody: root can read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can reach; pytest's own are for their owner alone."""
    folder = Path(tempfile.mkdtemp(prefix="walk-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_every_name_once(tmp_path: Path) -> None:
    """Any name that a file system takes is found, byte for byte, with what lstat says of it."""
    content = trees.make_nasty_tree(tmp_path)
    found = seen(tmp_path)
    assert set(found) == set(content)
    for path, each in found.items():
        status = os.lstat(os.path.join(os.fsencode(tmp_path), path))
        assert each == WalkedEntry(
            path,
            EntryType.FILE,
            len(content[path]),
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_dev,
            status.st_ino,
            1,
        )


def test_links_are_told_not_followed(tmp_path: Path) -> None:
    """A symbolic link is told with its target's bytes, whether that is a file, a directory, a loop or nothing."""
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
    found = seen(tmp_path)
    assert {path: each.detail for path, each in found.items() if each.type == EntryType.LINK} == targets
    assert set(found) == {b"dir/file", *targets}


def test_special_files_are_not_opened(tmp_path: Path) -> None:
    """FIFOs and sockets are told as what they are; opening the FIFO would hang."""
    kinds = trees.make_special_files(tmp_path)
    assert {path: (each.type, each.detail) for path, each in seen(tmp_path).items()} == {
        path: (EntryType.SPECIAL, kind) for path, kind in kinds.items()
    }


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="no /dev")
def test_devices() -> None:
    """Devices are told by their kind, and what is mounted in their folder is told as a mount."""
    found = seen(Path("/dev"))
    assert (found[b"null"].type, found[b"null"].detail) == (EntryType.SPECIAL, b"char")


def test_hard_links_are_all_told(tmp_path: Path) -> None:
    """Each name of a file is found, with its number of links."""
    (tmp_path / "one").write_text("x")
    os.link(tmp_path / "one", tmp_path / "two")
    found = seen(tmp_path)
    assert [(found[name].ino, found[name].nlink) for name in (b"one", b"two")] == [(found[b"one"].ino, 2)] * 2


def test_excluded_directory_is_not_entered(open_folder: Path) -> None:
    """What is excluded is not looked at: an unlistable directory that is excluded is no error."""
    (open_folder / "cache").mkdir()
    (open_folder / "cache/x").touch()
    (open_folder / "kept.txt").touch()
    (open_folder / "a.tmp").touch()
    (open_folder / "cache").chmod(0)
    with unprivileged():
        assert set(seen(open_folder, "cache/\n*.tmp")) == {b"kept.txt"}


def test_unlistable_directory_is_an_error(open_folder: Path) -> None:
    """A directory that may not be listed is an error entry, and the walk goes on."""
    for name in ("closed", "open"):
        (open_folder / name).mkdir()
        (open_folder / name / "file").touch()
    (open_folder / "closed").chmod(0)
    with unprivileged():
        found = seen(open_folder)
    assert set(found) == {b"closed", b"open/file"}
    assert found[b"closed"] == WalkedEntry(b"closed", EntryType.ERROR, detail=b"EACCES", stage="list")


def test_unsearchable_directory_is_an_error_for_each_name(open_folder: Path) -> None:
    """Where names can be listed but not looked at, each of them is an error."""
    (open_folder / "names").mkdir()
    (open_folder / "names/file").touch()
    (open_folder / "names").chmod(0o444)
    with unprivileged():
        assert seen(open_folder) == {
            b"names/file": WalkedEntry(b"names/file", EntryType.ERROR, detail=b"EACCES", stage="stat")
        }


def test_deeper_than_path_max(tmp_path: Path) -> None:
    """A tree of 1,200 directories, 12,000 bytes deep, is walked to its end with few descriptors."""
    name = b"d" * 9
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open(b"file", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=descriptor))
    os.close(descriptor)
    try:
        assert set(seen(tmp_path)) == {b"/".join([name] * 1200) + b"/file"}
    finally:
        subprocess.run(["rm", "-rf", tmp_path], check=True)


def test_one_large_directory_in_flat_memory(tmp_path: Path) -> None:
    """The entries of a directory are told as they are read, not gathered."""
    for number in range(20_000):
        os.close(os.open(tmp_path / f"{number:05}", os.O_CREAT | os.O_WRONLY, 0o600))
    tracemalloc.start()
    try:
        count = sum(1 for _ in walk(os.fsencode(tmp_path), Excludes([])))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 1 << 20


def test_directory_swapped_for_a_link(tmp_path: Path) -> None:
    """A directory that becomes a symbolic link before its turn is told as a link and not entered."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").touch()
    root = tmp_path / "root"
    (root / "dir").mkdir(parents=True)
    (root / "first").touch()
    walking = walk(os.fsencode(root), Excludes([]))
    found = [next(walking)]
    (root / "dir").rmdir()
    (root / "dir").symlink_to(tmp_path / "outside")
    found += walking
    assert sorted((each.path, each.type) for each in found) == [(b"dir", EntryType.LINK), (b"first", EntryType.FILE)]


def test_directory_below_a_swapped_one(tmp_path: Path) -> None:
    """A directory is not reached through a link that has taken the place of the one above it."""
    outside = tmp_path / "outside/inner"
    outside.mkdir(parents=True)
    (outside / "secret").touch()
    root = tmp_path / "root"
    (root / "dir/inner").mkdir(parents=True)
    (root / "dir/file").touch()
    walking = walk(os.fsencode(root), Excludes([]))
    assert next(walking).path == b"dir/file"
    shutil.rmtree(root / "dir")
    (root / "dir").symlink_to(tmp_path / "outside")
    assert list(walking) == []


def test_replaced_directory_is_walked(tmp_path: Path) -> None:
    """Another directory that has the name by now is listed: its files are there."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "first").touch()
    walking = walk(os.fsencode(tmp_path), Excludes([]))
    next(walking)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/new").touch()
    (tmp_path / "dir").rmdir()
    (tmp_path / "other").rename(tmp_path / "dir")
    assert [each.path for each in walking if b"new" in each.path] == [b"dir/new"]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda _: None, "root missing"),
        (lambda path: path.touch(), "root is not a directory"),
        (lambda path: path.symlink_to(path), "root unreadable"),
    ],
    ids=["missing", "file", "loop"],
)
def test_root_that_cannot_be_walked(tmp_path: Path, make: object, reason: str) -> None:
    """A root that is no readable directory is refused at once, with a short stable reason and its name."""
    assert callable(make)
    root = tmp_path / "root"
    make(root)
    with pytest.raises(RootError, match=str(root)) as caught:
        walk(os.fsencode(root), Excludes([]))
    assert caught.value.reason == reason


def test_root_may_be_a_link(tmp_path: Path) -> None:
    """The root itself is what the configuration names, also by a symbolic link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").touch()
    (tmp_path / "root").symlink_to("real")
    assert set(seen(tmp_path / "root")) == {b"file"}


MOUNTS = """
import os, subprocess, sys
from scanner.collector.run.walk import walk
from scanner.format.excludes import Excludes
root = sys.argv[1]
subprocess.run(["mount", "-t", "tmpfs", "none", f"{root}/tmp fs"], check=True)
open(f"{root}/tmp fs/inside", "w").close()
subprocess.run(["mount", "--bind", f"{root}/dir", f"{root}/bind"], check=True)
subprocess.run(["mount", "--bind", f"{root}/dir/file", f"{root}/file"], check=True)
for cross in False, True:
    found = walk(os.fsencode(root), Excludes([]), cross)
    print(sorted((each.path, each.type, each.detail) for each in found))
"""


def test_mounts_below_are_told(tmp_path: Path) -> None:
    """Another file system, a bind mount and a mounted file are told as mounts, and crossed where that is wanted."""
    command = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"], check=False).returncode != 0:
        pytest.skip("needs root, or user namespaces")
    for name in ("tmp fs", "dir", "bind"):
        (tmp_path / name).mkdir()
    (tmp_path / "dir/file").touch()
    (tmp_path / "file").touch()
    script = [sys.executable, "-c", MOUNTS, str(tmp_path)]
    output = subprocess.run([*command, *script], check=True, capture_output=True, text=True, cwd=ROOT)
    staying, crossing = output.stdout.splitlines()
    inside: list[tuple[bytes, int, bytes | None]] = [(b"dir/file", EntryType.FILE.value, None)]
    mounts: list[tuple[bytes, int, bytes | None]] = [
        (name, EntryType.SPECIAL.value, b"mount") for name in (b"bind", b"file", b"tmp fs")
    ]
    assert staying == repr(sorted(inside + mounts))
    more: list[tuple[bytes, int, bytes | None]] = [
        (b"bind/file", EntryType.FILE.value, None),
        (b"file", EntryType.FILE.value, None),
        (b"tmp fs/inside", EntryType.FILE.value, None),
    ]
    assert crossing == repr(sorted(inside + more))
