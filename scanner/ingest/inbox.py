"""The bytes of reports as sent: durable before a report is acknowledged, kept until its run was proven from the rows.

Names in the storage are ours: `<replica>/<run>-<random>.jsonl`, or `.jsonl.gz`.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import IO, Protocol, cast

from django.core.files import File
from django.core.files.storage import storages
from django.utils import timezone

from scanner.errors import Busy
from scanner.format.envelope import ENVELOPE_LIMIT
from scanner.format.lines import split_lines
from scanner.format.records import LINE_LIMIT
from scanner.format.statement import Statement
from scanner.ingest.gunzip import GZIP, IDENTITY, BodyError, Unpacker
from scanner.ingest.storage import DurableStorage
from scanner.ingest.stream import Arrival
from scanner.models import Run

logger = logging.getLogger(__name__)

ORPHAN_AFTER = timedelta(days=1)
"""No upload takes so long: a file that no run names by then belongs to none."""


class Plain(Protocol):
    """What `read_upload` gives: `read(n)` returns up to about n plain bytes, none at the end."""

    def read(self, size: int = ...) -> bytes: ...


def storage() -> DurableStorage:
    """Where uploads are kept: the storage `reports`."""
    return cast(DurableStorage, storages["reports"])


def keep(arrival: Arrival, statement: Statement) -> str:
    """Write the report, checked while it is written, and return its name in the storage: on disk, or nothing is there.

    A failed run has nothing to keep: it is checked, and its name is empty. Raises BodyError, Incomplete, Busy.
    """
    arrival.expect(statement)
    if statement.outcome == "failed":
        while arrival.read():
            pass
        return ""
    suffix = ".jsonl.gz" if arrival.encoding == GZIP else ".jsonl"
    name = f"{statement.replica}/{statement.run}-{secrets.token_hex(4)}{suffix}"
    try:
        return storage().save(name, File(cast("IO[bytes]", arrival), name))
    except OSError as error:
        logger.exception("the report %s cannot be written", name)
        raise Busy("The central server cannot write the report now.", retry_after=300) from error


def discard(name: str) -> None:
    """Remove what `keep` wrote, when no run came of it."""
    if name:
        storage().delete(name)


def delete(run: Run) -> None:
    """Forget the uploaded bytes of `run`; its rows and its envelope stay."""
    name, run.upload = run.upload, ""
    run.save(update_fields=["upload"])
    discard(name)


@contextmanager
def read_upload(run: Run) -> Iterator[Plain]:
    """The plain bytes of the report as it was sent, envelope first; FileNotFoundError when they are not kept any more.

    BodyError when they cannot be unpacked any more.
    """
    if not run.upload:
        raise FileNotFoundError(f"the uploaded bytes of run {run.uuid} are not kept")
    with storage().open(run.upload, "rb") as file:
        yield _Unpacked(file, GZIP if run.upload.endswith(".gz") else IDENTITY)


class _Unpacked:
    def __init__(self, file: File[bytes], encoding: str) -> None:
        self._file, self._unpacker = file, Unpacker(encoding)
        self._pieces: Iterator[bytes] = iter(())
        self._rest = b""

    def read(self, size: int = 1 << 18) -> bytes:
        while not self._rest:
            piece = next(self._pieces, b"")
            if not piece:
                data = self._file.read(1 << 16)
                if not data:
                    self._unpacker.finish()
                    return b""
                self._pieces = self._unpacker.feed(data)
            self._rest = piece
        given, self._rest = self._rest[:size], self._rest[size:]
        return given


def lines_below_envelope(run: Run) -> Iterator[bytes]:
    """The record lines of the kept report, newline included; nothing is checked but the length of lines."""
    with read_upload(run) as plain:
        found = split_lines(plain.read, max(ENVELOPE_LIMIT, LINE_LIMIT))
        next(found)
        yield from found


def remove_orphans() -> int:
    """Delete files that no run names: what a killed process left. Returns how many there were."""
    kept, before, removed = storage(), timezone.now() - ORPHAN_AFTER, 0
    for name in kept.names():
        if kept.get_modified_time(name) < before and not Run.objects.filter(upload=name).exists():
            kept.delete(name)
            removed += 1
    return removed


__all__ = ["BodyError", "delete", "discard", "keep", "lines_below_envelope", "read_upload", "remove_orphans", "storage"]
