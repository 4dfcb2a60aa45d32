"""Read the state of a replica: what its last complete run saw, in one SQLite file that is replaced as a whole.

The state is a cache. Losing it costs time, never truth: the chain's next number comes from the spool and the central
server. A file that cannot be read is set aside, and the next complete run makes a new one.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any, Dict, FrozenSet, NamedTuple, Optional
from urllib.parse import quote

from scanner.collector.errors import StorageError
from scanner.collector.system import durable
from scanner.collector.system.filesystem import FileSystem
from scanner.format import paths

FILE_NAME = "state.db"
DAMAGED_NAME = "state.db.damaged"
APPLICATION_ID = 0x42535943
"""ASCII `BSYC` in the file's header (sqlite.org/fileformat2.html, 1.3.17): a file of another program is no state."""
SCHEMA_VERSION = 2
SCHEMA = """
CREATE TABLE main.meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE main.seen (
    path TEXT PRIMARY KEY,
    type INTEGER NOT NULL,
    size INTEGER,
    mtime_ns INTEGER,
    ctime_ns INTEGER,
    mode INTEGER,
    uid INTEGER,
    gid INTEGER,
    dev INTEGER,
    ino INTEGER,
    digest BLOB,
    read_ns INTEGER,
    detail TEXT,
    stage TEXT
) WITHOUT ROWID;
"""
"""`seen` has one row for each entry of the run.

`path` is in its coded form. `digest` is SHA-256 followed by MD5. `read_ns` is a time before the read that gave the
digest, in nanoseconds since 1970: a write that was finished by then, and not within the same tick of the clock, is in
the digest.
"""


class LastRun(NamedTuple):
    """Last complete run of a replica, as far as the guards of its root compare with it."""

    sequence: int
    entries: int
    file_system: Optional[FileSystem]
    run: Optional[str] = None
    """Uuid of the run. None when only its report is left, and what it saw of each path is not known."""
    mounts: FrozenSet[bytes] = frozenset()
    """Mount points below the root that were entered, relative to it."""


def read_last_run(directory: Path) -> Optional[LastRun]:
    """Return the last complete run of the replica in `directory`, or None. Set a damaged state aside."""
    path = directory / FILE_NAME
    if not path.exists():
        return None
    # A file that cannot be opened is not damaged: there may be too few descriptors.
    with durable.storage_errors(path), path.open("rb"):
        pass
    try:
        return _read_state(path)
    except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
        if isinstance(error, sqlite3.OperationalError) and "unable to open" in str(error):
            raise StorageError(f"cannot read {path}: {error}") from error
        set_aside(directory)
        return None


def set_aside(directory: Path) -> None:
    """Rename a damaged state, so that no run compares with it."""
    durable.rename(directory / FILE_NAME, directory / DAMAGED_NAME)


def _read_state(path: Path) -> LastRun:
    # Read-only: a state that is damaged or foreign must stay as it is.
    uri = f"file:{quote(str(path).encode('utf-8', 'surrogateescape'))}?mode=ro"
    connection = sqlite3.connect(uri, uri=True)
    try:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (schema_version,) = connection.execute("PRAGMA user_version").fetchone()
        if (application_id, schema_version) != (APPLICATION_ID, SCHEMA_VERSION):
            raise ValueError("the file belongs to another program or another version")
        rows = connection.execute("SELECT key, value FROM meta").fetchall()
    finally:
        connection.close()

    meta = {key: json.loads(value) for key, value in rows}
    return LastRun(
        sequence=int(meta["sequence"]),
        entries=int(meta["entries"]),
        file_system=_with_other_ids(file_system_from_json(meta["file_system"]), meta.get("other_ids", [])),
        run=str(meta["run"]),
        mounts=frozenset(paths.decode(path) for path in meta["mounts"]),
    )


def _with_other_ids(file_system: Optional[FileSystem], other_ids: Any) -> Optional[FileSystem]:
    if file_system is None:
        return None
    return file_system._replace(other_ids=tuple(str(identity) for identity in other_ids))


def file_system_from_json(value: Any) -> Optional[FileSystem]:
    """Return the file system in the `host` of a statement or in `meta`, or None when they name none."""
    if value is None or value["mount_point"] is None:
        return None
    return FileSystem(str(value["type"]), str(value["id"]), paths.decode(value["mount_point"]))


def file_system_to_json(file_system: Optional[FileSystem]) -> Dict[str, Optional[str]]:
    """Return `type`, `id` and `mount_point` (coded) of a file system. They are null when it is not known."""
    if file_system is None:
        return {"type": None, "id": None, "mount_point": None}
    return {
        "type": file_system.type,
        "id": file_system.id,
        "mount_point": paths.encode(file_system.mount_point),
    }
