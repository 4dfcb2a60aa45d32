"""Directories with everything in them that makes a collector stumble, and a meter that asks for nothing."""

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
NASTY = [
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


def nasty(root: Path) -> dict[bytes, bytes]:
    """A tree of nasty names, below directories with nasty names as well; each path with its content."""
    content: dict[bytes, bytes] = {}
    for folder in (b"", b"sub\\dir\n/", b"odd\xff/deep er/"):
        os.makedirs(os.path.join(os.fsencode(root), folder), exist_ok=True)
        for number, name in enumerate(NASTY if not folder else NASTY[1:20:3]):
            content[folder + name] = (folder + name) * (number % 5 * 97)
    content[b"large"] = os.urandom(3 << 20)
    content[b"middle"] = os.urandom(200_001)
    for path, data in content.items():
        Path(os.fsdecode(os.path.join(os.fsencode(root), path))).write_bytes(data)
    return content


def specials(root: Path) -> dict[bytes, bytes]:
    """A FIFO and a socket; each path with its kind."""
    os.mkfifo(root / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    folder = os.getcwd()
    os.chdir(root)  # a socket's address is short
    try:
        listener.bind("socket")
    finally:
        os.chdir(folder)
        listener.close()
    return {b"fifo": b"fifo", b"socket": b"socket"}


def files(root: Path, *patterns: str) -> list[WalkedEntry]:
    """The files below `root`, largest first."""
    found = [each for each in walk(os.fsencode(root), Excludes(patterns)) if each.type == EntryType.FILE]
    return sorted(found, key=lambda each: (-each.size, each.path))


def expected(found: WalkedEntry, content: bytes) -> HashedFile:
    """What a hash pass must say of a file that stands still."""
    sha256, md5 = hashlib.sha256(content).digest(), hashlib.md5(content).digest()
    fields = found.size, found.mtime_ns, found.ctime_ns, found.mode, found.uid, found.gid, found.dev, found.ino
    return HashedFile(found.path, sha256, md5, *fields)


class FreeMeter(Meter):
    """A meter that asks for nothing and counts."""

    no_progress = 60.0

    def __init__(self, *, wide: bool = False, paced: bool = False) -> None:
        self.count = 0
        self.reserved = 0
        self._wide = wide
        self._paced = paced

    def begin(self) -> None:
        self.count = 0

    def reserve(self, count: int) -> None:
        self.reserved += count

    def advance(self, count: int) -> None:
        self.count += count

    def check(self) -> None:
        return

    def alive(self) -> None:
        return

    def paced(self) -> bool:
        return self._paced

    def wide(self) -> bool:
        return self._wide
