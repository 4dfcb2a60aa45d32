"""One run on its way: what the walk found goes in, what the hash pass made of it comes back, and both leave as the
records of the report and as the next state.

The tables lie in two files beside the state, neither journalled nor flushed: when the collector dies, the next run
begins anew. The one that becomes the state is flushed and renamed at the very end.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from json.encoder import encode_basestring as quote
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from scanner.collector.entries import FailedFile, FileResult, HashedFile, WalkedEntry
from scanner.collector.run import queries, state
from scanner.collector.run.confirm import UNSTABLE
from scanner.collector.run.previous_run import PreviousRun, fit, storage
from scanner.collector.system import durable, interrupt
from scanner.collector.system.failpoint import reach
from scanner.format import paths
from scanner.format.canonical_json import canonical_json
from scanner.format.entry_type import EntryType
from scanner.format.records import Entry, Note, Record

# Plain integers: an enum's members are slow to look up, and these are needed once an entry.
_FILE = EntryType.FILE.value
_ERROR = EntryType.ERROR.value

BATCH = 5000
PATH_LIMIT = 32_000
"""Bytes of a coded path in JSON: with two of them (a hard link), or one and a link's target, a line stays below 64
KiB."""
_CHARACTERS = PATH_LIMIT // 6 - 1
"""A path of this many characters is shorter than PATH_LIMIT, whatever they are."""
_PRAGMAS = ("page_size=8192", "journal_mode=OFF", "synchronous=OFF", "cache_size=-40960", "locking_mode=EXCLUSIVE")
_INSTRUCTIONS = 1_000_000
"""After so many of SQLite's instructions, some milliseconds, a long statement looks for a signal."""
_ROUNDS = 8
"""How often hard links whose first path is gone are led by the next one, before each is read by itself."""


class PlannedTotals(NamedTuple):
    """What the hash pass is to read: entries of all kinds, files (one of each inode) and their bytes."""

    entries: int
    files: int
    bytes: int


