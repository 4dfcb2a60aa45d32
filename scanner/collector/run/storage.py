"""Turn errors of the tables into StorageError, and numbers into those that the tables can hold."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Tuple

from scanner.collector.errors import StorageError
from scanner.collector.system import interrupt
from scanner.format.records import INT64, UINT32

LOWEST = INT64[0]
HIGHEST = INT64[-1]


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Raise StorageError for an error of SQLite or of the system while the tables in `folder` are used."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise storage_error(folder, error) from error


def storage_error(folder: Path, error: Exception) -> StorageError:
    """Return the StorageError for an error, or raise Interrupted when a signal caused it."""
    if isinstance(error, sqlite3.Error):
        # A signal ends a long statement by its progress handler, which SQLite reports as an error.
        interrupt.raise_if_interrupted()
    reason = getattr(error, "strerror", None) or error
    return StorageError(f"cannot keep the state of a run in {folder}: {reason}")


def fit_status(status: Tuple[int, ...]) -> Tuple[int, ...]:
    """Return size, mtime_ns, ctime_ns, mode, uid, gid, dev and ino within what SQLite and the report can hold."""
    if max(status) <= HIGHEST and min(status) >= 0:
        return status  # nearly always, so the common case is two comparisons

    size, mtime_ns, ctime_ns, mode, uid, gid, dev, ino = status
    return (
        size,
        _clamped(mtime_ns),
        _clamped(ctime_ns),
        mode,
        uid & UINT32[-1],
        gid & UINT32[-1],
        _as_signed(dev),
        _as_signed(ino),
    )


def _clamped(value: int) -> int:
    return max(LOWEST, min(HIGHEST, value))


def _as_signed(value: int) -> int:
    """Return the signed 64-bit number with the bits of an unsigned one."""
    return value - 2**64 if value > HIGHEST else value
