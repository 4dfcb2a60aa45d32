"""Make directories with everything in them that can make a collector stumble, and a meter that slows nothing down."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

from scanner.collector.engines.base import Meter
from scanner.collector.entries import HashedFile, WalkedEntry
from scanner.collector.run.walk import walk
from scanner.format.entry_type import EntryType
from scanner.format.excludes import Excludes

RECORD = hashlib.sha256(b"b").hexdigest().encode()
NASTY_NAMES = [
    b"plain",
    b"new\nline",
    b"trailnl\n",
    b"cr\rx",
    b"back\\slash",
    b"\\lead",
    b"lit\\n",
    b"-dash",
    b"--",
    b"--help",
    b"-c",
    b"-",
    b" lead",
    b"trail ",
    b"a  b",
    b"tab\there",
    b"nonutf8_\xff\xfe",
    b"lossy_\xff",
    b"lossy_\xfe",
    b"par) = (x",
    b"SHA256 (x) = 00",
    b"sha256 (x) = " + RECORD,
    RECORD + b"  b",
    b"a\n" + RECORD + b"  b",
    b"a",
    b"b",
    b"*star",
    b"quo'te\"",
    b"$(x)`y`",
    b"\x1b[31mred",
    b"\x01",
    "café".encode(),
    "cafe\N{COMBINING ACUTE ACCENT}".encode(),
    "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe".encode(),
    b"x" * 255,
]


def make_nasty_tree(root: Path) -> dict[bytes, bytes]:
    """Make files with nasty names, also below directories with nasty names, and return each path with its content."""
    contents: dict[bytes, bytes] = {}
    for directory in (b"", b"sub\\dir\n/", b"odd\xff/deep er/"):
        os.makedirs(os.path.join(os.fsencode(root), directory), exist_ok=True)
        names = NASTY_NAMES[1:20:3] if directory else NASTY_NAMES
        for number, name in enumerate(names):
            contents[directory + name] = (directory + name) * (number % 5 * 97)
    contents[b"large"] = os.urandom(3 << 20)
    contents[b"middle"] = os.urandom(200_001)

    for path, content in contents.items():
        Path(os.fsdecode(os.path.join(os.fsencode(root), path))).write_bytes(content)
    return contents


def make_special_files(root: Path) -> dict[bytes, bytes]:
    """Make a FIFO and a socket, and return each path with its kind."""
    os.mkfifo(root / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    working_directory = os.getcwd()
    os.chdir(root)  # the address of a socket must be short
    try:
        listener.bind("socket")
    finally:
        os.chdir(working_directory)
        listener.close()
    return {b"fifo": b"fifo", b"socket": b"socket"}


def list_files(root: Path, *patterns: str) -> list[WalkedEntry]:
    """Return the files below `root` that no pattern excludes, the largest first."""
    entries = walk(os.fsencode(root), Excludes(patterns))
    files = [entry for entry in entries if entry.type == EntryType.FILE]
    return sorted(files, key=lambda file: (-file.size, file.path))


def expected_result(entry: WalkedEntry, content: bytes) -> HashedFile:
    """Return the result that a hash pass must give for a file that does not change."""
    return HashedFile(
        path=entry.path,
        sha256=hashlib.sha256(content).digest(),
        md5=hashlib.md5(content).digest(),
        size=entry.size,
        mtime_ns=entry.mtime_ns,
        ctime_ns=entry.ctime_ns,
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        dev=entry.dev,
        ino=entry.ino,
    )


class FreeMeter(Meter):
    """A meter that limits nothing and counts."""

    no_progress = 60.0

    def __init__(self, *, second_thread: bool = False, rate_limited: bool = False) -> None:
        self.count = 0
        self.reserved = 0
        self._second_thread = second_thread
        self._rate_limited = rate_limited

    def start_file(self) -> None:
        self.count = 0

    def reserve(self, byte_count: int) -> None:
        self.reserved += byte_count

    def advance(self, byte_count: int) -> None:
        self.count += byte_count

    def check_parent(self) -> None:
        return

    def keep_alive(self) -> None:
        return

    def is_rate_limited(self) -> bool:
        return self._rate_limited

    def may_use_second_thread(self) -> bool:
        return self._second_thread
