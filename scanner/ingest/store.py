"""Every write to the history, and to runs once they have arrived. All in sets: what did not change is not touched."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from typing import IO, NamedTuple, TypeVar

from django.db import connection, transaction

from scanner.db import binary_copy, entries
from scanner.db.errors import Never, edge
from scanner.format.records import Entry, Note
from scanner.ingest.merge import Change, changes
from scanner.models import Replica, Run

SPOOL_IN_MEMORY = 16 << 20
PIECE = 1 << 18
"""Bytes that are handed to COPY at a time."""
LOCKS = 0x62737263
"""The class of the advisory locks of replicas."""

_Record = TypeVar("_Record", Entry, Note)


class Counts(NamedTuple):
    """Versions that a run began and ended."""

    opened: int
    closed: int


LOCK = "SELECT pg_try_advisory_lock(%(locks)s, %(replica)s)"
UNLOCK = "SELECT pg_advisory_unlock(%(locks)s, %(replica)s)"


@contextmanager
def alone(replica_id: int) -> Iterator[bool]:
    """Whether this process alone writes the history of a replica. The session's lock dies with the worker."""
    key = {"locks": LOCKS, "replica": replica_id}
    with connection.cursor() as cursor:
        cursor.execute(LOCK, key)
        (mine,) = cursor.fetchone()
    try:
        yield mine
    finally:
        if mine and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute(UNLOCK, key)


BEGIN = """
UPDATE scanner_run SET attempts = attempts + 1 WHERE id = (
    SELECT id FROM scanner_run WHERE replica_id = %(replica)s AND state = 'received' AND journaled_at IS NOT NULL
    ORDER BY sequence LIMIT 1)
RETURNING id
"""


def begin(replica_id: int) -> Run | None:
    """The next run of the replica that waits for ingest, this try counted and committed; None when none waits."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(BEGIN, {"replica": replica_id})
        row = cursor.fetchone()
    return Run.objects.select_related("replica").get(pk=row[0]) if row else None


WAITING = """
SELECT replica_id FROM scanner_run WHERE state = 'received' AND journaled_at IS NOT NULL
GROUP BY replica_id ORDER BY min(received_at)
"""


def waiting() -> list[int]:
    """Replicas with runs that wait for ingest, the longest waiting first."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return [replica_id for (replica_id,) in cursor.fetchall()]


GIVE_BACK = "UPDATE scanner_run SET attempts = attempts - 1 WHERE id = %(run)s AND state = 'received' AND attempts > 0"


def give_back(run: Run) -> None:
    """Do not count the try that was begun: it failed for a reason that is not the run's."""
    with edge(), connection.cursor() as cursor:
        cursor.execute(GIVE_BACK, {"run": run.pk})


NOTE_REASON = "UPDATE scanner_run SET reason = %(reason)s WHERE id = %(run)s AND state = 'received'"
SET_ASIDE = "UPDATE scanner_run SET state = 'set_aside', reason = %(reason)s WHERE id = %(run)s AND state = 'received'"


def note_reason(run: Run, reason: str) -> None:
    """Say at a run that still waits what its last try ended with."""
    with connection.cursor() as cursor:
        cursor.execute(NOTE_REASON, {"run": run.pk, "reason": reason[:2000].replace("\0", "")})


def set_aside(run: Run, reason: str) -> None:
    """Let history go on without this run; its bytes are kept."""
    with connection.cursor() as cursor:
        cursor.execute(SET_ASIDE, {"run": run.pk, "reason": reason[:2000].replace("\0", "")})


TAKE_UP = """
UPDATE scanner_run AS run SET state = 'received', reason = '', attempts = 0
WHERE id = %(run)s AND state = 'set_aside' AND upload <> ''
    AND NOT EXISTS (SELECT FROM scanner_run WHERE replica_id = run.replica_id AND sequence > run.sequence)
"""


def take_up(run: Run) -> bool:
    """Let a run that was set aside wait for ingest again; False unless it is its replica's newest."""
    with transaction.atomic(), connection.cursor() as cursor:
        Replica.objects.select_for_update().get(pk=run.replica_id)  # no newer run takes its place meanwhile
        cursor.execute(TAKE_UP, {"run": run.pk})
        return bool(cursor.rowcount)


COPY_NOTES = """
INSERT INTO scanner_note (run_id, note, path, detail)
SELECT %(run)s, note, path, detail FROM scanner_note WHERE run_id = %(previous)s ORDER BY id
"""


def repeat(run: Run, previous: Run) -> Counts:
    """Take in a run whose records are those of the complete run before it: no version changes."""
    with connection.cursor() as cursor:
        cursor.execute(COPY_NOTES, {"run": run.pk, "previous": previous.pk})
    return Counts(0, 0)


