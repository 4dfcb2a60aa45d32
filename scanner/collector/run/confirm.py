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
from scanner.collector.run.hash_pass import HashPass
from scanner.collector.system.folders import open_directory, open_root
from scanner.collector.system.page_cache import cached_pages

FUTURE_NS = 300 * 10**9
"""A modification time further ahead is worth a word."""
UNSTABLE, CHANGED = "EUNSTABLE", "ECHANGED"


class Suspect(NamedTuple):
    """A file whose content is another than last time though its times do not say so, or a further name of one."""

    found: Found
    digest: bytes
    """SHA-256 and MD5 of the first read."""
    was: Optional[bytes]
    """Those of the last run; None for a name that is no suspect by itself."""
    ctime_same: bool
    """That last run's ctime is the present one, and that this proves something (`stamps`)."""


class Verdict(NamedTuple):
    """What further reads made of a suspect: what its entry is now, and the notes with their members."""

    result: Optional[Result]
    """The entry, when it is another than the first read's."""
    notes: Dict[str, Dict[str, Any]]


class Reads(NamedTuple):
    """Two further reads of a file."""

    second: Result
    third: Result
    cold: bool
    """That the system said before each of them that nothing of the file was cached."""
    engines: List[str]
    """Who read."""
    against: str
    """The uuid of the run whose content was another."""


class Rereading:
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

    def verdicts(self, chunk: List[List[Suspect]]) -> Iterator[Tuple[Suspect, Verdict]]:
        """The verdict on each suspect of a chunk, in which the names of an inode stand together.

        The first name of an inode is read. When it is gone by now, or another inode, that says nothing of the others:
        the next one is read.
        """
        while chunk:
            left: List[List[Suspect]] = []
            reads = self._read_twice([names[0].found for names in chunk])
            for first, *others in chunk:
                pair = reads[first.found.path]
                verdict = weigh(first, pair)
                yield first, verdict
                if _speaks_for_inode(first.found, verdict.result):
                    yield from ((other, weigh(other, pair)) for other in others)
                elif others:
                    left.append(others)
            chunk = left

    def _read_twice(self, files: List[Found]) -> Dict[bytes, Reads]:
        passes: List[Dict[bytes, Result]] = []
        warm: Set[bytes] = set()
        for choice in self._engines:
            warm |= self._evict(files)
            passes.append(self._read(choice, files))
        engines = [choice.engine.name for choice in self._engines]
        return {
            path: Reads(second, passes[1][path], path not in warm, engines, self._against)
            for path, second in passes[0].items()
        }

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
    os.fsync(descriptor)  # what is not yet on the disk cannot be dropped, and may not yet be stamped
    if not hasattr(os, "posix_fadvise"):
        return False
    size = os.fstat(descriptor).st_size
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    return size == 0 or cached_pages(descriptor, 0, size) == 0


def weigh(suspect: Suspect, reads: Reads) -> Verdict:
    """The verdict of two further reads."""
    steady = _steady(suspect.found, reads)
    if steady is not None:
        return Verdict(steady, {})
    assert isinstance(reads.second, Hashed) and isinstance(reads.third, Hashed)  # for the type checker
    digest = _digest(reads.third)
    if _digest(reads.second) != digest:
        return Verdict(Failed(suspect.found.path, UNSTABLE, "read"), {})
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
    return Verdict(None if digest == suspect.digest else reads.third, notes if suspect.was is not None else {})


def _steady(found: Found, reads: Reads) -> Optional[Result]:
    """What is to be told of a file that a read failed on or that somebody writes, and proves nothing of the past: the
    newest read that found it steady, else its error; None when both reads saw what the first one saw."""
    second, third = reads.second, reads.third
    if not isinstance(third, Hashed):
        shaken = isinstance(third, Failed) and third.error == CHANGED
        return second if shaken and isinstance(second, Hashed) else third
    if isinstance(second, Failed) and second.error != CHANGED:
        return second
    if not isinstance(second, Hashed) or _moved(found, second) or _moved(found, third):
        return third
    return None


def _speaks_for_inode(found: Found, result: Optional[Result]) -> bool:
    """Whether a result holds for all names of the inode that the walk saw: not when only this name could not be
    opened, is gone, or is another file's now."""
    if isinstance(result, Hashed):
        return (result.dev, result.ino) == (found.dev, found.ino)
    return result is None or (isinstance(result, Failed) and result.stage == "read")


def _digest(read: Hashed) -> bytes:
    return read.sha256 + read.md5


def _moved(found: Found, read: Hashed) -> bool:
    return (found.size, found.mtime_ns, found.ctime_ns, found.dev, found.ino) != (
        read.size,
        read.mtime_ns,
        read.ctime_ns,
        read.dev,
        read.ino,
    )
