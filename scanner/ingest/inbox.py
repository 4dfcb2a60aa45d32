"""Keep the bytes of reports as sent: on disk before a report is acknowledged, until its run is proven from the rows.

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
from scanner.ingest.gunzip import GZIP, IDENTITY, Unpacker
from scanner.ingest.storage import DurableStorage
from scanner.ingest.stream import ReportStream
from scanner.models import Run

logger = logging.getLogger(__name__)

ORPHAN_AFTER = timedelta(days=1)
"""No upload takes this long: an older file that no run names belongs to none."""
_PLAIN_BYTES = 1 << 18
_STORED_BYTES = 1 << 16


class PlainReader(Protocol):
    """Result of `open_upload`."""

    def read(self, size: int = ...) -> bytes:
        """Return up to about `size` plain bytes, none at the end."""


def report_storage() -> DurableStorage:
    """Return the storage `reports`, where uploads are kept."""
    return cast(DurableStorage, storages["reports"])


def save_upload(stream: ReportStream, statement: Statement) -> str:
    """Write a report, checked while it is written, and return its name in the storage; on disk, or not there at all.

    A failed run has no records to keep: it is checked, and the name is empty. Raise BodyError, Incomplete or Busy.
    """
    stream.expect(statement)
    if statement.outcome == "failed":
        # Read all the same: reading compares the body with the statement, which announces no records.
        while stream.read():
            pass
        return ""

    suffix = ".jsonl"
    if stream.encoding == GZIP:
        suffix = ".jsonl.gz"

    # Random: when the same report arrives twice at once, the slower upload must not delete the file of the faster one.
    name = f"{statement.replica}/{statement.run}-{secrets.token_hex(4)}{suffix}"
    try:
        return report_storage().save(name, File(cast("IO[bytes]", stream), name))
    except OSError as error:
        logger.exception("the report %s cannot be written", name)
        raise Busy("The central server cannot write the report now.", retry_after=300) from error


def discard_upload(name: str) -> None:
    """Remove what `save_upload` wrote when no run came of it."""
    if name:
        report_storage().delete(name)


def delete_upload(run: Run) -> None:
    """Delete the uploaded bytes of `run`; its rows and its envelope stay."""
    name = run.upload

    # The name goes first: a file that no run names is an orphan, but a name without a file would be a loss.
    run.upload = ""
    run.save(update_fields=["upload"])
    discard_upload(name)


@contextmanager
def open_upload(run: Run) -> Iterator[PlainReader]:
    """Open the report as it was sent, and read its plain bytes, envelope first.

    Raise FileNotFoundError when it is not kept any more, and BodyError, while reading, when it cannot be unpacked.
    """
    if not run.upload:
        raise FileNotFoundError(f"the uploaded bytes of run {run.uuid} are not kept")

    encoding = IDENTITY
    if run.upload.endswith(".gz"):
        encoding = GZIP
    with report_storage().open(run.upload, "rb") as file:
        yield _UnpackedFile(file, encoding)


class _UnpackedFile:
    """A PlainReader of a stored file."""

    def __init__(self, file: File[bytes], encoding: str) -> None:
        self._file = file
        self._unpacker = Unpacker(encoding)
        self._pieces: Iterator[bytes] = iter(())
        self._rest = b""

    def read(self, size: int = _PLAIN_BYTES) -> bytes:
        while not self._rest:
            self._rest = next(self._pieces, b"")
            if self._rest:
                break

            data = self._file.read(_STORED_BYTES)
            if not data:
                self._unpacker.finish()
                return b""
            self._pieces = self._unpacker.feed(data)

        result = self._rest[:size]
        self._rest = self._rest[size:]
        return result


def record_lines(run: Run) -> Iterator[bytes]:
    """Yield the record lines of a stored report with their newlines. Only the length of lines is checked."""
    with open_upload(run) as plain:
        report_lines = split_lines(plain.read, max(ENVELOPE_LIMIT, LINE_LIMIT))
        next(report_lines)  # the envelope
        yield from report_lines


def remove_orphans() -> int:
    """Delete old files that no run names, which killed processes left behind. Return how many there were."""
    storage = report_storage()
    oldest = timezone.now() - ORPHAN_AFTER
    removed = 0
    for name in storage.names():
        if storage.get_modified_time(name) < oldest and not Run.objects.filter(upload=name).exists():
            storage.delete(name)
            removed += 1
    return removed
