"""What the last complete run of a replica saw: a cache in one SQLite file, replaced as a whole.

Losing it costs time, never truth: the chain's next number comes from the spool and the server. A file that cannot be
read is set aside and made again by the next complete run.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any, FrozenSet, NamedTuple, Optional
from urllib.parse import quote

from scanner.collector.system import durable
from scanner.collector.system.filesystem import FileSystem
from scanner.format import paths

FILE_NAME = "state.db"
APPLICATION_ID = 0x42535943
SCHEMA_VERSION = 2
SCHEMA = """
CREATE TABLE main.meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE main.seen (
    path TEXT PRIMARY KEY, type INTEGER NOT NULL, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, mode INTEGER,
    uid INTEGER, gid INTEGER, dev INTEGER, ino INTEGER, digest BLOB, read_ns INTEGER, detail TEXT, stage TEXT
) WITHOUT ROWID;
"""
"""`path` is coded; `digest` is SHA-256 and MD5 in one; `read_ns` is a time before the read that gave the digest, since
1970: what was written by then, and not in the same tick of the clock, is what was read."""


class LastRun(NamedTuple):
    """What the guards of a root compare with."""

    sequence: int
    entries: int
    file_system: Optional[FileSystem]
    run: Optional[str] = None
    """Its uuid, when what it saw of each path is known too."""
    mounts: FrozenSet[bytes] = frozenset()
    """Mount points below the root that were entered, relative to it."""


def read_last_run(folder: Path) -> Optional[LastRun]:
    """The last complete run of the replica in `folder`; None when there is none or its file is damaged and set
    aside."""
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        return _read(path)
    except (sqlite3.Error, ValueError, KeyError, TypeError):
        durable.rename(path, folder / f"{FILE_NAME}.damaged")
        return None


def _read(path: Path) -> LastRun:
    connection = sqlite3.connect(f"file:{quote(str(path).encode('utf-8', 'surrogateescape'))}?mode=ro", uri=True)
    try:
        marks = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        if marks != [APPLICATION_ID, SCHEMA_VERSION]:
            raise ValueError("the file is of another make")
        meta = {key: json.loads(value) for key, value in connection.execute("SELECT key, value FROM meta")}
    finally:
        connection.close()
    mounts = frozenset(paths.decode(path) for path in meta["mounts"])
    file_system = file_system_from_json(meta["file_system"])
    return LastRun(int(meta["sequence"]), int(meta["entries"]), file_system, str(meta["run"]), mounts)


def file_system_from_json(value: Any) -> Optional[FileSystem]:
    """The file system of a statement's `host` or of `meta`; None when it says that none is known."""
    if value is None or value["mount_point"] is None:
        return None
    return FileSystem(str(value["type"]), str(value["id"]), paths.decode(value["mount_point"]))


def file_system_to_json(file_system: Optional[FileSystem]) -> dict[str, Any]:
    """`type`, `id` and `mount_point` (coded) of a file system, null when they are not known."""
    if file_system is None:
        return {"type": None, "id": None, "mount_point": None}
    return {
        "type": file_system.type,
        "id": file_system.id,
        "mount_point": paths.encode(file_system.mount_point),
    }
