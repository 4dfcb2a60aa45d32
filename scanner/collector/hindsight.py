"""The last complete run beside the present one, while both are tables: which files are suspect, and what to note."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Iterator, List, Optional, Tuple, Type

from scanner import paths
from scanner.collector import durable, interrupt, state, tables
from scanner.collector.confirm import FUTURE_NS, GRANULARITY_NS, Suspect, Verdict
from scanner.collector.entries import FILE, Failed, Found, Hashed
from scanner.collector.errors import StorageError
from scanner.records import INT64, UINT32, canonical

CHUNK = 5000
"""Suspects that are read again before what became of them is kept."""


class Hindsight:
    """A context in which the tables of the last run, when there are any, are attached to those of the present one."""

    def __init__(self, database: sqlite3.Connection, folder: Path) -> None:
        self._db, self._folder = database, folder
        self._known = (folder / state.NAME).exists()

    def __enter__(self) -> Hindsight:
        if self._known:
            with storage(self._folder):
                self._db.execute(tables.ATTACH_LAST, (str(self._folder / state.NAME),))
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._let_go()

    def _let_go(self) -> None:
        if self._known:
            self._known = False
            with storage(self._folder):
                self._db.execute(tables.DETACH_LAST)

    def look_back(self) -> Tuple[int, int]:
        """Note odd clocks, and find files whose content changed though their times do not say so; how many, and their
        bytes. A damaged file of the last run is set aside: then nothing is known of what was."""
        future = time.time_ns() + FUTURE_NS
        try:
            self._note_clocks(future)
            return self._find_suspects(future)
        except sqlite3.OperationalError as error:
            interrupt.check()
            raise StorageError(f"cannot keep the state of a run in {self._folder}: {error}") from error
        except sqlite3.DatabaseError:
            self._let_go()
            durable.rename(self._folder / state.NAME, self._folder / f"{state.NAME}.damaged")
            return 0, 0

    def _note_clocks(self, future: int) -> None:
        """Note files whose modification time went back, or lies ahead of this clock and did not before."""
        found = self._db.execute(tables.CLOCKS if self._known else tables.FIRST_CLOCKS, (future,))
        for path, mtime_ns, was_ns in found.fetchall():
            members = {"mtime": "future" if mtime_ns > future else "back", "mtime_ns": mtime_ns}
            if was_ns is not None:
                members["was_ns"] = was_ns
            self._db.execute(tables.SAY, (path, "clock", canonical(members)))

    def _find_suspects(self, future: int) -> Tuple[int, int]:
        if not self._known:
            return 0, 0
        self._db.execute(tables.FIND_SUSPECTS, (GRANULARITY_NS, future))
        count, size = self._db.execute(tables.SUSPECTED).fetchone()
        return int(count), int(size)

    def suspects(self) -> Iterator[List[Tuple[Suspect, List[str]]]]:
        """The suspects in chunks, one of each inode, with the coded paths that are to be told of it."""
        last = 0
        while True:
            with storage(self._folder):
                rows = self._db.execute(tables.SUSPECTS, (last, CHUNK)).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield _one_of_each(rows)

    def settle(self, names: List[str], verdict: Verdict) -> None:
        """Keep what became of a suspect: its entry at each of its paths, and its notes."""
        with storage(self._folder):
            for name in names:
                self._settle(name, verdict)
                for note, members in verdict.notes.items():
                    self._db.execute(tables.SAY, (name, note, canonical(members)))

    def _settle(self, name: str, verdict: Verdict) -> None:
        result = verdict.result
        if isinstance(result, Hashed):
            status = fit(result[3:])
            self._db.execute(tables.SETTLE, (result.sha256 + result.md5, time.time_ns(), *status, name))
        elif isinstance(result, Failed):
            self._db.execute(tables.SETTLE_ERROR, (result.error, result.stage, name))
        elif result is not None:
            self._db.execute(tables.SETTLE_GONE, (name,))
            self._db.execute(tables.SAY, (name, "vanished", ""))


def _one_of_each(rows: List[Tuple[Any, ...]]) -> List[Tuple[Suspect, List[str]]]:
    chunk: List[Tuple[Suspect, List[str]]] = []
    for _number, path, *status, digest, was, ctime_same in rows:
        size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino = status
        if chunk and (chunk[-1][0].found.dev, chunk[-1][0].found.ino) == (dev, ino):
            chunk[-1][1].append(path)
            continue
        found = Found(paths.decode(path), FILE, size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino)
        chunk.append((Suspect(found, digest, was, bool(ctime_same)), [path]))
    return chunk


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
