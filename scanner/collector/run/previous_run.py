"""Compare a run with the previous complete one, while both are tables.

Finds the files to read again, keeps what became of them, and notes modification times that cannot be right.
"""

from __future__ import annotations

import sqlite3
import time
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Type

from scanner.collector.entries import FailedFile, FileResult, HashedFile, WalkedEntry, fit_status
from scanner.collector.run import ctime_trust, queries, state
from scanner.collector.run.confirm import Confirmation, Suspect
from scanner.collector.run.ctime_trust import FileSystemTrust
from scanner.collector.run.storage import storage_error, storage_errors
from scanner.collector.system.fail_points import fail_point
from scanner.format import paths
from scanner.format.canonical_json import canonical_json
from scanner.format.entry_type import EntryType

# Plain integers: an enum's members are slow to look up, and these are needed once an entry.
_FILE = EntryType.FILE.value
_ERROR = EntryType.ERROR.value

FUTURE_NS = 300 * 10**9
"""A modification time that lies further ahead of the clock is noted."""
CHUNK = 5000
CHUNK_BYTES = 1 << 30
"""Suspects, and their bytes, that are dropped from the page cache together and then read.

With more of them, other programs could bring some back into the cache before they are read.
"""


class SuspectCount(NamedTuple):
    """Size of the work that the suspects cause."""

    paths: int
    bytes: int
    """Bytes of the inodes behind the paths."""


class SuspectRow(NamedTuple):
    """One row of `queries.SUSPECTS`."""

    rowid: int
    first_path: str
    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int
    uid: int
    gid: int
    dev: int
    ino: int
    digest: bytes
    previous_digest: Optional[bytes]
    ctime_same: int
    was_path: Optional[str]


