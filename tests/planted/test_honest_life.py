"""Honest programs' writes are never called damage, and `rewritten` only where a tool really kept the time."""

from __future__ import annotations

import mmap
import os
import shutil
import sqlite3
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from checker.models import Change
from tests.planted.suite import Road

pytestmark = pytest.mark.django_db(transaction=True)
OLD = 1_600_000_000


class Life:
    """A tree that lives between runs, and a second one beside it from which tools copy."""

    def __init__(self, directory: Path) -> None:
        self.tree = directory / "tree"
        self.other = directory / "other"
        for root in (self.tree, self.other):
            (root / "docs").mkdir(parents=True)
            for number in range(8):
                self.write(root / "docs" / f"{number}.txt", f"content {number}", OLD + number)
        self.road = Road(directory, self.tree)
        self.road.run()

    def write(self, path: Path, text: str, mtime: int | None = None) -> None:
        """A file with this content, and time where one is given."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if mtime is not None:
            os.utime(path, (mtime, mtime))

    def verdicts(self) -> dict[str, str]:
        """Return the changes of a further run, after checking that none is damage."""
        verdicts = self.road.verdicts(self.road.run())
        assert Change.Kind.CORRUPTED not in verdicts.values(), verdicts
        return verdicts


@pytest.fixture
def life(tmp_path: Path) -> Life:
    """A tree after its first run."""
    return Life(tmp_path)


def tool(name: str, *arguments: str | Path, cwd: Path | None = None) -> None:
    """A program, or a skip where it is absent."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([name, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_rsync_keeps_times(life: Life) -> None:
    """`rsync -a` brings edited files with their own times; what has the same size and time it does not even copy."""
    life.write(life.other / "docs/1.txt", "edited there", OLD + 100)
    life.write(life.other / "docs/new.txt", "new", OLD + 101)
    life.write(life.other / "docs/2.txt", "CONTENT 2", OLD + 2)
    tool("rsync", "-a", f"{life.other}/", f"{life.tree}/")
    assert life.verdicts() == {"docs/1.txt": "modified", "docs/new.txt": "added"}


def test_rsync_by_checksum_keeps_the_time_of_changed_content(life: Life) -> None:
    """`rsync -a --checksum` really keeps the time of a content that changed without it: rewritten, and nothing else."""
    life.write(life.other / "docs/2.txt", "CONTENT 2", OLD + 2)
    tool("rsync", "-a", "--checksum", f"{life.other}/", f"{life.tree}/")
    assert life.verdicts() == {"docs/2.txt": "rewritten"}


def test_tar_brings_times_back(life: Life, tmp_path: Path) -> None:
    """An older archive unpacked over newer files brings an earlier content with its earlier time."""
    with tarfile.open(tmp_path / "old.tar", "w") as archive:
        archive.add(life.tree, ".")
    life.write(life.tree / "docs/1.txt", "edited")
    assert life.verdicts() == {"docs/1.txt": "modified"}
    tool("tar", "-xf", tmp_path / "old.tar", "-C", life.tree)
    assert life.verdicts() == {"docs/1.txt": "reverted"}


def test_git_checkout(life: Life) -> None:
    """A checkout writes files anew, with the time of now; what it brings back is an earlier content."""
    git = ("-c", "user.email=a@b.c", "-c", "user.name=a")
    for arguments in (("init", "-q"), ("add", "docs"), (*git, "commit", "-qm", "one")):
        tool("git", *arguments, cwd=life.tree)
    life.verdicts()
    life.write(life.tree / "docs/1.txt", "edited")
    tool("git", *git, "commit", "-qam", "two", cwd=life.tree)
    assert life.verdicts()["docs/1.txt"] == "modified"
    tool("git", "checkout", "-q", "HEAD~1", cwd=life.tree)
    verdicts = life.verdicts()
    assert verdicts["docs/1.txt"] == "reverted" and Change.Kind.REWRITTEN not in verdicts.values()


def test_cp_keeps_times(life: Life) -> None:
    """`cp -p` of another file over one brings that file's time; only where both times are equal it is rewritten."""
    life.write(life.other / "a", "another", OLD + 500)
    life.write(life.other / "b", "another", OLD + 2)
    tool("cp", "-p", life.other / "a", life.tree / "docs/1.txt")
    tool("cp", "-p", life.other / "b", life.tree / "docs/2.txt")
    assert life.verdicts() == {"docs/1.txt": "modified", "docs/2.txt": "rewritten"}


