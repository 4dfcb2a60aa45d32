"""Content that changed where nothing says that anybody wrote: it is read again, twice, before anything is said of it.

Both reads are cold where the system lets the page cache be dropped, and each is done by another engine. What three
reads agree on is on the disk; what two agree on against the first was misread; what no two agree on is unstable:
memory, a cable or a controller, and no change of the file.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from scanner.collector.engines.base import Root
from scanner.collector.engines.choice import EngineChoice
from scanner.collector.engines.reading import Unsteady, open_file, open_flags
from scanner.collector.entries import Failed, Found, Hashed, Result
from scanner.collector.folders import open_directory, open_root
from scanner.collector.hashpass import HashPass
from scanner.collector.residency import cached_pages

GRANULARITY_NS = 2 * 10**9
"""The coarsest time stamps in use, those of FAT: what was read so soon after it was written can have been written again
without a trace."""
FUTURE_NS = 300 * 10**9
"""A modification time further ahead is worth a word."""
UNSTABLE = "EUNSTABLE"


class Suspect(NamedTuple):
    """A file, one of each inode, whose content is another than last time though its times do not say so."""

    found: Found
    digest: bytes
    """SHA-256 and MD5 of the first read."""
    was: bytes
    """Those of the last run."""
    ctime_same: bool
    """That last run's ctime is the present one, and no write could hide in the same tick of the clock."""


class Verdict(NamedTuple):
    """What further reads made of a suspect: what its entry is now, and the notes with their members."""

    result: Optional[Result]
    """The entry, when it is another than the first read's."""
    notes: Dict[str, Dict[str, Any]]


class Rereading:
    """Reads suspects twice more, each time cold and with another engine."""

    def __init__(
        self, root: bytes, engines: Tuple[EngineChoice, EngineChoice], workers: int, max_rate: Optional[float]
    ) -> None:
        """`max_rate` is in bytes a second, for all workers together."""
        self._root, self._engines, self._workers, self._max_rate = root, engines, workers, max_rate
        self._done = 0
        self._pass: Optional[HashPass] = None

    @property
    def bytes_done(self) -> int:
        """The bytes read so far, in both reads."""
        return self._done + (self._pass.bytes_done if self._pass else 0)

    def verdicts(
        self, chunk: List[Tuple[Suspect, List[str]]], against: Optional[str]
    ) -> Iterator[Tuple[List[str], Verdict]]:
        """The verdict on each suspect of a chunk, with its names; `against` is the uuid of the last run."""
        files = [suspect.found for suspect, _names in chunk]
        reads: List[Dict[bytes, Result]] = []
        warm: Set[bytes] = set()
        for choice in self._engines:
            warm |= self._evict(files)
            reads.append(self._read(choice, files))
        engines = [choice.engine.name for choice in self._engines]
        for suspect, names in chunk:
            path = suspect.found.path
            about = {"against": against or "", "cold": path not in warm, "engines": engines, "reads": 3}
            yield names, weigh(suspect, (reads[0][path], reads[1][path]), about)

    def _evict(self, files: List[Found]) -> Set[bytes]:
        """Drop the page cache of these files; the paths of which something may be cached still."""
        descriptor = open_root(self._root)
        try:
            return {found.path for found in files if not _evicted(Root(self._root, descriptor), found)}
        finally:
            os.close(descriptor)

    def _read(self, choice: EngineChoice, files: List[Found]) -> Dict[bytes, Result]:
        largest_first = sorted(files, key=lambda found: -found.size)
        with HashPass(self._root, choice, self._workers, self._max_rate) as hash_pass:
            self._pass = hash_pass
            results = {result.path: result for result in hash_pass.run(largest_first)}
        self._done, self._pass = self.bytes_done, None
        return results


def _evicted(root: Root, found: Found) -> bool:
    above, _, name = found.path.rpartition(b"/")
    try:
        parent = open_directory(root.descriptor, above)
        try:
            descriptor = open_file(name, parent, open_flags(found.uid))
        finally:
            os.close(parent)
        try:
            return _drop(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, Unsteady):
        return False  # the read that follows says what is wrong with it


def _drop(descriptor: int) -> bool:
    if not hasattr(os, "posix_fadvise"):
        return False
    size = os.fstat(descriptor).st_size
    os.fsync(descriptor)  # what is not yet on the disk cannot be dropped
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    return size == 0 or cached_pages(descriptor, 0, size) == 0


def weigh(suspect: Suspect, reads: Tuple[Result, Result], about: Dict[str, Any]) -> Verdict:
    """The verdict of the two further reads; `about` holds the members that both notes share."""
    second, third = reads
    for read in (third, second):
        if not isinstance(read, Hashed):
            return Verdict(read, {})
    assert isinstance(second, Hashed) and isinstance(third, Hashed)  # for the type checker
    if _moved(suspect.found, third) or _moved(suspect.found, second):
        return Verdict(third, {})  # somebody writes: the newest steady read counts, and proves nothing of the past
    digests = [read.sha256 + read.md5 for read in (second, third)]
    if digests[0] != digests[1]:
        return Verdict(Failed(suspect.found.path, UNSTABLE, "read"), {})
    members = {
        "against": about["against"],
        "ctime_same": suspect.ctime_same,
        "cold": about["cold"],
        "engines": about["engines"],
        "reads": about["reads"],
    }
    if digests[0] == suspect.digest:
        return Verdict(None, {"confirmed": members})
    notes = {"misread": {**members, "sha256": suspect.digest[:32].hex()}}
    if digests[0] != suspect.was:
        notes["confirmed"] = members
    return Verdict(third, notes)


def _moved(found: Found, read: Hashed) -> bool:
    return (found.size, found.mtime_ns, found.ctime_ns, found.dev, found.ino) != (
        read.size,
        read.mtime_ns,
        read.ctime_ns,
        read.dev,
        read.ino,
    )
