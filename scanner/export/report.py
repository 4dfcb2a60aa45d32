"""The report of a run as it was signed, byte for byte: its envelope line, and its records written from the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from scanner.db import entries
from scanner.ingest import inbox
from scanner.ingest.gunzip import BodyError
from scanner.models import Replica, Run

PIECE = 1 << 18
"""Bytes that are given at a time."""


class ExportError(Exception):
    """The original report cannot be given."""


def file_name(run: Run) -> str:
    """A name for the exported file, made of ids alone."""
    ending = "json" if run.envelope is None else "jsonl"
    return f"{run.replica.uuid}-{run.sequence}.{ending}"


def report(run: Run) -> Iterator[bytes]:
    """The original, uncompressed report in pieces; memory stays flat.

    An unsigned import and a run that never came into the history are given from the kept bytes. Raises ExportError when
    there are none; and at the end, when what was written is not what was signed: the rows were changed.
    """
    if run.replica.origin == Replica.Origin.UNSIGNED or run.state in (Run.State.RECEIVED, Run.State.SET_ASIDE):
        return _kept(run)
    if run.state == Run.State.REFUSED:
        raise ExportError(f"run {run.sequence} was refused: nothing but its statement is kept")
    return _rebuilt(run)


def _kept(run: Run) -> Iterator[bytes]:
    try:
        with inbox.read_upload(run) as plain:
            while piece := plain.read(PIECE):
                yield piece
    except (BodyError, OSError) as error:
        raise ExportError(f"the kept bytes of run {run.sequence} cannot be read: {error}") from error


def records(run: Run) -> Iterator[bytes]:
    """The lines of a complete run below its envelope, whole ones, many at a time; memory stays flat.

    Raises ExportError at the end, when they are not what was signed, or imported: the rows were changed.
    """
    digest = hashlib.sha3_512()
    for text in entries.record_texts(run):
        digest.update(text)
        yield text
    if digest.digest() != bytes(run.records_digest):
        raise changed(run)


def changed(run: Run) -> ExportError:
    """The error of a run whose rows are not what they were."""
    return ExportError(f"the rows of run {run.sequence} are not what was signed: verify_run says where they differ")


def envelope(run: Run) -> bytes:
    """Line 1 as it was signed: what is left of a run when nothing else is. ExportError where there is none."""
    if run.envelope is None:
        raise ExportError(f"run {run.sequence} has lost its envelope")
    return bytes(run.envelope)


def _rebuilt(run: Run) -> Iterator[bytes]:
    yield envelope(run)
    if run.state != Run.State.FAILED:  # which has no state of its own, only that of the run before it
        yield from records(run)