def test_log_rotation(life: Life) -> None:
    """A rotated log has moved, and a new one is in its place; copy-and-truncate is a copy and an edit."""
    life.write(life.tree / "log", "lines\n" * 100)
    life.write(life.tree / "other.log", "more\n" * 100)
    life.verdicts()
    (life.tree / "log").rename(life.tree / "log.1")
    life.write(life.tree / "log", "fresh\n")
    shutil.copy2(life.tree / "other.log", life.tree / "other.log.1")
    life.write(life.tree / "other.log", "")
    verdicts = life.verdicts()
    assert verdicts == {"log": "modified", "log.1": "added", "other.log": "modified", "other.log.1": "added"}
    (life.tree / "log.1").rename(life.tree / "log.2")
    assert life.verdicts() == {"log.1": "-moved", "log.2": "moved"}


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_database_in_place(life: Life, journal: str) -> None:
    """A database that is written in place is modified; the map that its processes share keeps its time."""
    database = sqlite3.connect(life.tree / "data.db", isolation_level=None)
    database.execute(f"PRAGMA journal_mode={journal}")
    database.execute("CREATE TABLE t (x)")
    life.verdicts()
    database.execute("INSERT INTO t VALUES (randomblob(10000))")
    verdicts = life.verdicts()
    assert verdicts.pop("data.db-shm", "rewritten") in ("rewritten", "modified")
    assert set(verdicts.values()) == {"modified"}, verdicts
    database.close()
    assert Change.Kind.REWRITTEN not in life.verdicts().values()


def test_a_file_written_through_a_map(life: Life) -> None:
    """A write through a memory map is modified; a second write into a page that is not yet on the disk leaves
    no trace, and is not called damage. A page that happened to be written between is stamped again."""
    path = life.tree / "docs/3.txt"
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[0:3] = b"MAP"
        before = path.stat()
        time.sleep(2.1)  # more than any clock's tick
        assert life.verdicts() == {"docs/3.txt": "modified"}
        mapped[0:3] = b"map"
        unstamped = path.stat().st_ctime_ns == before.st_ctime_ns
        assert life.verdicts() == {"docs/3.txt": "rewritten" if unstamped else "modified"}


def test_an_editor_that_saves_by_rename(life: Life) -> None:
    """An editor leaves a new file under the old name, some a copy of the old one beside it."""
    path = life.tree / "docs/4.txt"
    path.rename(path.with_name("4.txt~"))
    life.write(path, "edited")
    life.write(life.tree / "docs/.5.swp", "edited, too")
    (life.tree / "docs/.5.swp").rename(life.tree / "docs/5.txt")
    assert life.verdicts() == {"docs/4.txt": "modified", "docs/4.txt~": "added", "docs/5.txt": "modified"}


def test_a_package_is_upgraded(life: Life) -> None:
    """Files with the times of their build come by rename over the old ones."""
    for number in range(4):
        life.write(life.tree / "docs/new", f"version 2 of {number}", OLD + 9000)
        (life.tree / "docs/new").rename(life.tree / f"docs/{number}.txt")
    assert set(life.verdicts().values()) == {"modified"}


def test_mail_and_times_set_by_hand(life: Life) -> None:
    """Mail appended to a spool is modified; a reader that puts the time back wrote and kept it: rewritten."""
    spool = life.tree / "mbox"
    life.write(spool, "From a\n", OLD)
    life.verdicts()
    with spool.open("a") as file:
        file.write("From b\n")
    assert life.verdicts() == {"mbox": "modified"}
    before = spool.stat()
    with spool.open("a") as file:
        file.write("Status: RO\n")
    os.utime(spool, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert life.verdicts() == {"mbox": "rewritten"}
    os.utime(spool)
    assert life.verdicts() == {"mbox": "touched"}


def test_written_right_after_it_was_read(life: Life) -> None:
    """A write within the clock's tick of the last read is never called damage, whatever the times say."""
    path = life.tree / "docs/6.txt"
    now = time.time_ns()
    life.write(path, "one")
    os.utime(path, ns=(now, now))
    life.verdicts()
    life.write(path, "two")
    os.utime(path, ns=(now, now))
    assert life.verdicts() == {"docs/6.txt": "rewritten"}
