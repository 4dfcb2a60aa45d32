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
from scanner.collector.entries import FailedFile, FileResult, HashedFile, WalkedEntry
from scanner.collector.run.hash_pass import HashPass
from scanner.collector.system.folders import open_directory, open_root
from scanner.collector.system.page_cache import cached_pages

FUTURE_NS = 300 * 10**9
"""A modification time further ahead is worth a word."""
UNSTABLE, CHANGED = "EUNSTABLE", "ECHANGED"


class Suspect(NamedTuple):
    """A file whose content is another than last time though its times do not say so, or a further name of one."""

    found: WalkedEntry
    digest: bytes
    """SHA-256 and MD5 of the first read."""
    was: Optional[bytes]
    """Those of the last run; None for a name that is no suspect by itself."""
    ctime_same: bool
    """That last run's ctime is the present one, and that this proves something (`stamps`)."""


class Confirmation(NamedTuple):
    """What further reads made of a suspect: what its entry is now, and the notes with their members."""

    result: Optional[FileResult]
    """The entry, when it is another than the first read's."""
    notes: Dict[str, Dict[str, Any]]


class Rereads(NamedTuple):
    """Two further reads of a file."""

    second: FileResult
    third: FileResult
    cold: bool
    """That the system said before each of them that nothing of the file was cached."""
    engines: List[str]
    """Who read."""
    against: str
    """The uuid of the run whose content was another."""


class Rereader:
    """Reads suspects twice more, each time cold and with another engine."""

    def __init__(
        self,
        root: bytes,
        engines: Tuple[EngineChoice, EngineChoice],
        workers: int,
        max_rate: Optional[float],
        against: str,
    ) -> None:
        """`max_rate` is in bytes a second, for all workers together; `against` is the uuid of the last run."""
        self._root, self._engines, self._workers, self._max_rate = root, engines, workers, max_rate
        self._against = against
        self._done = 0
        self._pass: Optional[HashPass] = None

    @property
    def bytes_done(self) -> int:
        """The bytes read so far, in both reads."""
        return self._done + (self._pass.bytes_done if self._pass else 0)

    def verdicts(self, chunk: List[List[Suspect]]) -> Iterator[Tuple[Suspect, Confirmation]]:
        """The verdict on each suspect of a chunk, in which the names of an inode stand together.

        The first name of an inode is read. When it is gone by now, or another inode, that says nothing of the others:
        the next one is read.
        """
        while chunk:
            left: List[List[Suspect]] = []
            reads = self._read_twice([names[0].found for names in chunk])
            for first, *others in chunk:
                pair = reads[first.found.path]
                verdict = judge(first, pair)
                yield first, verdict
                if _speaks_for_inode(first.found, verdict.result):
                    yield from ((other, judge(other, pair)) for other in others)
                elif others:
                    left.append(others)
            chunk = left

    def _read_twice(self, files: List[WalkedEntry]) -> Dict[bytes, Rereads]:
        passes: List[Dict[bytes, FileResult]] = []
        warm: Set[bytes] = set()
        for choice in self._engines:
            warm |= self._evict(files)
            passes.append(self._read(choice, files))
        engines = [choice.engine.name for choice in self._engines]
        return {
            path: Rereads(second, passes[1][path], path not in warm, engines, self._against)
            for path, second in passes[0].items()
        }

    def _evict(self, files: List[WalkedEntry]) -> Set[bytes]:
        """Drop the page cache of these files; the paths of which something may be cached still."""
        descriptor = open_root(self._root)
        try:
            return {found.path for found in files if not _evicted(Root(self._root, descriptor), found)}
        finally:
            os.close(descriptor)

    def _read(self, choice: EngineChoice, files: List[WalkedEntry]) -> Dict[bytes, FileResult]:
        largest_first = sorted(files, key=lambda found: -found.size)
        with HashPass(self._root, choice, self._workers, self._max_rate) as hash_pass:
            self._pass = hash_pass
            results = {result.path: result for result in hash_pass.run(largest_first)}
        self._done, self._pass = self.bytes_done, None
        return results


def _evicted(root: Root, found: WalkedEntry) -> bool:
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
    os.fsync(descriptor)  # what is not yet on the disk cannot be dropped, and may not yet be stamped
    if not hasattr(os, "posix_fadvise"):
        return False
    size = os.fstat(descriptor).st_size
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    return size == 0 or cached_pages(descriptor, 0, size) == 0


def judge(suspect: Suspect, reads: Rereads) -> Confirmation:
    """The verdict of two further reads."""
    steady = _steady(suspect.found, reads)
    if steady is not None:
        return Confirmation(steady, {})
    assert isinstance(reads.second, HashedFile) and isinstance(reads.third, HashedFile)  # for the type checker
    digest = _digest(reads.third)
    if _digest(reads.second) != digest:
        return Confirmation(FailedFile(suspect.found.path, UNSTABLE, "read"), {})
    members = {
        "against": reads.against,
        "ctime_same": suspect.ctime_same,
        "cold": reads.cold,
        "engines": reads.engines,
        "reads": 3,
    }
    notes = {"confirmed": members} if digest != suspect.was else {}
    if digest != suspect.digest:
        notes["misread"] = {**members, "sha256": suspect.digest[:32].hex()}
    return Confirmation(None if digest == suspect.digest else reads.third, notes if suspect.was is not None else {})


def _steady(found: WalkedEntry, reads: Rereads) -> Optional[FileResult]:
    """What is to be told of a file that a read failed on or that somebody writes, and proves nothing of the past: the
    newest read that found it steady, else its error; None when both reads saw what the first one saw."""
    second, third = reads.second, reads.third
    if not isinstance(third, HashedFile):
        shaken = isinstance(third, FailedFile) and third.error == CHANGED
        return second if shaken and isinstance(second, HashedFile) else third
    if isinstance(second, FailedFile) and second.error != CHANGED:
        return second
    if not isinstance(second, HashedFile) or _moved(found, second) or _moved(found, third):
        return third
    return None


def _speaks_for_inode(found: WalkedEntry, result: Optional[FileResult]) -> bool:
    """Whether a result holds for all names of the inode that the walk saw: not when only this name could not be
    opened, is gone, or is another file's now."""
    if isinstance(result, HashedFile):
        return (result.dev, result.ino) == (found.dev, found.ino)
    return result is None or (isinstance(result, FailedFile) and result.stage == "read")


def _digest(read: HashedFile) -> bytes:
    return read.sha256 + read.md5


def _moved(found: WalkedEntry, read: HashedFile) -> bool:
    return (found.size, found.mtime_ns, found.ctime_ns, found.dev, found.ino) != (
        read.size,
        read.mtime_ns,
        read.ctime_ns,
        read.dev,
        read.ino,
    )
