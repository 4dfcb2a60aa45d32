"""Hold one run on its way, in tables.

Entries of the walk go in, results of the hash pass are added, and both leave as the records of the report and as the
next state.

The tables lie in two files beside the state, neither journalled nor flushed: when the collector dies, the next run
begins anew. The file that becomes the state is flushed and renamed at the very end.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from json.encoder import encode_basestring as quote
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from scanner.collector.entries import FailedFile, FileResult, HashedFile, WalkedEntry, fit_status
from scanner.collector.run import queries, state
from scanner.collector.run.confirm import UNSTABLE
from scanner.collector.run.previous_run import PreviousRun
from scanner.collector.run.storage import storage_errors
from scanner.collector.system import durable, interrupt
from scanner.collector.system.fail_points import fail_point
from scanner.format import paths
from scanner.format.canonical_json import canonical_json
from scanner.format.entry_type import EntryType
from scanner.format.records import Entry, Note, Record

# Plain integers: an enum's members are slow to look up, and these are needed once an entry.
_FILE = EntryType.FILE.value
_ERROR = EntryType.ERROR.value

BATCH = 5000
"""Rows that are inserted or fetched at once."""
PATH_LIMIT = 32_000
"""Bytes of a coded path in JSON. With two of them (a hard link, or a link's target) a line stays below 64 KiB."""
# A path of so many characters is shorter than PATH_LIMIT, whatever they are: JSON needs at most six bytes for one.
_SURELY_SHORT = PATH_LIMIT // 6 - 1
_STATE_NAME = "next.db"
_SCRATCH_NAME = "work.db"
_PRAGMAS = ("page_size=8192", "journal_mode=OFF", "synchronous=OFF", "cache_size=-40960", "locking_mode=EXCLUSIVE")
# Instructions of SQLite, some milliseconds, after which a long statement looks for a signal.
_INSTRUCTIONS = 1_000_000
# Rounds in which the next path of an inode is tried. In the last one each path is read by itself.
_LINK_ROUNDS = 8
_SHA256_BYTES = 32


class PlannedTotals(NamedTuple):
    """Work of the hash pass."""

    entries: int
    """Entries of all types."""
    files: int
    """Files, one for each inode."""
    bytes: int


class RecordCount(NamedTuple):
    """Number of the report's records."""

    entries: int
    notes: int


class _FileInPass(NamedTuple):
    """A file that the hash pass is reading."""

    id: int
    status: Tuple[int, ...]
    """Size, times, mode, owner, device and inode, as the walk saw them and the tables hold them."""
    read_ns: int
    """A time before the read."""


class Workspace:
    """Tables of one run in the directory of its replica. StorageError when they cannot be written."""

    def __init__(self, directory: Path) -> None:
        self.entries = 0
        self.skipped = 0
        """Paths that are too long for a report."""
        self.vanished = 0
        self.confirmed = 0
        self.same_date = 0
        self.misread = 0
        self.unstable = 0
        self._directory = directory
        self._state_file = directory / _STATE_NAME
        self._scratch_file = directory / _SCRATCH_NAME
        self._new_entries: List[Tuple[object, ...]] = []
        self._new_digests: List[Tuple[object, ...]] = []
        self._files_in_pass: Dict[bytes, _FileInPass] = {}

        discard(directory)
        os.environ["SQLITE_TMPDIR"] = str(directory)  # large sorts spill here, not into a small /tmp

        with storage_errors(directory):
            # Autocommit: transactions begin and end explicitly.
            self._database = sqlite3.connect(str(self._state_file), isolation_level=None, check_same_thread=False)
            self._database.set_progress_handler(interrupt.is_interrupted, _INSTRUCTIONS)
            self._prepare()

    def _prepare(self) -> None:
        """Create the files, readable by their owner alone, and the tables."""
        for path in (self._state_file, self._scratch_file):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        self._database.execute("ATTACH :path AS work", {"path": str(self._scratch_file)})
        for schema in ("main", "work"):
            for pragma in _PRAGMAS:
                self._database.execute(f"PRAGMA {schema}.{pragma}").fetchall()
        self._database.executescript(state.SCHEMA)
        self._database.executescript(queries.SCHEMA)
        self._database.execute("BEGIN")

    def add_entry(self, entry: WalkedEntry) -> None:
        """Add an entry of the walk. A path that is too long for a line is noted and otherwise left out."""
        path = paths.encode(entry.path)
        if len(path) > _SURELY_SHORT and not _fits_in_line(path):
            self._skip(path)
            return

        self._new_entries.append((path, *_entry_values(entry)))
        if len(self._new_entries) >= BATCH:
            self._flush_entries()

    def _skip(self, path: str) -> None:
        """Count the path in a note on the longest directory above it that fits in a line."""
        self.skipped += 1
        while not _fits_in_line(path):
            path = path.rpartition("/")[0]
        with storage_errors(self._directory):
            self._database.execute(queries.COUNT_NOTE, {"path": path, "note": "skipped"})

    def _flush_entries(self) -> None:
        with storage_errors(self._directory):
            fail_point("walk:batch", disk=True)
            self._database.executemany(queries.INSERT_WALKED, self._new_entries)
        self._new_entries.clear()

    def plan_hash_pass(self, may_repeat: bool = False) -> PlannedTotals:
        """Sort the files, the largest first, find hard links, and return what there is to read. Ends the walk.

        `may_repeat` says whether the walk may have yielded a path twice.
        """
        self._flush_entries()
        with storage_errors(self._directory):
            if may_repeat:
                self._database.execute(queries.DROP_REPETITIONS)
            self._database.execute(queries.SORT_ENTRIES, {"file": _FILE})
            self._database.execute(queries.FIND_HARD_LINKS, {"file": _FILE})
            return PlannedTotals(*self._database.execute(queries.COUNT_PLANNED, {"file": _FILE}).fetchone())

    def files_to_hash(self) -> Iterator[WalkedEntry]:
        """Yield the files to read, the largest first, one path of each inode."""
        return self._fetch_files(queries.FILES_TO_HASH)

    def hard_link_rounds(self) -> Iterator[Iterator[WalkedEntry]]:
        """Yield further files to read, in rounds, after those of `files_to_hash`.

        They are hard links whose first path is gone, could not be opened, or is another inode by now. A round ends
        when all its files have results.
        """
        for round_number in range(1, _LINK_ROUNDS + 1):
            self._flush_digests()
            with storage_errors(self._directory):
                # A script of several statements must not run inside a transaction: sqlite3 would commit it.
                self._database.execute("COMMIT")
                self._database.executescript(queries.REPLACE_FIRST_PATHS)
                if round_number == _LINK_ROUNDS:
                    self._database.executescript(queries.DISSOLVE_HARD_LINKS)
                self._database.execute("BEGIN")
                (file_count,) = self._database.execute(queries.COUNT_NEXT_ROUND).fetchone()
            if not file_count:
                return
            yield self._fetch_files(queries.FILES_OF_NEXT_ROUND)

    def _fetch_files(self, query: str) -> Iterator[WalkedEntry]:
        last_id = 0
        while True:
            with storage_errors(self._directory):
                rows = self._database.execute(query, {"file": _FILE, "last_id": last_id, "count": BATCH}).fetchall()
            if not rows:
                return

            for coded_path, *values, last_id in rows:  # the last id is where the next batch begins
                path = paths.decode(coded_path)
                self._files_in_pass[path] = _FileInPass(last_id, tuple(values[1:9]), time.time_ns())
                yield WalkedEntry(path, *values)

    def add_result(self, result: FileResult) -> None:
        """Add the result of a file that came from `files_to_hash` or `hard_link_rounds`."""
        file = self._files_in_pass.pop(result.path)
        if isinstance(result, HashedFile):
            self._new_digests.append((file.id, result.sha256 + result.md5, file.read_ns))
            status = result[3:]  # size … ino
            if status != file.status and fit_status(status) != file.status:
                self._insert(queries.INSERT_CHANGED_STATUS, (file.id, *fit_status(status)))
        elif isinstance(result, FailedFile):
            self._insert(queries.INSERT_PROBLEM, (file.id, result.error, result.stage))
        else:
            self.vanished += 1
            self._insert(queries.INSERT_PROBLEM, (file.id, "", ""))

        if len(self._new_digests) >= BATCH:
            self._flush_digests()

    def _insert(self, statement: str, values: Tuple[object, ...]) -> None:
        with storage_errors(self._directory):
            self._database.execute(statement, values)

    def _flush_digests(self) -> None:
        with storage_errors(self._directory):
            fail_point("hash:batch", disk=True)
            self._database.executemany(queries.INSERT_DIGEST, self._new_digests)
        self._new_digests.clear()

    def merge_results(self) -> None:
        """Merge entries and results into the next state, sorted by path. Ends the hash pass."""
        self._flush_digests()
        with storage_errors(self._directory):
            (unanswered,) = self._database.execute(queries.COUNT_UNANSWERED, {"file": _FILE}).fetchone()
            if unanswered:
                raise RuntimeError(f"the hash pass gave no answer for {unanswered} files")
            self._database.execute(queries.NOTE_VANISHED)
            self._database.execute(queries.MERGE_RESULTS, {"error": _ERROR})
            self._database.execute("COMMIT")

    def previous_run(self) -> PreviousRun:
        """Return the comparison with the previous complete run. Call after `merge_results`."""
        return PreviousRun(self._database, self._directory)

    def count_records(self) -> RecordCount:
        """Return the number of records of the report. Call when nothing changes any more."""
        with storage_errors(self._directory):
            count = RecordCount(*self._database.execute(queries.COUNT_RECORDS).fetchone())
            self.confirmed = self._count_notes("confirmed")
            self.misread = self._count_notes("misread")
            parameters = {"error": _ERROR, "name": UNSTABLE}
            (self.unstable,) = self._database.execute(queries.COUNT_ERRORS_OF_NAME, parameters).fetchone()
        self.entries = count.entries
        return count

    def _count_notes(self, note: str) -> int:
        (count,) = self._database.execute(queries.COUNT_NOTES_OF_KIND, {"note": note}).fetchone()
        return int(count)

    def records(self) -> Iterator[Record]:
        """Yield the records of the report, entries and then notes, in their order. Call after `count_records`."""
        with storage_errors(self._directory):
            rows = self._database.execute(queries.ENTRIES)
            for path, kind, size, mtime_ns, mode, uid, gid, digest, detail, stage in rows:
                if kind == _FILE:
                    sha256 = digest[:_SHA256_BYTES]
                    md5 = digest[_SHA256_BYTES:]
                    yield Entry(path, _FILE, size, mtime_ns, mode, uid, gid, sha256, md5, detail or None)
                elif kind == _ERROR:
                    yield Entry(path, _ERROR, detail=detail, stage=stage)
                else:
                    yield Entry(path, kind, detail=detail)

            for path, note, count, detail in self._database.execute(queries.NOTES):
                if note == "skipped":
                    yield Note(path, note, canonical_json({"reason": "ENAMETOOLONG", "count": count}))
                else:
                    yield Note(path, note, detail or "")

    def commit(self, meta: Dict[str, Any]) -> None:
        """Make what this run saw the state of the replica. It is on disk when this returns."""
        meta_rows = [(key, json.dumps(value)) for key, value in meta.items()]
        with storage_errors(self._directory):
            self._database.executemany(queries.INSERT_META, meta_rows)
            # PRAGMA takes no parameters.
            self._database.execute(f"PRAGMA main.application_id={state.APPLICATION_ID}")
            self._database.execute(f"PRAGMA main.user_version={state.SCHEMA_VERSION}")
            self._database.close()

        # Flushed before it is renamed, as in `durable`: SQLite itself did not flush it (synchronous=OFF).
        with durable.storage_errors(self._state_file):
            fail_point("state:written", disk=True)
            with self._state_file.open("rb") as file:
                os.fsync(file.fileno())
        durable.rename(self._state_file, self._directory / state.FILE_NAME)
        discard(self._directory)

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop what was not committed."""
        self._database.close()
        discard(self._directory)


def discard(directory: Path) -> None:
    """Remove the tables that an unfinished run left in the directory of its replica."""
    for name in (_STATE_NAME, _SCRATCH_NAME):
        durable.remove_file(directory / name)
        durable.remove_file(directory / f"{name}-journal")


def _fits_in_line(path: str) -> bool:
    return len(quote(path).encode()) <= PATH_LIMIT


def _entry_values(entry: WalkedEntry) -> Tuple[object, ...]:
    """Return the columns of an entry after its path.

    Nothing is NULL but an empty text: binding None to a statement is slow in sqlite3.
    """
    kind = entry.type
    stage = entry.stage or ""
    detail = "" if entry.detail is None else paths.encode(entry.detail)
    if kind != _FILE and not detail:
        # A link with an empty target: no line can hold it.
        kind = _ERROR
        detail = "EINVAL"
        stage = "stat"
    return (kind, *fit_status(entry[2:10]), entry.nlink, detail, stage)
