"""Reads that the ORM cannot say: a run's entries as pages and as a tree, and its lines as they were signed.

A run's state is `from_seq <= N and (until_seq is null or until_seq > N)`; its order is that of the path's bytes.
Ordering by the first 512 characters, which the indexes hold, and then by the path is the same order.
"""

# ruff: noqa: S608  # statements are put together from this module's own constants; values travel as parameters

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from django.db import connection, transaction

from scanner.db import keyset
from scanner.models import Replica, Run


class Entry(NamedTuple):
    """A version row as a page shows it. `detail` as in `scanner.format.records.Entry`; digests are raw bytes."""

    id: int
    path: str
    type: int
    size: int | None
    mtime_ns: int | None
    mode: int | None
    uid: int | None
    gid: int | None
    sha256: bytes | None
    md5: bytes | None
    detail: str | None
    stage: str | None
    from_seq: int
    until_seq: int | None


class Entries(NamedTuple):
    """A page of entries. `after` asks for the next page; it is empty on the last one."""

    rows: list[Entry]
    after: str


class Child(NamedTuple):
    """What stands directly below a directory: `path` is complete; that of a directory ends with a slash."""

    path: str
    entry: Entry | None
    """None for a directory: a report knows it by what lies below it."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rstrip("/").rpartition("/")[2]


class Children(NamedTuple):
    """A page of one level of the tree. `after` asks for the next page; it is empty on the last one."""

    rows: list[Child]
    after: str


class NoteRow(NamedTuple):
    """A note as a page shows it; `detail` is canonical JSON or empty."""

    id: int
    note: str
    path: str
    detail: str


class Notes(NamedTuple):
    """A page of notes. `after` asks for the next page; it is empty on the last one."""

    rows: list[NoteRow]
    after: str


STATE = "replica_id = %(replica)s AND from_seq <= %(sequence)s AND (until_seq IS NULL OR until_seq > %(sequence)s)"
COLUMNS = ", ".join(Entry._fields)

ENTRIES_BY_PATH = f"""
SELECT {COLUMNS} FROM scanner_version
WHERE {STATE} AND {{conditions}}
ORDER BY left(path, 512), path LIMIT %(limit)s
"""

ENTRIES_BY_SIZE = f"""
SELECT {COLUMNS} FROM scanner_version
WHERE {STATE} AND {{conditions}}
ORDER BY coalesce(-size, 1), id LIMIT %(limit)s
"""

CONDITIONS = {
    "lower": "left(path, 512) >= left(%(lower)s, 512) AND path >= %(lower)s",
    "upper": "left(path, 512) <= left(%(upper)s, 512) AND path < %(upper)s",
    "type": "type = %(type)s",
    "search": "path LIKE %(search)s",
    "size": "(replica_id, coalesce(-size, 1), id) > (%(replica)s, %(size)s, %(id)s)",
}


def entries(
    run: Run,
    *,
    prefix: str = "",
    search: str = "",
    type: int | None = None,  # noqa: A002  # the column's name
    order: str = "path",
    after: str = "",
    limit: int = 100,
) -> Entries:
    """A page of the state at `run`.

    `order` is `path` or `-size` (largest first, what has no size at the end); `prefix` and `search` are coded text: the
    path begins with it, or holds it anywhere. keyset.BadToken for an `after` that is none.
    """
    given: dict[str, Any] = _state(run) | {"limit": limit + 1, "type": type, **keyset.bounds(prefix)}
    if search:
        given["search"] = f"%{_literal(search)}%"
    by_size = order == "-size"
    if after:
        given |= keyset.read_size(after) if by_size else {"lower": max(keyset.read_path(after), prefix)}
    conditions = [text for name, text in CONDITIONS.items() if given.get(name) is not None]
    wanted = (ENTRIES_BY_SIZE if by_size else ENTRIES_BY_PATH).format(conditions=" AND ".join(conditions or ["true"]))
    rows = [Entry(*row) for row in fetch_all(wanted, given)]
    if len(rows) <= limit:
        return Entries(rows, "")
    last = rows[limit - 1]
    key = [1 if last.size is None else -last.size, last.id] if by_size else last.path + "\x01"
    return Entries(rows[:limit], keyset.token(key))


NEXT_CHILD = f"""
SELECT {COLUMNS},
    CASE WHEN strpos(substr(path, %(skip)s), '/') > 0
        THEN left(path, %(skip)s - 1 + strpos(substr(path, %(skip)s), '/')) END AS directory
