"""A file system in a file, so that its blocks can be damaged beneath it, as an ageing disk would."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

BLOCK = 4096
DAY = 86_400
PROGRAMS = ("mkfs.ext4", "debugfs", "mount", "umount")
SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def missing() -> str:
    """Why there can be no image here; empty when there can."""
    if os.geteuid() != 0:
        return "only root mounts an image"
    lacking = [name for name in PROGRAMS if shutil.which(name, path=SBIN) is None]
    return f"no {', '.join(lacking)} to mount an image" if lacking else ""


class Image:
    """An ext4 file system, mounted at `point` while the context lasts: one of `megabytes`, or the one that is there."""

    def __init__(self, folder: Path, megabytes: int = 0) -> None:
        self.file, self.point = folder / "image", folder / "mounted"
        self.point.mkdir()
        if not megabytes:
            return
        with self.file.open("wb") as file:
            file.truncate(megabytes << 20)
        _run("mkfs.ext4", "-q", "-F", "-b", str(BLOCK), "-O", "^has_journal,^metadata_csum", str(self.file))

    def __enter__(self) -> Image:
        self.mount()
        return self

    def __exit__(self, *_details: object) -> None:
        if os.path.ismount(self.point):
            _run("umount", str(self.point))

    def mount(self) -> None:
        """Mount it; of two who take the same free loop device at once one has to try again."""
        message = ""
        for _ in range(10):
            done = subprocess.run(["mount", "-o", "loop", self.file, self.point], capture_output=True, check=False)
            if done.returncode == 0:
                return
            message = done.stderr.decode()
            time.sleep(0.2)
        raise AssertionError(message)

    @contextlib.contextmanager
    def unmounted(self) -> Iterator[None]:
        """A time in which it is not mounted."""
        _run("umount", str(self.point))
        try:
            yield
        finally:
            self.mount()

    def flip(self, path: Path, offset: int = 0, bit: int = 0) -> None:
        """Turn one bit of a file's content, beneath the file system."""
        block = self._block(path, offset // BLOCK)
        with self.unmounted(), self.file.open("r+b") as file:
            offset = block * BLOCK + offset % BLOCK
            file.seek(offset)
            (value,) = file.read(1)
            file.seek(offset)
            file.write(bytes([value ^ 1 << bit]))

    def zero(self, path: Path, offset: int = 0) -> None:
        """Fill one block of a file with zeros, beneath the file system."""
        block = self._block(path, offset // BLOCK)
        with self.unmounted(), self.file.open("r+b") as file:
            file.seek(block * BLOCK)
            file.write(bytes(BLOCK))

    def cut(self, path: Path, size: int) -> None:
        """Make a file shorter in its inode alone: no time tells of it."""
        inode = path.stat().st_ino
        with self.unmounted():
            _run("debugfs", "-w", "-R", f"set_inode_field <{inode}> size {size}", str(self.file))

    def age(self) -> None:
        """Let all files look as if nobody had written them for a day: their ctimes, which no program can set."""
        inodes = {path.lstat().st_ino for path in self.point.rglob("*")}
        script = self.file.with_name("script")
        script.write_text("".join(f"set_inode_field <{inode}> ctime @{int(time.time()) - DAY}\n" for inode in inodes))
        with self.unmounted():
            _run("debugfs", "-w", "-f", str(script), str(self.file))
        assert all(path.lstat().st_ctime < time.time() - DAY + 3600 for path in self.point.rglob("*"))

    def wreck(self, path: Path) -> int:
        """Make the map of a file's or directory's blocks unreadable, or readable again by its inode, which comes
        back."""
        inode = path.stat().st_ino
        self.wreck_inode(inode)
        return inode

    def wreck_inode(self, inode: int) -> None:
        """The same by the inode; twice is as before."""
        os.sync()
        place = re.search(r"at block (\d+), offset (0x\w+)", _run("debugfs", "-R", f"imap <{inode}>", str(self.file)))
        assert place is not None
        block, offset = int(place[1]), int(place[2], 16)
        with self.unmounted(), self.file.open("r+b") as file:
            offset = block * BLOCK + offset + 40  # i_block, which begins with the magic number of the extents
            file.seek(offset)
            magic = file.read(2)
            file.seek(offset)
            file.write(bytes(byte ^ 0xFF for byte in magic))

    def _block(self, path: Path, logical: int) -> int:
        """The physical block of a file's block; only what lies on the disk has one."""
        inode = path.stat().st_ino
        os.sync()
        number = int(_run("debugfs", "-R", f"bmap <{inode}> {logical}", str(self.file)).split()[0])
        assert number, f"{path} has no block {logical}"
        return number


def _run(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": SBIN}, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
