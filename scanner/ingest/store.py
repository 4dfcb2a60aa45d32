"""Write the history, and runs once they have arrived. All writes are in sets: what did not change is not touched."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import chain
from typing import IO, NamedTuple, TypeVar

from django.db import connection, transaction
from django.db.models import Min

from scanner.db import binary_copy
from scanner.db.report_lines import current_entry_lines
from scanner.errors import PermanentError
from scanner.format.records import Entry, Note
from scanner.ingest.growth import GrowthBudget
from scanner.ingest.merge import Change, find_changes
from scanner.models import Replica, Run, Version

SPOOL_IN_MEMORY_BYTES = 16 << 20
"""New versions up to this size wait in memory, more of them in a temporary file."""
COPY_PIECE_BYTES = 1 << 18
"""Bytes that are handed to COPY at a time."""

_Record = TypeVar("_Record", Entry, Note)


class VersionCounts(NamedTuple):
    """Versions that a run began and ended."""

    opened: int
    closed: int


def find_queued_replicas() -> list[int]:
    """Return the ids of replicas with runs that wait for ingest, longest-waiting replica first."""
    queued = Run.objects.filter(state=Run.State.RECEIVED, journaled_at__isnull=False)
    # order_by() without fields: the columns of the model's default order would join the grouping.
    by_replica = queued.order_by().values("replica_id").annotate(oldest=Min("received_at"))
    return list(by_replica.order_by("oldest").values_list("replica_id", flat=True))


def find_next_run(replica_id: int) -> Run | None:
    """Return the replica's oldest run that waits for ingest. A run waits only when it is in the journal."""
    queued = Run.objects.filter(replica=replica_id, state=Run.State.RECEIVED, journaled_at__isnull=False)
    return queued.select_related("replica__server").order_by("sequence").first()


def requeue(run: Run) -> bool:
    """Let a run that was set aside wait for ingest again. Return False unless it is its replica's newest run."""
    with transaction.atomic():
        # Whoever adds a run takes this lock, too: no newer run comes meanwhile.
        Replica.objects.select_for_update().get(pk=run.replica_id)
        if Run.objects.filter(replica=run.replica_id, sequence__gt=run.sequence).exists():
            return False

        # Without the stored upload there is nothing to ingest.
        set_aside = Run.objects.filter(pk=run.pk, state=Run.State.SET_ASIDE).exclude(upload="")
        return set_aside.update(state=Run.State.RECEIVED, reason="", attempts=0) == 1


COPY_NOTES = """
INSERT INTO scanner_note (run_id, note, path, detail)
SELECT %(run)s, note, path, detail
FROM scanner_note
WHERE run_id = %(previous)s
ORDER BY id
"""


def repeat_previous_run(run: Run, previous: Run) -> VersionCounts:
    """Ingest a run whose records are those of the complete run before it: no version changes, notes are copied."""
    budget = GrowthBudget(run)
    with connection.cursor() as cursor:
        cursor.execute(COPY_NOTES, {"run": run.pk, "previous": previous.pk})
        budget.spend(cursor.rowcount)
    budget.settle()
    return VersionCounts(opened=0, closed=0)


def write_records(run: Run, lines: Iterator[bytes]) -> VersionCounts:
    """Make the state of `run` that of its record lines: end versions, begin versions, add the notes."""
    budget = GrowthBudget(run)
    if Version.objects.filter(replica=run.replica_id, until_seq=None).exists():
        counts = _write_changed_records(run, lines, budget)
    else:
        counts = _write_first_records(run, find_changes(iter(()), lines), budget)
    budget.settle()
    return counts


def _write_changed_records(run: Run, lines: Iterator[bytes], budget: GrowthBudget) -> VersionCounts:
    with tempfile.SpooledTemporaryFile(SPOOL_IN_MEMORY_BYTES) as spool:
        # Closed before the next statement: the connection is free only when its server-side cursor is.
        with closing(current_entry_lines(run.replica_id)) as current_lines:
            changes = _spool_changes(run, find_changes(current_lines, lines), spool, budget)
        _close_versions(run, changes.closed_ids)
        spool.seek(0)
        _copy_in("scanner_version", binary_copy.VERSION_COLUMNS, iter(lambda: spool.read(COPY_PIECE_BYTES), b""))

    _copy_notes(run, budget.count(changes.notes))
    return VersionCounts(opened=changes.opened, closed=len(changes.closed_ids))


def _write_first_records(run: Run, records: Iterator[Change], budget: GrowthBudget) -> VersionCounts:
    """Copy entries straight into their table, since there are no versions to compare them with."""
    split = _EntriesThenNotes(records)
    pack_version = binary_copy.version_packer(run.replica_id, run.sequence)
    opened = _copy_in(
        "scanner_version", binary_copy.VERSION_COLUMNS, _pack_pieces(budget.count(split.entries()), pack_version)
    )
    _copy_notes(run, budget.count(split.notes()))
    return VersionCounts(opened, closed=0)