FROM scanner_version
WHERE {STATE} AND left(path, 512) >= left({{lower}}, 512) AND path >= {{lower}} {{upper}}
ORDER BY left(path, 512), path LIMIT 1
"""

# A loose index scan: from each child the index is entered anew behind all that lies below it. '0' follows '/'.
CHILDREN = f"""
WITH RECURSIVE child AS (
    SELECT 1 AS number, found.* FROM ({NEXT_CHILD}) AS found
    UNION ALL
    SELECT child.number + 1, found.* FROM child, LATERAL ({{following}}) AS found WHERE child.number < %(limit)s
)
SELECT {COLUMNS}, directory FROM child ORDER BY number
"""
BEHIND = "coalesce(left(child.directory, -1) || '0', child.path || chr(1))"


def children(run: Run, prefix: str = "", after: str = "", limit: int = 100) -> Children:
    """A page of what stands directly below a directory in the state at `run`, in the order of the paths' bytes.

    `prefix` is empty for the root, else the directory's path with its slash. keyset.BadToken for an `after` that is
    none.
    """
    given = _state(run) | {"lower": "", **keyset.bounds(prefix), "limit": limit + 1, "skip": len(prefix) + 1}
    if after:
        given["lower"] = max(keyset.read_path(after), prefix)
    upper = f"AND {CONDITIONS['upper']}" if prefix else ""
    following = NEXT_CHILD.format(lower=BEHIND, upper=upper)
    wanted = CHILDREN.format(lower="%(lower)s", upper=upper, following=following)
    rows = [_child(*row) for row in fetch_all(wanted, given)]
    if len(rows) <= limit:
        return Children(rows, "")
    last = rows[limit - 1]
    key = last.path + "\x01" if last.entry else last.path[:-1] + "0"
    return Children(rows[:limit], keyset.token(key))


def _child(*row: Any) -> Child:
    entry, directory = Entry(*row[:-1]), row[-1]
    return Child(entry.path, entry) if directory is None else Child(directory, None)


NOTES = """
SELECT id, note, path, detail FROM scanner_note WHERE run_id = %(run)s AND id > %(id)s ORDER BY id LIMIT %(limit)s
"""


def notes(run: Run, after: str = "", limit: int = 100) -> Notes:
    """A page of the notes of `run`, in the order of its report. keyset.BadToken for an `after` that is none."""
    given = {"run": run.pk, "id": keyset.read_id(after) if after else 0, "limit": limit + 1}
    rows = [NoteRow(*row) for row in fetch_all(NOTES, given)]
    return Notes(rows[:limit], keyset.token(rows[limit - 1].id) if len(rows) > limit else "")


PATH_VERSIONS = f"""
SELECT {COLUMNS} FROM scanner_version
WHERE replica_id = %(replica)s AND left(path, 512) = left(%(path)s, 512) AND path = %(path)s ORDER BY from_seq
"""


def versions(replica: Replica, path: str) -> list[Entry]:
    """The life of one path: all its versions, oldest first."""
    return [Entry(*row) for row in fetch_all(PATH_VERSIONS, {"replica": replica.pk, "path": path})]


# Character by character what `scanner.format.records.encode` writes: to_json() escapes what JSON must, nothing else.
# Files of an unsigned import have digests alone. A row that no line can express becomes a line that no report has.
LINE = """
coalesce('{"path":' || to_json(path) || CASE type
    WHEN 1 THEN coalesce(',"size":' || size || ',"mtime_ns":' || mtime_ns || ',"mode":' || mode
        || ',"uid":' || uid || ',"gid":' || gid, '') || ',"sha256":"' || encode(sha256, 'hex') || '","md5":"' ||
        encode(md5, 'hex') || '"' || coalesce(',"hardlink":' || to_json(detail), '')
    WHEN 2 THEN ',"error":' || to_json(detail) || coalesce(',"stage":' || to_json(stage), '')
    WHEN 3 THEN ',"link":' || to_json(detail)
    ELSE ',"special":' || to_json(detail) END || E'}\\n',
'{"path":' || to_json(path) || E'}\\n')
"""
NOTE_LINE = """
'{"note":' || to_json(note) || ',"path":' || to_json(path)
    || CASE detail WHEN '' THEN '}' ELSE ',' || substr(detail, 2) END || E'\\n'
"""
ENTRY_LINES = f"""
SELECT convert_to({LINE}, 'UTF8') FROM scanner_version WHERE {STATE} ORDER BY left(path, 512), path
"""
NOTE_LINES = f"""
SELECT convert_to({NOTE_LINE}, 'UTF8') FROM scanner_note WHERE run_id = %(run)s ORDER BY path, note
"""


def record_texts(run: Run) -> Iterator[bytes]:
    """The lines of the report of `run` below its envelope, written again from the rows, many at a time.

    Memory stays flat.
    """
    for statement, given in ((ENTRY_LINES, _state(run)), (NOTE_LINES, {"run": run.pk})):
        for rows in fetched(statement, given):
            yield b"".join([line for (line,) in rows])


def record_lines(run: Run) -> Iterator[bytes]:
    """The same, line by line."""
    for text in record_texts(run):
        yield from (line + b"\n" for line in text.split(b"\n")[:-1])


OPEN_LINES = f"""
SELECT id, convert_to({LINE}, 'UTF8') FROM scanner_version WHERE replica_id = %(replica)s AND until_seq IS NULL
ORDER BY left(path, 512), path
"""


def open_lines(replica_id: int) -> Generator[tuple[int, bytes], None, None]:
    """Each version that still stands, as its id and its line, in the order of a report."""
    for rows in fetched(OPEN_LINES, {"replica": replica_id}):
        yield from rows


# Rows are read on one core while they are made on the other: more processes would stand in each other's way.
ONE_PROCESS = "SET LOCAL max_parallel_workers_per_gather = 0"
BATCH = 4096
"""Rows that are fetched at a time, while those before them are worked on."""


def fetch_all(statement: str, given: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def fetched(statement: str, given: dict[str, Any]) -> Iterator[list[Any]]:
    """The rows of a query in batches, of which two at most are in memory."""
    with transaction.atomic(savepoint=False), connection.wrap_database_errors, ThreadPoolExecutor(1) as pool:
        with connection.cursor() as cursor:
            cursor.execute(ONE_PROCESS)
        with connection.chunked_cursor() as chunked:
            cursor = chunked.cursor
            cursor.execute(statement, given, binary=True)
            waiting = pool.submit(cursor.fetchmany, BATCH)
            try:
                while rows := waiting.result():
                    waiting = pool.submit(cursor.fetchmany, BATCH)
                    yield rows
            except GeneratorExit:
                return  # who stops early has not made the transaction fail
            finally:
                waiting.exception()


def _state(run: Run) -> dict[str, Any]:
    return {"replica": run.replica_id, "sequence": run.sequence}


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
