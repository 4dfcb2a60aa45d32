"""Keep the journal beside the database: one append-only file a replica, one line for each accepted statement.

A history that is cut or signed again in the database no longer matches its journal. A crash can tear the last line:
the torn line stays as it is, the next line begins after it, and the run that it was about is written again.

Only what was accepted comes into the journal. Acceptance leaves a note in the directory `pending` before its
transaction ends; the note goes when the line is on disk. A row that somebody wrote into the database has no note, and
so no line.
"""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone

from scanner.append_file import append_lines, open_locked
from scanner.format.atomic_file import open_atomic
from scanner.format.canonical_json import canonical_json
from scanner.format.timestamps import format_timestamp
from scanner.models import Replica, Run

logger = logging.getLogger(__name__)

BATCH_RUNS = 100
"""Runs that are written at a time. Their lines are much shorter than TAIL_BYTES."""
NOTE_SECONDS = 7 * 24 * 3600
"""How long a note of acceptance is kept that belongs to no run which waits."""
TAIL_BYTES = 1 << 16
"""End of a journal in which to look for lines that were written, but whose runs were not marked."""


class JournalEntry(NamedTuple):
    """A line of the journal. `statement` and `keyid` are lower-case hex; `keyid` is empty for an unsigned import."""

    time: str
    replica: str
    sequence: int
    run: str
    statement: str
    keyid: str


def note_acceptance(run: Run) -> None:
    """Leave a note that `run` was accepted. Call it in the transaction that saves the run, before it is committed."""
    path = _note_path(run)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open_atomic(path) as file:
        file.write(_acceptance(run))


def append(run: Run) -> None:
    """Write an accepted run, and what waits before it, to its replica's journal: on disk, and marked as journaled.

    The caller has just verified the statement of `run`; runs before it need the note of their own acceptance.
    """
    _write_pending_runs(run.replica, accepted=run)
    run.refresh_from_db(fields=["journaled_at"])


def journal_pending() -> int:
    """Write the runs that a crash kept from being journaled. Return the number of replicas that had any."""
    written = 0
    for replica in Replica.objects.filter(runs__journaled_at=None).distinct().iterator():
        if _write_pending_runs(replica):
            written += 1
    _remove_old_notes()
    return written


def read_journal(replica: Replica) -> list[JournalEntry]:
    """Return every whole line of the replica's journal, in the order in which they were written."""
    try:
        return _parse_entries(_journal_path(replica).read_bytes())
    except FileNotFoundError:
        return []


def _journal_path(replica: Replica) -> Path:
    return Path(settings.BACKUP_SYNCER_JOURNAL) / f"{replica.uuid}.jsonl"


def _parse_entries(data: bytes) -> list[JournalEntry]:
    entries = []
    # Behind the last newline there is nothing, or a line that is torn.
    for line in data.split(b"\n")[:-1]:
        try:
            entries.append(JournalEntry(**json.loads(line)))
        except (ValueError, TypeError):
            continue  # a line that a crash tore
    return entries


def _note_path(run: Run) -> Path:
    return Path(settings.BACKUP_SYNCER_JOURNAL) / "pending" / f"{run.uuid}.json"


def _acceptance(run: Run) -> bytes:
    """Return the line of a run without its time: what the note of its acceptance says."""
    members = _journal_entry(run, run.replica)._asdict()
    del members["time"]
    return canonical_json(members).encode()


def _has_note(run: Run) -> bool:
    """Return whether acceptance left a note of exactly this run."""
    try:
        return _note_path(run).read_bytes() == _acceptance(run)
    except FileNotFoundError:
        return False


def _remove_old_notes() -> None:
    """Remove notes that nobody will need: acceptance failed at its commit, or a crash came after the line."""
    oldest = time.time() - NOTE_SECONDS
    for path in Path(settings.BACKUP_SYNCER_JOURNAL).glob("pending/*.json"):
        try:
            is_old = path.stat().st_mtime < oldest
        except FileNotFoundError:
            continue  # its line was written meanwhile
        if is_old and not Run.objects.filter(uuid=path.stem, journaled_at=None).exists():
            path.unlink(missing_ok=True)


def _journal_entry(run: Run, replica: Replica) -> JournalEntry:
    keyid = ""
    if run.key is not None:
        keyid = run.key.keyid

    return JournalEntry(
        time=format_timestamp(time.time()),
        replica=str(replica.uuid),
        sequence=run.sequence,
        run=str(run.uuid),
        statement=bytes(run.statement).hex(),
        keyid=keyid,
    )


def _write_pending_runs(replica: Replica, accepted: Run | None = None) -> int:
    """Append the accepted runs that are not marked yet, in order, and mark them. Return how many there were.

    `accepted` needs no note.
    """
    written = 0
    last_sequence = 0
    with open_locked(_journal_path(replica)) as descriptor:
        # Behind the lock: another process may have written these runs while this one waited.
        pending = replica.runs.filter(journaled_at=None).order_by("sequence").select_related("key", "replica")
        while runs := list(pending.filter(sequence__gt=last_sequence)[:BATCH_RUNS]):
            last_sequence = runs[-1].sequence
            journaled = _append_runs(descriptor, runs, replica, accepted)
            # After the fsync: a run that is marked is on disk. After a crash in between, its line is recognised.
            Run.objects.filter(pk__in=[run.pk for run in journaled]).update(journaled_at=timezone.now())
            for run in journaled:
                _note_path(run).unlink(missing_ok=True)
            written += len(journaled)
    return written


def _append_runs(descriptor: int, runs: list[Run], replica: Replica, accepted: Run | None) -> list[Run]:
    """Append the lines of these runs that are missing. Return the runs that have a line now."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))

    # A crash between write and mark: the line is there already.
    known = {(entry.sequence, entry.statement) for entry in _parse_entries(tail + b"\n")}

    lines = []
    journaled = []
    for run in runs:
        is_known = (run.sequence, bytes(run.statement).hex()) in known
        if not is_known:
            if run != accepted and not _has_note(run):
                logger.error("run %s of replica %s is in the database and was never accepted", run.uuid, replica.uuid)
                continue
            lines.append(canonical_json(_journal_entry(run, replica)._asdict()).encode() + b"\n")
        journaled.append(run)

    append_lines(descriptor, b"".join(lines))
    return journaled
