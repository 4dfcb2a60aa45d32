"""The last complete run beside the present one, while both are tables: which files are suspect, and what to note."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Iterator, List, Optional, Tuple, Type

from scanner.collector.entries import FailedFile, FileResult, HashedFile, WalkedEntry
from scanner.collector.errors import StorageError
from scanner.collector.run import ctime_trust, queries, state
from scanner.collector.run.confirm import FUTURE_NS, Confirmation, Suspect
from scanner.collector.system import durable, interrupt
from scanner.collector.system.failpoint import reach
from scanner.format import paths
from scanner.format.canonical_json import canonical_json
from scanner.format.entry_type import EntryType
from scanner.format.records import INT64, UINT32

# A plain integer: an enum's members are slow to look up, and this one is needed once an entry.
_FILE = EntryType.FILE.value

CHUNK, CHUNK_BYTES = 5000, 1 << 30
"""Suspects, and their bytes, that are dropped from the page cache and then read: with more, others could have brought
some back by the time that they are read."""


class PreviousRun:
    """A context in which the tables of the last run, when there are any, are attached to those of the present one."""

    def __init__(self, database: sqlite3.Connection, folder: Path) -> None:
        self._db, self._folder = database, folder
        self._known = (folder / state.FILE_NAME).exists()
        self._since, self._settled = 0, False

    def __enter__(self) -> PreviousRun:
        if self._known:
            with storage(self._folder):
                self._db.execute(queries.ATTACH_LAST, (str(self._folder / state.FILE_NAME),))
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._let_go()

    def _let_go(self) -> None:
        if self._known:
            self._known = False
            with storage(self._folder):
                self._db.execute(queries.DETACH_LAST)

    def find_suspects(self, ctimes_tell: bool) -> Tuple[int, int]:
        """Note odd clocks, and find files whose content changed though their times do not say so; how many names, and
        the bytes of what they name. A damaged file of the last run is set aside: then nothing is known of what was.

        `ctimes_tell`: whether an equal ctime can prove anything here.
        """
        future = time.time_ns() + FUTURE_NS
        try:
            return self._find(future, ctimes_tell)
        except sqlite3.OperationalError as error:
            interrupt.check()
            raise StorageError(f"cannot keep the state of a run in {self._folder}: {error}") from error
        except sqlite3.DatabaseError:
            self._let_go()
            durable.rename(self._folder / state.FILE_NAME, self._folder / f"{state.FILE_NAME}.damaged")
            return 0, 0

    def _find(self, future: int, ctimes_tell: bool) -> Tuple[int, int]:
        self._db.execute(queries.FIND_CLOCKS if self._known else queries.FIND_FIRST_CLOCKS, (future,))
        if self._known:
            self._db.execute(queries.FIND_SUSPECTS, (ctimes_tell, ctime_trust.SETTLED_NS, future))
            self._db.execute(queries.WITH_LINKS)
        self._db.execute(queries.SAY_CLOCKS, (future,))
        if not self._known:
            return 0, 0
        count, size = self._db.execute(queries.SUSPECTED).fetchone()
        return int(count), int(size)

    def suspects(self) -> Iterator[List[List[Suspect]]]:
        """The suspects in chunks, the names of an inode together."""
        last = 0
        while True:
            with storage(self._folder):
                rows = self._db.execute(queries.SUSPECTS, (last, CHUNK)).fetchall()
            if not rows:
                return
            reach("confirm:chunk")
            chunk, taken = _chunk(rows)
            last += taken
            self._since = time.time_ns()
            yield chunk

    def settle(self, suspect: Suspect, verdict: Confirmation) -> None:
        """Keep what became of a suspect: its entry, and its notes.

        The notes stand at each name of an inode that is suspect, though one read speaks for all: whoever asks about a
        path looks for the note of that path.
        """
        path = paths.encode(suspect.found.path)
        with storage(self._folder):
            self._settle(path, verdict.result)
            for note, members in verdict.notes.items():
                self._say(path, note, canonical_json(members))

    def _settle(self, path: str, result: Optional[FileResult]) -> None:
        if isinstance(result, HashedFile):
            status = fit(result[3:])
            self._db.execute(queries.SETTLE, (result.sha256 + result.md5, self._since, *status, path))
        elif isinstance(result, FailedFile):
            self._db.execute(queries.SETTLE_ERROR, (result.error, result.stage, path))
        elif result is not None:
            self._db.execute(queries.SETTLE_GONE, (path,))
            self._say(path, "vanished", "")
        self._settled = self._settled or result is not None

    def _say(self, path: str, note: str, members: str) -> None:
        self._db.execute(queries.SAY, (path, note, members))

    def relink(self) -> None:
        """Let hard links name a first path that is there, after all was settled."""
        if self._settled:
            with storage(self._folder):
                self._db.executescript(queries.LEAD_ANEW)


def _chunk(rows: List[Tuple[Any, ...]]) -> Tuple[List[List[Suspect]], int]:
    """The suspects of these rows, as many as are read soon after they were dropped from the cache, and how many rows
    that are. The names of an inode are parted only when they alone are more than a chunk."""
    chunk: List[List[Suspect]] = []
    taken = size = 0
    for _lead, named in groupby(rows, key=itemgetter(1)):
        names = [_suspect(row) for row in named]
        size += names[0].found.size
        perhaps_parted = taken + len(names) == CHUNK
        if chunk and (size > CHUNK_BYTES or perhaps_parted):
            break
        chunk.append(names)
        taken += len(names)
    return chunk, taken


def _suspect(row: Tuple[Any, ...]) -> Suspect:
    _number, _lead, path, *status, digest, was, ctime_same = row
    size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino = status
    found = WalkedEntry(paths.decode(path), _FILE, size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino)
    return Suspect(found, digest, was, bool(ctime_same))


def fit(status: Tuple[int, ...]) -> Tuple[int, ...]:
    """Size, times, mode, owner, device and inode of a Found or a Hashed, within what SQLite and the report hold."""
    if max(status) <= INT64[-1] and min(status) >= 0:
        return status
    size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino = status
    owner = uid & UINT32[-1], gid & UINT32[-1]
    return (size, _clamp(mtime_ns), _clamp(ctime_ns), mode, *owner, _signed(dev), _signed(ino))


def _clamp(value: int) -> int:
    return max(INT64[0], min(INT64[-1], value))


def _signed(value: int) -> int:
    """An unsigned 64-bit number as the signed one of the same bits."""
    return value - 2**64 if value > INT64[-1] else value


@contextmanager
def storage(folder: Path) -> Iterator[None]:
    """StorageError for what SQLite or the system says of the tables in `folder`."""
    try:
        yield
    except sqlite3.Error as error:
        interrupt.check()
        raise StorageError(f"cannot keep the state of a run in {folder}: {error}") from error
    except OSError as error:
        raise StorageError(f"cannot keep the state of a run in {folder}: {error.strerror or error}") from error
