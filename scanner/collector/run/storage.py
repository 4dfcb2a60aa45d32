"""Turn errors of the tables into StorageError."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from scanner.collector.errors import StorageError
from scanner.collector.system import interrupt


@contextmanager
def storage_errors(directory: Path) -> Iterator[None]:
    """Raise StorageError for an error of SQLite or of the system while the tables in `directory` are used."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise storage_error(directory, error) from error


def storage_error(directory: Path, error: Exception) -> StorageError:
    """Return the StorageError for an error, or raise Interrupted when a signal caused it."""
    if isinstance(error, sqlite3.Error):
        # A signal ends a long statement by its progress handler, which SQLite reports as an error.
        interrupt.raise_if_interrupted()
    reason = getattr(error, "strerror", None) or error
    return StorageError(f"cannot keep the state of a run in {directory}: {reason}")
