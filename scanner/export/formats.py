"""The forms in which a run is given, by their names, and what each needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from scanner.export import report
from scanner.export.bagit import bagit
from scanner.export.checksums import bsd, md5sum, sha256sum
from scanner.export.csv import table
from scanner.export.hashdeep import hashdeep
from scanner.export.omissions import LeftOut
from scanner.models import Replica, Run


class Form(NamedTuple):
    """One form. `write(run, prefix, left_out)` gives its text in pieces, and fills `left_out` on the way."""

    label: str
    ending: str
    content_type: str
    write: Callable[[Run, bytes, LeftOut], Iterator[bytes]]
    prefix: str | None = None
    """The directory that stands before each name unless another is asked for; None where names are not the form's."""
    sizes: bool = False
    """Whether it must state sizes, which an unsigned import does not know."""


def _records(run: Run, _prefix: bytes, _left_out: LeftOut) -> Iterator[bytes]:
    return report.records(run)


_SUMS = "application/octet-stream"
"""Lists of sums hold names as bytes, in no character set."""
FORMS = {
    "sha256sum": Form("sha256sum", "sha256", _SUMS, sha256sum, ""),
    "md5sum": Form("md5sum", "md5", _SUMS, md5sum, ""),
    "bsd": Form("BSD", "sums", _SUMS, bsd, ""),
    "hashdeep": Form("hashdeep", "hashdeep", _SUMS, hashdeep, ".", sizes=True),
    "bagit": Form("BagIt", "tar", "application/x-tar", bagit),
    "csv": Form("CSV", "csv", "text/csv; charset=utf-8", table),
    "jsonl": Form("JSON Lines", "jsonl", "application/jsonl; charset=utf-8", _records),
}


def offered(run: Run) -> dict[str, Form]:
    """The forms in which `run` can be given, by name; none unless it is complete and in the history."""
    if run.state != Run.State.INGESTED:
        return {}
    unsigned = run.replica.origin == Replica.Origin.UNSIGNED
    return {name: form for name, form in FORMS.items() if not (unsigned and form.sizes)}


def written(run: Run, name: str, left_out: LeftOut, prefix: str | None = None) -> Iterator[bytes]:
    """`run` in the form of this name, in pieces; memory stays flat. `prefix` is a directory to put before each name.

    ExportError for what cannot be given; and at the end, when the rows are not what was signed or imported.
    """
    form = FORMS[name]
    if run.state != Run.State.INGESTED:
        raise report.ExportError(f"run {run.sequence} is {run.get_state_display()}: only a complete run has entries")
    if name not in offered(run):
        raise report.ExportError(f"{form.label} states sizes, which an unsigned import does not know")
    if prefix is not None and form.prefix is None:
        raise report.ExportError(f"{form.label} takes no directory before its names")
    before = os.fsencode(form.prefix or "" if prefix is None else prefix)
    return form.write(run, before.rstrip(b"/") + b"/" if before else b"", left_out)


def file_name(run: Run, name: str) -> str:
    """A name for the file, made of ids alone; not that of a report, which has the same lines and one more."""
    stem = f"{run.replica.uuid}-{run.sequence}"
    return f"{stem}-entries.{FORMS[name].ending}" if name in ("jsonl", "csv") else f"{stem}.{FORMS[name].ending}"
