"""Read again, twice, each file whose content changed although nothing says that anybody wrote to it.

Both reads bypass the page cache where the system lets it be dropped, and each is done by another engine. What three
reads agree on is on the disk. What two agree on against the first was misread at first. When no two agree, the file is
unstable: memory, a cable or a controller is at fault, and nothing is known of a change.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from scanner.collector.engines.base import Root
from scanner.collector.engines.choice import EngineChoice
from scanner.collector.engines.reading import UnstableFileError, open_file, open_flags
from scanner.collector.entries import FailedFile, FileResult, HashedFile, WalkedEntry, as_signed, fit_status
from scanner.collector.run.hash_pass import HashPass
from scanner.collector.run.limits import ResourceLimits
from scanner.collector.system.cached_pages import count_cached_pages
from scanner.collector.system.deadline import call_within
from scanner.collector.system.directories import open_directory, open_root

UNSTABLE = "EUNSTABLE"
"""Error of a file of which no two reads agree."""
CHANGED = "ECHANGED"
"""Error of a file that changed while it was read."""
_SHA256_BYTES = 32


class Suspect(NamedTuple):
    """One path of a file whose content changed although its times do not say so."""

    entry: WalkedEntry
    digest: bytes
    """SHA-256 and MD5 of the first read."""
    previous_digest: Optional[bytes]
    """Those of the previous run. None for a path that is no suspect itself, but belongs to the inode of one."""
    ctime_same: bool
    """Whether the ctime is that of the previous run, and this proves something (see `ctime_trust`)."""
    was_path: Optional[str] = None
    """Coded path that the file had in the previous run; None where it is the same."""


class Confirmation(NamedTuple):
    """Result and notes of a suspect after its further reads."""

    result: Optional[FileResult]
    """The new result, None when that of the first read stands."""
    notes: Dict[str, Dict[str, Any]]
    """Members of each note, by its kind."""


class Rereads(NamedTuple):
    """Two further reads of a file."""

    second: FileResult
    third: FileResult
    cold: bool
    """Whether the system said before each of them that nothing of the file was cached."""
    engines: List[str]
    previous_run: str
    """Uuid of the run that saw another content."""


class Rereader:
    """Reader of suspects, twice, each time cold and with another engine."""

    def __init__(
        self,
        root: bytes,
        engines: Tuple[EngineChoice, EngineChoice],
        limits: ResourceLimits,
        previous_run: str,
    ) -> None:
        """`previous_run` is the uuid of the last run."""
        self._root = root
        self._engines = engines
        self._limits = limits
        self._previous_run = previous_run
        self._bytes_of_finished_passes = 0
        self._hash_pass: Optional[HashPass] = None

    @property
    def bytes_done(self) -> int:
        """Bytes read so far, in both reads."""
        bytes_of_present_pass = self._hash_pass.bytes_done if self._hash_pass else 0
        return self._bytes_of_finished_passes + bytes_of_present_pass

    def confirm(self, inodes: List[List[Suspect]]) -> Iterator[Tuple[Suspect, Confirmation]]:
        """Yield each suspect with its confirmation. A list holds the suspects that are paths of one inode.

        The first path of an inode is read. When it is gone by now, or is another inode, that says nothing of the other
        paths, and the next one is read.
        """
        while inodes:
            remaining_inodes: List[List[Suspect]] = []
            rereads_by_path = self._read_twice([suspects[0].entry for suspects in inodes])
            for first_suspect, *other_suspects in inodes:
                rereads = rereads_by_path[first_suspect.entry.path]
                confirmation = judge(first_suspect, rereads)
                yield first_suspect, confirmation

                if _speaks_for_inode(first_suspect.entry, confirmation.result):
                    for suspect in other_suspects:
                        yield suspect, judge(suspect, rereads)
                elif other_suspects:
                    remaining_inodes.append(other_suspects)
            inodes = remaining_inodes

    def _read_twice(self, entries: List[WalkedEntry]) -> Dict[bytes, Rereads]:
        """Read each file with both engines and return the reads by path."""
        first_choice, second_choice = self._engines

        # Each read is preceded by a drop of its own: the first read has just filled the cache again.
        warm_paths = self._drop_from_cache(entries)
        second_reads = self._read(first_choice, entries)
        warm_paths |= self._drop_from_cache(entries)
        third_reads = self._read(second_choice, entries)

        engine_names = [first_choice.engine.name, second_choice.engine.name]
        return {
            path: Rereads(
                second=second_read,
                third=third_reads[path],
                cold=path not in warm_paths,
                engines=engine_names,
                previous_run=self._previous_run,
            )
            for path, second_read in second_reads.items()
        }

    def _drop_from_cache(self, entries: List[WalkedEntry]) -> Set[bytes]:
        """Drop the files from the page cache. Return the paths of which something may still be cached."""
        try:
            return call_within(self._limits.no_progress, lambda: self._drop_each_from_cache(entries))
        except TimeoutError:
            # What hangs here hangs in the read that follows, too, and becomes an error there.
            return {entry.path for entry in entries}

    def _drop_each_from_cache(self, entries: List[WalkedEntry]) -> Set[bytes]:
        descriptor = open_root(self._root)
        try:
            root = Root(self._root, descriptor)
            return {entry.path for entry in entries if not _drop_file_from_cache(root, entry)}
        finally:
            os.close(descriptor)

    def _read(self, choice: EngineChoice, entries: List[WalkedEntry]) -> Dict[bytes, FileResult]:
        # A hash pass takes files largest first, so that no worker is left alone with a large one at the end.
        largest_first = sorted(entries, key=lambda entry: -entry.size)

        limits = self._limits
        with HashPass(self._root, choice, limits.workers, limits.max_rate, no_progress=limits.no_progress) as hash_pass:
            self._hash_pass = hash_pass
            results = {result.path: result for result in hash_pass.run(largest_first)}

        self._bytes_of_finished_passes = self.bytes_done
        self._hash_pass = None
        return results


def _drop_file_from_cache(root: Root, entry: WalkedEntry) -> bool:
    """Drop a file from the page cache. Return whether the system says that nothing of it is cached any more."""
    parent_path, _, name = entry.path.rpartition(b"/")
    try:
        parent = open_directory(root.descriptor, parent_path)
        try:
            descriptor = open_file(name, parent, open_flags(entry.uid))
        finally:
            os.close(parent)
        try:
            return _drop_pages(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, UnstableFileError):
        return False  # the read that follows meets the same error and reports it


def _drop_pages(descriptor: int) -> bool:
    # A page that is not yet on the disk cannot be dropped, and its write may not yet be stamped.
    os.fsync(descriptor)
    if not hasattr(os, "posix_fadvise"):
        return False

    size = os.fstat(descriptor).st_size
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    return size == 0 or count_cached_pages(descriptor, 0, size) == 0


def judge(suspect: Suspect, rereads: Rereads) -> Confirmation:
    """Return what two further reads say of a suspect.

    A note is made only for a path that is a suspect itself, and only where both reads saw the same file as the first
    one, and agree.
    """
    unproven_result = _find_unproven_result(suspect.entry, rereads)
    if unproven_result is not None:
        return Confirmation(unproven_result, {})

    assert isinstance(rereads.second, HashedFile) and isinstance(rereads.third, HashedFile)  # else it was unproven
    digest = _digest(rereads.third)
    # The first read does not count here: two further reads that disagree leave nothing to believe.
    if _digest(rereads.second) != digest:
        return Confirmation(FailedFile(suspect.entry.path, UNSTABLE, "read"), {})

    result = None if digest == suspect.digest else rereads.third
    # A new path of the inode has no past to differ from.
    if suspect.previous_digest is None:
        return Confirmation(result, {})

    members = {
        "against": rereads.previous_run,
        "ctime_same": suspect.ctime_same,
        "cold": rereads.cold,
        "engines": rereads.engines,
        "reads": 3,
    }
    notes = {}
    if digest != suspect.previous_digest:
        notes["confirmed"] = dict(members)
        if suspect.was_path is not None:
            notes["confirmed"]["was_path"] = suspect.was_path
    if digest != suspect.digest:
        notes["misread"] = {**members, "sha256": suspect.digest[:_SHA256_BYTES].hex()}
    return Confirmation(result, notes)


def _find_unproven_result(entry: WalkedEntry, rereads: Rereads) -> Optional[FileResult]:
    """Return the result of a file on which a read failed or that somebody writes, None when neither is so.

    Nothing is proven of such a file's past. Its result is the newest read during which it did not change, or else the
    error of the read.
    """
    second = rereads.second
    third = rereads.third
    if not isinstance(third, HashedFile):
        third_saw_change = isinstance(third, FailedFile) and third.error == CHANGED
        if third_saw_change and isinstance(second, HashedFile):
            return second
        return third

    # An error of the disk stays an error, even if the next attempt succeeded.
    if isinstance(second, FailedFile) and second.error != CHANGED:
        return second

    # Somebody writes the file: what was read last is what it holds now.
    if not isinstance(second, HashedFile) or _has_changed(entry, second) or _has_changed(entry, third):
        return third
    # Where each look gives another inode, the numbers say nothing.
    if second.ino == third.ino and as_signed(third.ino) != entry.ino:
        return third
    return None


def _speaks_for_inode(entry: WalkedEntry, result: Optional[FileResult]) -> bool:
    """Return whether a result holds for all paths of the inode that the walk saw.

    It does not when only this path could not be opened, is gone, or belongs to another file by now.
    """
    if isinstance(result, HashedFile):
        return (as_signed(result.dev), as_signed(result.ino)) == (entry.dev, entry.ino)
    return result is None or (isinstance(result, FailedFile) and result.stage == "read")


def _digest(file: HashedFile) -> bytes:
    return file.sha256 + file.md5


def _has_changed(entry: WalkedEntry, file: HashedFile) -> bool:
    """Return whether a read saw another status than the walk, whose numbers are those that the tables can hold."""
    size, mtime_ns, ctime_ns, *_, dev, _ = fit_status(file[3:])
    return (entry.size, entry.mtime_ns, entry.ctime_ns, entry.dev) != (size, mtime_ns, ctime_ns, dev)