STANDS = "SELECT EXISTS (SELECT FROM scanner_version WHERE replica_id = %(replica)s AND until_seq IS NULL)"
CLOSE = """
UPDATE scanner_version AS version SET until_seq = %(sequence)s
FROM unnest(%(ids)s::bigint[]) AS closing (id) WHERE version.id = closing.id
"""


def take_in(run: Run, lines: Iterator[bytes]) -> Counts:
    """Make the state of `run` that of `lines`: end what is gone or different, begin what is new, add the notes."""
    given = {"replica": run.replica_id, "sequence": run.sequence}
    with connection.cursor() as cursor:
        cursor.execute(STANDS, given)
        (stands,) = cursor.fetchone()
        if not stands:
            return _first(run, changes(iter(()), lines))
        with tempfile.SpooledTemporaryFile(SPOOL_IN_MEMORY) as spool:
            with closing(entries.open_lines(run.replica_id)) as standing:
                ended, opened, notes = _spooled(run, changes(standing, lines), spool)
            if ended:
                cursor.execute(CLOSE, given | {"ids": list(ended)})
                if cursor.rowcount != len(ended):
                    raise Never(f"{len(ended)} versions were to end, {cursor.rowcount} did")
            spool.seek(0)
            _copy("scanner_version", binary_copy.VERSION_COLUMNS, iter(lambda: spool.read(PIECE), b""))
        _copy("scanner_note", binary_copy.NOTE_COLUMNS, _pieces(notes, binary_copy.note_packer(run.pk)))
    return Counts(opened, len(ended))


def _first(run: Run, records: Iterator[Change]) -> Counts:
    """Entries go straight to their table where nothing stands that they could be compared with."""
    rows = _Until(records)
    opened = _copy(
        "scanner_version",
        binary_copy.VERSION_COLUMNS,
        _pieces(rows, binary_copy.version_packer(run.replica_id, run.sequence)),
    )
    _copy("scanner_note", binary_copy.NOTE_COLUMNS, _pieces(rows.notes(), binary_copy.note_packer(run.pk)))
    return Counts(opened, 0)


class _Until:
    """The entries of a report as an iterator; when it is exhausted, `notes` are what follows."""

    def __init__(self, records: Iterator[Change]) -> None:
        self._records, self._note = records, list[Note]()

    def __iter__(self) -> Iterator[Entry]:
        for record in self._records:
            if isinstance(record, Note):
                self._note.append(record)
                return
            assert isinstance(record, Entry)
            yield record

    def notes(self) -> Iterator[Note]:
        """All from the first note on."""
        return (record for record in chain(self._note, self._records) if isinstance(record, Note))


def _spooled(run: Run, found: Iterator[Change], spool: IO[bytes]) -> tuple[array[int], int, Iterator[Note]]:
    """Ids of what ends, the number of entries that begin, which are packed in `spool`, and the notes, still to be read.

    Nothing can be written while the lines of what stands are being read: a connection does one COPY at a time.
    """
    ended, opened = array("q"), 0
    pack = binary_copy.version_packer(run.replica_id, run.sequence)
    first: list[Note] = []
    for change in found:
        if isinstance(change, int):
            ended.append(change)
        elif isinstance(change, Entry):
            spool.write(pack(change))
            opened += 1
        else:
            first.append(change)
            break
    return ended, opened, (note for note in chain(first, found) if isinstance(note, Note))


def _pieces(records: Iterable[_Record], pack: Callable[[_Record], bytes]) -> Iterator[bytes]:
    piece = bytearray()
    for record in records:
        piece += pack(record)
        if len(piece) >= PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _copy(table: str, columns: str, pieces: Iterable[bytes]) -> int:
    """Append packed rows to a table; returns how many."""
    statement = f"COPY {table} ({columns}) FROM STDIN BINARY"
    with connection.cursor() as cursor, connection.wrap_database_errors:
        with cursor.cursor.copy(statement) as copy:
            copy.write(binary_copy.HEADER)
            for piece in pieces:
                copy.write(piece)
            copy.write(binary_copy.TRAILER)
        return int(cursor.rowcount)


FINISH = """
UPDATE scanner_run SET state = 'ingested', ingested_at = now(), reason = '', opened = %(opened)s, closed = %(closed)s
WHERE id = %(run)s AND state = 'received'
"""


def finish(run: Run, counts: Counts) -> None:
    """Say that the run stands in the history; Never when somebody else has dealt with it meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute(FINISH, {"run": run.pk, **counts._asdict()})
        if cursor.rowcount != 1:
            raise Never("the run does not wait for ingest any more")