class _EntriesThenNotes:
    """Records of a report in their order, as two iterators: the entries, and when they are exhausted the notes."""

    def __init__(self, records: Iterator[Change]) -> None:
        self._records = records
        self._first_note: list[Note] = []

    def entries(self) -> Iterator[Entry]:
        for record in self._records:
            if isinstance(record, Note):
                self._first_note.append(record)
                return
            assert isinstance(record, Entry)
            yield record

    def notes(self) -> Iterator[Note]:
        return _only_notes(chain(self._first_note, self._records))


class _SpooledChanges(NamedTuple):
    """Changes of which the new versions are packed in a spool."""

    closed_ids: array[int]
    opened: int
    """The number of versions in the spool."""
    notes: Iterator[Note]
    """Still to be read."""


def _spool_changes(run: Run, changes: Iterator[Change], spool: IO[bytes], budget: GrowthBudget) -> _SpooledChanges:
    """Read changes up to the first note, and pack the new versions into `spool`.

    They cannot be written at once: a connection does one thing at a time, and now it reads the current versions.
    """
    pack_version = binary_copy.version_packer(run.replica_id, run.sequence)
    # 8 bytes for each id. A list of a million integers would take five times as much.
    closed_ids = array("q")
    opened = 0
    first_note: list[Note] = []
    for change in changes:
        if isinstance(change, int):
            closed_ids.append(change)
        elif isinstance(change, Entry):
            budget.spend(1)
            spool.write(pack_version(change))
            opened += 1
        else:
            first_note.append(change)
            break
    return _SpooledChanges(closed_ids, opened, _only_notes(chain(first_note, changes)))


def _only_notes(records: Iterable[Change]) -> Iterator[Note]:
    return (record for record in records if isinstance(record, Note))


CLOSE_VERSIONS = """
UPDATE scanner_version AS version
SET until_seq = %(sequence)s
FROM unnest(%(ids)s::bigint[]) AS closing (id)
WHERE version.id = closing.id
"""


def _close_versions(run: Run, ids: array[int]) -> None:
    if not ids:
        return

    with connection.cursor() as cursor:
        cursor.execute(CLOSE_VERSIONS, {"sequence": run.sequence, "ids": list(ids)})
        # Somebody else wrote to the history under the lock. Roll back: a proof would fail later.
        if cursor.rowcount != len(ids):
            raise PermanentError(f"{len(ids)} versions should have ended, but {cursor.rowcount} did")


def _copy_notes(run: Run, notes: Iterator[Note]) -> None:
    _copy_in("scanner_note", binary_copy.NOTE_COLUMNS, _pack_pieces(notes, binary_copy.note_packer(run.pk)))


def _pack_pieces(records: Iterable[_Record], pack: Callable[[_Record], bytes]) -> Iterator[bytes]:
    piece = bytearray()
    for record in records:
        piece += pack(record)
        if len(piece) >= COPY_PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


NO_STATEMENT_LIMIT = "SET LOCAL statement_timeout = 0"


def _copy_in(table: str, columns: str, pieces: Iterable[bytes]) -> int:
    """Append packed rows to a table and return how many."""
    statement = f"COPY {table} ({columns}) FROM STDIN BINARY"
    with connection.cursor() as cursor:
        # One COPY takes in a whole report, as fast as it is read: its length is bounded by that of the upload.
        cursor.execute(NO_STATEMENT_LIMIT)
    with connection.cursor() as cursor, connection.wrap_database_errors:
        with cursor.cursor.copy(statement) as copy:
            copy.write(binary_copy.HEADER)
            for piece in pieces:
                copy.write(piece)
            copy.write(binary_copy.TRAILER)
        return int(cursor.rowcount)


# now() is when the transaction began: all rows of an ingest have one time.
MARK_INGESTED = """
UPDATE scanner_run
SET state = %(ingested)s, ingested_at = now(), reason = '', opened = %(opened)s, closed = %(closed)s
WHERE id = %(run)s AND state = %(received)s
"""


ANALYZE_FROM = 50_000
"""A run that changes fewer versions leaves the statistics for autovacuum."""
ANALYZE = "ANALYZE scanner_version; ANALYZE scanner_note"


def analyze(counts: VersionCounts) -> None:
    """Renew the statistics after a large ingest. Autovacuum comes later than the comparison that is planned by them."""
    if counts.opened + counts.closed < ANALYZE_FROM:
        return
    with connection.cursor() as cursor:
        cursor.execute(ANALYZE)


def mark_ingested(run: Run, counts: VersionCounts) -> None:
    """Record that the run is in the history. Raise PermanentError when its state was changed meanwhile."""
    parameters: dict[str, int | str] = {
        "run": run.pk,
        "received": Run.State.RECEIVED.value,
        "ingested": Run.State.INGESTED.value,
        "opened": counts.opened,
        "closed": counts.closed,
    }
    with connection.cursor() as cursor:
        cursor.execute(MARK_INGESTED, parameters)
        if cursor.rowcount != 1:
            raise PermanentError("the run is no longer waiting for ingest")
