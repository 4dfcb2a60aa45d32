"""Mount a file system in a file, so that its blocks can be damaged below it, as a failing disk damages them.

Needs root, e2fsprogs and a loop device.
"""

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
"""Bytes of a block."""
DAY = 86_400
PROGRAMS = ("mkfs.ext4", "debugfs", "mount", "umount")
SEARCH_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

_I_BLOCK_OFFSET = 40
"""Offset in an inode of i_block, which begins with the magic number of the extents (ext4's on-disk format)."""


def why_no_image() -> str:
    """Return why there can be no image here, or an empty text when there can."""
    if os.geteuid() != 0:
        return "only root mounts an image"
    missing = [name for name in PROGRAMS if shutil.which(name, path=SEARCH_PATH) is None]
    if missing:
        return f"no {', '.join(missing)} to mount an image"
    return ""


class DiskImage:
    """An ext4 file system, mounted at `mount_point` while the context lasts."""

    def __init__(self, directory: Path, megabytes: int = 0) -> None:
        """Make a new file system of `megabytes`, or take the one that is in the directory."""
        self.file = directory / "image"
        self.mount_point = directory / "mounted"
        self.mount_point.mkdir()
        if not megabytes:
            return

        with self.file.open("wb") as file:
            file.truncate(megabytes << 20)
        # Without checksums of its own metadata, the file system does not notice what is changed below it.
        _run("mkfs.ext4", "-q", "-F", "-b", str(BLOCK), "-O", "^has_journal,^metadata_csum", str(self.file))

    def __enter__(self) -> DiskImage:
        self.mount()
        return self

    def __exit__(self, *_details: object) -> None:
        if os.path.ismount(self.mount_point):
            _run("umount", str(self.mount_point))

    def mount(self) -> None:
        """Mount the image. Try again when another process took the same free loop device."""
        message = ""

        for _ in range(10):
            process = subprocess.run(
                ["mount", "-o", "loop", self.file, self.mount_point], capture_output=True, check=False
            )
            if process.returncode == 0:
                return

            message = process.stderr.decode()
            time.sleep(0.2)
        raise AssertionError(message)

    @contextlib.contextmanager
    def unmounted(self) -> Iterator[None]:
        """Unmount the image for a block."""
        _run("umount", str(self.mount_point))
        try:
            yield
        finally:
            self.mount()

    def flip_bit(self, path: Path, offset: int = 0, bit: int = 0) -> None:
        """Flip one bit of a file's content on the disk."""
        block = self._find_block(path, offset // BLOCK)
        with self.unmounted(), self.file.open("r+b") as file:
            position = block * BLOCK + offset % BLOCK
            file.seek(position)
            (value,) = file.read(1)
            file.seek(position)
            file.write(bytes([value ^ 1 << bit]))

    def zero_block(self, path: Path, offset: int = 0) -> None:
        """Fill one block of a file with zeros on the disk."""
        block = self._find_block(path, offset // BLOCK)
        with self.unmounted(), self.file.open("r+b") as file:
            file.seek(block * BLOCK)
            file.write(bytes(BLOCK))

    def shorten(self, path: Path, size: int) -> None:
        """Make a file shorter in its inode alone, so that no time changes."""
        inode = path.stat().st_ino
        with self.unmounted():
            _run("debugfs", "-w", "-R", f"set_inode_field <{inode}> size {size}", str(self.file))

    def age_files(self) -> None:
        """Let all files look as if nobody had written them for a day: set the ctimes, which no program can set."""
        inodes = {path.lstat().st_ino for path in self.mount_point.rglob("*")}
        yesterday = int(time.time()) - DAY
        script = self.file.with_name("script")
        script.write_text("".join(f"set_inode_field <{inode}> ctime @{yesterday}\n" for inode in inodes))
        with self.unmounted():
            _run("debugfs", "-w", "-f", str(script), str(self.file))
        assert all(path.lstat().st_ctime < time.time() - DAY + 3600 for path in self.mount_point.rglob("*"))

    def toggle_readable(self, path: Path) -> int:
        """Make a file or directory unreadable by damaging the map of its blocks. Return its inode, which mends it."""
        inode = path.stat().st_ino
        self.toggle_inode_readable(inode)
        return inode

    def toggle_inode_readable(self, inode: int) -> None:
        """Invert the magic number of an inode's extents: once makes the file unreadable, twice is as before."""
        os.sync()  # debugfs reads the disk, not the page cache

        location = re.search(
            r"at block (\d+), offset (0x\w+)", _run("debugfs", "-R", f"imap <{inode}>", str(self.file))
        )
        assert location is not None
        block = int(location[1])
        offset = int(location[2], 16)

        with self.unmounted(), self.file.open("r+b") as file:
            position = block * BLOCK + offset + _I_BLOCK_OFFSET
            file.seek(position)
            magic = file.read(2)
            file.seek(position)
            file.write(bytes(byte ^ 0xFF for byte in magic))

    def _find_block(self, path: Path, logical: int) -> int:
        """Return the physical block of a file's block. Only a file that has been written to the disk has one."""
        inode = path.stat().st_ino
        os.sync()
        output = _run("debugfs", "-R", f"bmap <{inode}> {logical}", str(self.file))
        number = int(output.split()[0])
        assert number, f"{path} has no block {logical}"
        return number


def _run(*command: str) -> str:
    process = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": SEARCH_PATH},
        stdin=subprocess.DEVNULL,
    )
    assert process.returncode == 0, f"{command}: {process.stderr}"
    return process.stdout
