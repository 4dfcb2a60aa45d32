"""Rebuild the report of a run as it was signed, byte for byte: its envelope line, and its records from the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from scanner.db.report_lines import record_chunks
from scanner.errors import BodyError, ExportError
from scanner.ingest import inbox
from scanner.models import Replica, Run

PIECE_BYTES = 1 << 18
"""Bytes of a stored upload that are read at a time."""


def file_name(run: Run) -> str:
    """Return a name for the exported report, made of ids alone."""
    # An unsigned import is one JSON document, and the only kind of run without an envelope.
    suffix = "jsonl"
    if run.envelope is None:
        suffix = "json"
    return f"{run.replica.uuid}-{run.sequence}.{suffix}"


def export_report(run: Run) -> Iterator[bytes]:
    """Return the original, uncompressed report in pieces. Memory stays flat.

    An unsigned import, and a run that never came into the history, come from the stored upload. Raise ExportError when
    there is none; and at the end, when the lines differ from those that were signed: the rows were changed.
    """
    # Not a generator, so that a run that has no report is refused here and not at the first piece.
    is_unsigned = run.replica.origin == Replica.Origin.UNSIGNED
    if is_unsigned or run.state in (Run.State.RECEIVED, Run.State.SET_ASIDE):
        return _stored_report(run)
    if run.state == Run.State.REFUSED:
        raise ExportError(f"run {run.sequence} was refused: nothing but its statement is kept")
    return _rebuilt_report(run)


def export_records(run: Run) -> Iterator[bytes]:
    """Yield the lines of a complete run below its envelope, many whole lines at a time. Memory stays flat.

    Raise ExportError at the end when they differ from those that were signed or imported: the rows were changed.
    """
    digest = hashlib.sha3_512()
    for chunk in record_chunks(run):
        digest.update(chunk)
        yield chunk

    # Only at the end: by then nearly all bytes are out. The caller breaks off, and the file is seen to be cut short.
    if digest.digest() != bytes(run.records_digest):
        raise changed_rows_error(run)


def export_envelope(run: Run) -> bytes:
    """Return line 1 as it was signed, which is kept even when nothing else is. Raise ExportError when it is missing."""
    if run.envelope is None:
        raise ExportError(f"run {run.sequence} has lost its envelope")
    return bytes(run.envelope)


def changed_rows_error(run: Run) -> ExportError:
    """Return the error of a run whose rows were changed."""
    return ExportError(f"the rows of run {run.sequence} are not what was signed: verify_run says where they differ")


def _stored_report(run: Run) -> Iterator[bytes]:
    try:
        with inbox.open_upload(run) as plain:
            while piece := plain.read(PIECE_BYTES):
                yield piece
    except (BodyError, OSError) as error:
        raise ExportError(f"the stored upload of run {run.sequence} cannot be read: {error}") from error


def _rebuilt_report(run: Run) -> Iterator[bytes]:
    yield export_envelope(run)

    # A failed run has no records of its own: the state at its number is that of the run before it.
    if run.state != Run.State.FAILED:
        yield from export_records(run)