class PreviousRun:
    """Context in which the state of the previous run, if there is one, is attached to the tables of this run."""

    def __init__(self, database: sqlite3.Connection, directory: Path) -> None:
        """`database` holds the merged results of this run, `directory` is that of the replica."""
        self._database = database
        self._directory = directory
        self._is_known = (directory / state.FILE_NAME).exists()
        self._chunk_start_ns = 0
        """A time before the reads of the present chunk."""
        self._has_new_results = False

    def __enter__(self) -> PreviousRun:
        if self._is_known:
            self._execute(queries.ATTACH_PREVIOUS, {"path": str(self._directory / state.FILE_NAME)})
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        self._detach()

    def _detach(self) -> None:
        if self._is_known:
            self._is_known = False
            self._execute(queries.DETACH_PREVIOUS, {})

    def _execute(self, statement: str, parameters: Dict[str, Any]) -> None:
        with storage_errors(self._directory):
            self._database.execute(statement, parameters)

    def find_suspects(self, trust: FileSystemTrust) -> SuspectCount:
        """Note odd modification times, and find the files whose content changed although their times do not say so.

        Renamed files are found by their inodes. A damaged state of the previous run is set aside, and then nothing is
        suspect.
        """
        try:
            return self._compare(trust)
        except sqlite3.OperationalError as error:  # a full disk, a signal: no fault of the previous state
            raise storage_error(self._directory, error) from error
        except sqlite3.DatabaseError:
            self._detach()
            state.set_aside(self._directory)
            return SuspectCount(0, 0)

    def _compare(self, trust: FileSystemTrust) -> SuspectCount:
        parameters = {
            "file": _FILE,
            "future_ns": time.time_ns() + FUTURE_NS,
            "ctimes_trusted": trust.ctimes,
            "inodes_numbered": trust.inodes,
            "one_device": trust.one_device,
            "settled_ns": ctime_trust.SETTLED_NS,
        }
        if not self._is_known:
            self._database.execute(queries.FIND_ODD_CLOCKS_OF_FIRST_RUN, parameters)
            self._database.execute(queries.NOTE_ODD_CLOCKS, parameters)
            return SuspectCount(0, 0)

        # All that reads the previous state comes before the first statement that changes this run's tables.
        self._database.execute(queries.FIND_ODD_CLOCKS, parameters)
        self._database.execute(queries.FIND_DIFFERENT_FILES, parameters)
        self._database.execute(queries.FIND_CHANGED_CONTENTS, parameters)
        self._add_moved_files(parameters)
        self._database.execute(queries.FIND_SUSPECTS, parameters)
        self._database.execute(queries.NOTE_ODD_CLOCKS, parameters)
        return SuspectCount(*self._database.execute(queries.COUNT_SUSPECTS).fetchone())

    def _add_moved_files(self, parameters: Dict[str, Any]) -> None:
        """Add the renamed files whose content changed to those that changed at their path."""
        self._database.execute(queries.FIND_ARRIVED_FILES, parameters)
        (arrived_count,) = self._database.execute(queries.COUNT_ARRIVED_FILES).fetchone()
        if not arrived_count:
            return

        self._database.execute(queries.INDEX_ARRIVED_FILES)
        self._database.execute(queries.FIND_MOVED_FILES, parameters)
        self._database.execute(queries.DROP_CONTENTS_OF_OTHER_FILES)
        self._database.execute(queries.ADD_MOVED_FILES)

    def suspects(self) -> Iterator[List[List[Suspect]]]:
        """Yield the suspects in chunks of inodes. A list holds the suspects that are paths of one inode."""
        last_rowid = 0
        while True:
            with storage_errors(self._directory):
                parameters = {"last_rowid": last_rowid, "count": CHUNK}
                rows = self._database.execute(queries.SUSPECTS, parameters).fetchall()
            if not rows:
                return

            fail_point("confirm:chunk")
            # The time is taken before the reads: what is written later than that is not in their digests.
            chunk = _take_chunk([SuspectRow(*row) for row in rows])
            last_rowid += sum(len(suspects) for suspects in chunk)
            self._chunk_start_ns = time.time_ns()
            yield chunk

    def settle(self, suspect: Suspect, confirmation: Confirmation) -> None:
        """Keep what became of a suspect: its entry and its notes.

        The notes stand at each suspect path of an inode, although one read speaks for all of them: whoever asks about
        a path looks for the note of that path.
        """
        path = paths.encode(suspect.entry.path)
        with storage_errors(self._directory):
            if confirmation.result is not None:
                self._replace_result(path, confirmation.result)
                self._has_new_results = True
            for note, members in confirmation.notes.items():
                self._add_note(path, note, canonical_json(members))

    def _replace_result(self, path: str, result: FileResult) -> None:
        if isinstance(result, HashedFile):
            digest = result.sha256 + result.md5
            values = (digest, self._chunk_start_ns, *fit_status(result[3:]), path)
            self._database.execute(queries.UPDATE_FILE, values)
        elif isinstance(result, FailedFile):
            parameters = {"error": _ERROR, "name": result.error, "stage": result.stage, "path": path}
            self._database.execute(queries.UPDATE_TO_ERROR, parameters)
        else:
            self._database.execute(queries.DELETE_VANISHED, {"path": path})
            self._add_note(path, "vanished", "")

    def _add_note(self, path: str, note: str, detail: str) -> None:
        self._database.execute(queries.REPLACE_NOTE, {"path": path, "note": note, "detail": detail})

    def count_same_date(self) -> int:
        """Return how many confirmed changes kept the modification time. Call after all suspects are settled."""
        with storage_errors(self._directory):
            (count,) = self._database.execute(queries.COUNT_SAME_DATE).fetchone()
        return int(count)

    def relink(self) -> None:
        """Let hard links name a first path that still exists. Call after all suspects are settled."""
        if self._has_new_results:
            self._execute(queries.FIND_NEW_FIRST_PATHS, {"file": _FILE})
            self._execute(queries.UPDATE_FIRST_PATHS, {})


def _take_chunk(rows: Sequence[SuspectRow]) -> List[List[Suspect]]:
    """Return the suspects of the first rows, at most CHUNK_BYTES of them, the paths of an inode together.

    The last inode of a full set of rows may have more rows than were fetched. It is left for the next chunk, unless it
    is the only one.
    """
    chunk: List[List[Suspect]] = []
    row_count = 0
    byte_count = 0
    for _first_path, inode_rows in groupby(rows, key=lambda row: row.first_path):
        suspects = [_make_suspect(row) for row in inode_rows]
        byte_count += suspects[0].entry.size
        may_be_incomplete = row_count + len(suspects) == CHUNK
        if chunk and (byte_count > CHUNK_BYTES or may_be_incomplete):
            break
        chunk.append(suspects)
        row_count += len(suspects)
    return chunk


def _make_suspect(row: SuspectRow) -> Suspect:
    entry = WalkedEntry(
        path=paths.decode(row.path),
        type=_FILE,
        size=row.size,
        mtime_ns=row.mtime_ns,
        ctime_ns=row.ctime_ns,
        mode=row.mode,
        uid=row.uid,
        gid=row.gid,
        dev=row.dev,
        ino=row.ino,
    )
    return Suspect(entry, row.digest, row.previous_digest, bool(row.ctime_same), row.was_path)