class Workspace:
    """The tables of one run in the folder of its replica; StorageError when they cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._next, self._scratch = folder / "next.db", folder / "work.db"
        self._folder = folder
        self._found: List[Tuple[object, ...]] = []
        self._digests: List[Tuple[object, ...]] = []
        self._flying: Dict[bytes, Tuple[int, Tuple[int, ...], int]] = {}
        self.entries = self.skipped = self.vanished = 0
        self.confirmed = self.misread = self.unstable = 0
        discard(folder)
        os.environ["SQLITE_TMPDIR"] = str(folder)  # sorting spills here, not into a small /tmp
        with storage(folder):
            self._db = sqlite3.connect(str(self._next), isolation_level=None, check_same_thread=False)
            self._db.set_progress_handler(interrupt.pending, _INSTRUCTIONS)
            self._prepare()

    def _prepare(self) -> None:
        for path in (self._next, self._scratch):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        self._db.execute("ATTACH ? AS work", (str(self._scratch),))
        for schema in ("main", "work"):
            for pragma in _PRAGMAS:
                self._db.execute(f"PRAGMA {schema}.{pragma}").fetchall()
        self._db.executescript(state.SCHEMA + queries.SCHEMA)
        self._db.execute("BEGIN")

    def add_entry(self, found: WalkedEntry) -> None:
        """Take in what the walk found. A path too long for a line is noted and otherwise left out."""
        path = paths.encode(found.path)
        if len(path) > _CHARACTERS and not fits(path):
            self._skip(path)
            return
        self._found.append((path, *_told(found)))
        if len(self._found) >= BATCH:
            self._flush_found()

    def _skip(self, path: str) -> None:
        self.skipped += 1
        while not fits(path):
            path = path.rpartition("/")[0]
        with storage(self._folder):
            self._db.execute(queries.ADD_NOTE, (path, "skipped"))

    def _flush_found(self) -> None:
        with storage(self._folder):
            reach("walk:batch", disk=True)
            self._db.executemany(queries.ADD_FOUND, self._found)
        self._found.clear()

    def plan_hash_pass(self) -> PlannedTotals:
        """Close the walk: put files in order, the largest first, and find those that are one inode."""
        self._flush_found()
        with storage(self._folder):
            self._db.execute(queries.ORDER)
            self._db.execute(queries.LINK)
            return PlannedTotals(*self._db.execute(queries.TOTALS).fetchone())

    def files_to_hash(self) -> Iterator[WalkedEntry]:
        """What is to be hashed, largest first, one path of each inode."""
        return self._files(queries.FILES)

    def hard_link_rounds(self) -> Iterator[Iterator[WalkedEntry]]:
        """After the first pass: further files to be hashed, since the path that stood for them is gone or another
        now."""
        for number in range(_ROUNDS):
            self._flush_digests()
            with storage(self._folder):
                self._db.execute("COMMIT")
                self._db.executescript(queries.PART)
                if number == _ROUNDS - 1:
                    self._db.executescript(queries.DISSOLVE)
                self._db.execute("BEGIN")
                waiting = self._db.execute("SELECT count(*) FROM work.again").fetchone()[0]
            if not waiting:
                return
            yield self._files(queries.FILES_AGAIN)

    def _files(self, query: str) -> Iterator[WalkedEntry]:
        last = 0
        while True:
            with storage(self._folder):
                rows = self._db.execute(query, (last, BATCH)).fetchall()
            if not rows:
                return
            for path, *values, last in rows:  # the last id is where the next batch begins
                name = paths.decode(path)
                self._flying[name] = (last, tuple(values[1:9]), time.time_ns())
                yield WalkedEntry(name, *values)

    def add_result(self, result: FileResult) -> None:
        """Take in what became of a file that `files_to_hash` gave out."""
        number, before, since = self._flying.pop(result.path)
        if isinstance(result, HashedFile):
            self._digests.append((number, result.sha256 + result.md5, since))
            if result[3:] != before and fit(result[3:]) != before:
                self._run(queries.ADD_RESTAT, (number, *fit(result[3:])))
        elif isinstance(result, FailedFile):
            self._run(queries.ADD_PROBLEM, (number, result.error, result.stage))
        else:
            self.vanished += 1
            self._run(queries.ADD_PROBLEM, (number, "", ""))
        if len(self._digests) >= BATCH:
            self._flush_digests()

    def _run(self, statement: str, values: Tuple[object, ...]) -> None:
        with storage(self._folder):
            self._db.execute(statement, values)

    def _flush_digests(self) -> None:
        with storage(self._folder):
            reach("hash:batch", disk=True)
            self._db.executemany(queries.ADD_DIGEST, self._digests)
        self._digests.clear()

    def merge_results(self) -> None:
        """Bring all together, sorted by path."""
        self._flush_digests()
        with storage(self._folder):
            missing = self._db.execute(queries.UNANSWERED).fetchone()[0]
            if missing:
                raise RuntimeError(f"the hash pass gave no answer for {missing} files")
            self._db.execute(queries.NOTE_VANISHED)
            self._db.execute(queries.SEE)
            self._db.execute("COMMIT")

    def previous_run(self) -> PreviousRun:
        """What the last complete run saw, beside what this one does. Call after `merge_results`."""
        return PreviousRun(self._db, self._folder)

    def count_records(self) -> Tuple[int, int]:
        """The number of entries and of notes of the report. Call when nothing changes any more."""
        with storage(self._folder):
            entries, notes = self._db.execute(queries.COUNT).fetchone()
            self.confirmed, self.misread = (
                self._db.execute(queries.NOTED, (name,)).fetchone()[0] for name in ("confirmed", "misread")
            )
            self.unstable = self._db.execute(queries.UNSTABLE, (UNSTABLE,)).fetchone()[0]
        self.entries = entries
        return entries, notes

    def records(self) -> Iterator[Record]:
        """The records of the report, entries then notes, in their order. Call after `count_records`."""
        with storage(self._folder):
            for path, kind, size, mtime_ns, mode, uid, gid, digest, detail, stage in self._db.execute(queries.ROWS):
                if kind == _FILE:
                    yield Entry(path, _FILE, size, mtime_ns, mode, uid, gid, digest[:32], digest[32:], detail or None)
                else:
                    yield Entry(path, kind, detail=detail, stage=stage if kind == _ERROR else None)
            for path, note, count, detail in self._db.execute(queries.NOTES):
                skipped = canonical_json({"reason": "ENAMETOOLONG", "count": count}) if note == "skipped" else ""
                yield Note(path, note, detail or skipped)

    def commit(self, meta: Dict[str, Any]) -> None:
        """Make what this run saw the state of the replica, durably."""
        with storage(self._folder):
            rows = [(key, json.dumps(value)) for key, value in meta.items()]
            self._db.executemany("INSERT INTO main.meta VALUES (?, ?)", rows)
            self._db.execute(f"PRAGMA main.application_id={state.APPLICATION_ID}")
            self._db.execute(f"PRAGMA main.user_version={state.SCHEMA_VERSION}")
            self._db.close()
        with durable.storage_errors(self._next):
            reach("state:written", disk=True)
            with self._next.open("rb") as file:
                os.fsync(file.fileno())
        durable.rename(self._next, self._folder / state.FILE_NAME)
        discard(self._folder)

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop what was not committed."""
        self._db.close()
        discard(self._folder)


def fits(path: str) -> bool:
    """Whether a coded path is short enough for a line."""
    return len(quote(path).encode()) <= PATH_LIMIT


def discard(folder: Path) -> None:
    """Remove what a run that did not end left in the folder of its replica."""
    for name in ("next.db", "work.db", "next.db-journal", "work.db-journal"):
        durable.remove(folder / name)


def _told(found: WalkedEntry) -> Tuple[object, ...]:
    """What the walk told of a path, as it is kept. None becomes empty: SQLite's binding is slow with None."""
    kind, stage = found.type, found.stage or ""
    detail = "" if found.detail is None else paths.encode(found.detail)
    if kind != _FILE and not detail:
        kind, detail, stage = _ERROR, "EINVAL", "stat"
    return (kind, *fit(found[2:10]), found.nlink, detail, stage)
