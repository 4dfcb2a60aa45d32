"""The journal beside the database: one append-only file a replica, one line for each statement that was accepted.

A history that is cut or signed again in the database no longer fits it. A crash can tear the last line; what is torn
stays as it is, the next line begins after it, and the run that it was about is written again.
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

from scanner.format.canonical_json import canonical_json
from scanner.format.timestamps import format_timestamp
from scanner.ingest.storage import sync_folder
from scanner.models import Replica, Run

BATCH = 100
"""Runs that are written at a time; their lines are shorter than TAIL by far."""
TAIL = 1 << 16
"""Bytes at the end of a journal in which a line that was written but not marked is looked for."""


class JournalEntry(NamedTuple):
    """A line of the journal. `statement` and `keyid` are lower-case hex; `keyid` is empty for an unsigned import."""

    time: str
    replica: str
    sequence: int
    run: str
    statement: str
    keyid: str


def append(run: Run) -> None:
    """Write `run`, and what waits before it, to its replica's journal; on disk and marked when this returns."""
    _write_pending(run.replica)
    run.refresh_from_db(fields=["journaled_at"])


def journal_pending() -> int:
    """Write what a crash kept from being written. Returns the number of replicas that it concerned."""
    waiting = Replica.objects.filter(runs__journaled_at=None).distinct()
    return sum(1 for replica in waiting.iterator() if _write_pending(replica))


def read(replica: Replica) -> list[JournalEntry]:
    """Every whole line of the replica's journal, in the order in which they were written."""
    try:
        return _entries(_path(replica).read_bytes())
    except FileNotFoundError:
        return []


def _path(replica: Replica) -> Path:
    return Path(settings.BACKUP_SYNCER_JOURNAL) / f"{replica.uuid}.jsonl"


def _entries(data: bytes) -> list[JournalEntry]:
    return [entry for line in data.split(b"\n")[:-1] if (entry := _entry(line)) is not None]


def _entry(line: bytes) -> JournalEntry | None:
    """The entry of one line; None for one that a crash tore."""
    try:
        return JournalEntry(**json.loads(line))
    except (ValueError, TypeError):
        return None


def _line(run: Run, replica: Replica) -> bytes:
    entry = JournalEntry(
        time=format_timestamp(time.time()),
        replica=str(replica.uuid),
        sequence=run.sequence,
        run=str(run.uuid),
        statement=bytes(run.statement).hex(),
        keyid=run.key.keyid if run.key else "",
    )
    return canonical_json(entry._asdict()).encode() + b"\n"


def _write_pending(replica: Replica) -> int:
    """Append the runs that are not marked yet, in order. One process at a time holds the file's lock."""
    written = 0
    with _locked(_path(replica)) as file:
        waiting = replica.runs.filter(journaled_at=None).order_by("sequence").select_related("key")
        while runs := list(waiting[:BATCH]):
            _append_runs(file, runs, replica)
            Run.objects.filter(pk__in=[run.pk for run in runs]).update(journaled_at=timezone.now())
            written += len(runs)
    return written


def _append_runs(file: int, runs: list[Run], replica: Replica) -> None:
    size = os.fstat(file).st_size
    tail = os.pread(file, TAIL, max(0, size - TAIL))
    heal = b"\n" if tail and not tail.endswith(b"\n") else b""
    known = {(entry.sequence, entry.statement) for entry in _entries(tail + heal)}
    new = [run for run in runs if (run.sequence, bytes(run.statement).hex()) not in known]
    data = heal + b"".join(_line(run, replica) for run in new)
    while data:
        data = data[os.write(file, data) :]
    os.fsync(file)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not os.fstat(file).st_size:
            sync_folder(path.parent)
        yield file
    finally:
        os.close(file)
