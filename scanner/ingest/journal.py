"""Keep the journal beside the database: one append-only file a replica, one line for each accepted statement.

A history that is cut or signed again in the database no longer matches its journal. A crash can tear the last line:
the torn line stays as it is, the next line begins after it, and the run that it was about is written again.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone

from scanner.format.atomic_file import sync_directory
from scanner.format.canonical_json import canonical_json
from scanner.format.timestamps import format_timestamp
from scanner.models import Replica, Run

BATCH_RUNS = 100
"""Runs that are written at a time. Their lines are much shorter than TAIL_BYTES."""
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


def append(run: Run) -> None:
    """Write `run`, and what waits before it, to its replica's journal: on disk, and the run marked as journaled."""
    _write_pending_runs(run.replica)
    run.refresh_from_db(fields=["journaled_at"])


def journal_pending() -> int:
    """Write the runs that a crash kept from being journaled. Return the number of replicas that had any."""
    written = 0
    for replica in Replica.objects.filter(runs__journaled_at=None).distinct().iterator():
        if _write_pending_runs(replica):
            written += 1
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


def _journal_line(run: Run, replica: Replica) -> bytes:
    keyid = ""
    if run.key is not None:
        keyid = run.key.keyid

    entry = JournalEntry(
        time=format_timestamp(time.time()),
        replica=str(replica.uuid),
        sequence=run.sequence,
        run=str(run.uuid),
        statement=bytes(run.statement).hex(),
        keyid=keyid,
    )
    return canonical_json(entry._asdict()).encode() + b"\n"


def _write_pending_runs(replica: Replica) -> int:
    """Append the runs that are not marked yet, in order, and mark them. Return how many there were."""
    written = 0
    with _open_locked(_journal_path(replica)) as descriptor:
        # Behind the lock: another process may have written these runs while this one waited.
        pending = replica.runs.filter(journaled_at=None).order_by("sequence").select_related("key")
        while runs := list(pending[:BATCH_RUNS]):
            _append_runs(descriptor, runs, replica)
            # After the fsync: a run that is marked is on disk. After a crash in between, its line is recognised.
            Run.objects.filter(pk__in=[run.pk for run in runs]).update(journaled_at=timezone.now())
            written += len(runs)
    return written


def _append_runs(descriptor: int, runs: list[Run], replica: Replica) -> None:
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))

    # End a torn line, so that the next one begins at its own beginning.
    repair = b""
    if tail and not tail.endswith(b"\n"):
        repair = b"\n"

    # A crash between write and mark: the line is there already.
    known = {(entry.sequence, entry.statement) for entry in _parse_entries(tail + repair)}
    new_runs = [run for run in runs if (run.sequence, bytes(run.statement).hex()) not in known]

    data = repair + b"".join(_journal_line(run, replica) for run in new_runs)
    # os.write() may write less than it is given.
    while data:
        written = os.write(descriptor, data)
        data = data[written:]
    os.fsync(descriptor)


@contextmanager
def _open_locked(path: Path) -> Iterator[int]:
    """Open a journal for one process at a time and yield its descriptor."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not os.fstat(descriptor).st_size:
            sync_directory(path.parent)  # the file may be new
        yield descriptor
    finally:
        os.close(descriptor)  # which releases the lock
