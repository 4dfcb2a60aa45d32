"""List the formats in which a complete run can be exported, and export it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scanner.errors import ExportError
from scanner.export.bagit import write_bag
from scanner.export.checksums import write_bsd, write_md5sum, write_sha256sum
from scanner.export.csv import write_csv
from scanner.export.hashdeep import write_hashdeep
from scanner.export.omissions import Omissions
from scanner.export.report import export_records
from scanner.models import Replica, Run


@dataclass(frozen=True)
class ExportFormat:
    """One format: everything that pages and commands must know of it."""

    label: str
    suffix: str
    content_type: str
    write: Callable[[Run, bytes, Omissions], Iterator[bytes]]
    """`write(run, prefix, omissions)` yields the bytes in pieces, and fills `omissions` on the way."""
    prefix: str | None = None
    """The default directory before each name. None where the format takes no directory."""
    states_sizes: bool = False
    """Whether the format must state sizes, which an unsigned import does not know."""
    needs_a_file: bool = False
    """Whether the program that checks such a list takes one without files for a broken one."""


def _write_json_lines(run: Run, _prefix: bytes, _omissions: Omissions) -> Iterator[bytes]:
    return export_records(run)


# Lists of checksums hold names as bytes, in no character set.
_CHECKSUM_LIST = "application/octet-stream"
FORMATS = {
    "sha256sum": ExportFormat("sha256sum", "sha256", _CHECKSUM_LIST, write_sha256sum, prefix="", needs_a_file=True),
    "md5sum": ExportFormat("md5sum", "md5", _CHECKSUM_LIST, write_md5sum, prefix="", needs_a_file=True),
    "bsd": ExportFormat("BSD", "sums", _CHECKSUM_LIST, write_bsd, prefix="", needs_a_file=True),
    "hashdeep": ExportFormat("hashdeep", "hashdeep", _CHECKSUM_LIST, write_hashdeep, prefix=".", states_sizes=True),
    "bagit": ExportFormat("BagIt", "tar", "application/x-tar", write_bag),
    "csv": ExportFormat("CSV", "csv", "text/csv; charset=utf-8", write_csv),
    "jsonl": ExportFormat("JSON Lines", "jsonl", "application/jsonl; charset=utf-8", _write_json_lines),
}
"""By the names that addresses and commands use."""


def available_formats(run: Run) -> dict[str, ExportFormat]:
    """Return the formats in which `run` can be exported, by name; none unless it is complete and in the history."""
    if run.state != Run.State.INGESTED:
        return {}
    return {name: export_format for name, export_format in FORMATS.items() if not _obstacle(run, export_format)}


def _obstacle(run: Run, export_format: ExportFormat) -> str:
    """Return why a complete run cannot be exported in a format; an empty text when it can."""
    # A size that nobody knows is not made up.
    if export_format.states_sizes and run.replica.origin == Replica.Origin.UNSIGNED:
        return f"{export_format.label} states sizes, which an unsigned import does not know"
    # `sha256sum -c` and its like fail on a list without lines: nobody could tell it from a damaged one.
    if export_format.needs_a_file and not run.files:
        return f"run {run.sequence} has no files: no program checks an empty {export_format.label} list"
    return ""


def export_run(run: Run, name: str, omissions: Omissions, prefix: str | None = None) -> Iterator[bytes]:
    """Return `run` in the format of this name, in pieces. Memory stays flat.

    `prefix` is a directory to put before each name. Raise ExportError when the run cannot be exported like this; and at
    the end, when the lines differ from those that were signed or imported.
    """
    export_format = FORMATS[name]
    if run.state != Run.State.INGESTED:
        raise ExportError(f"run {run.sequence} is {run.get_state_display()}: only a complete run has entries")
    obstacle = _obstacle(run, export_format)
    if obstacle:
        raise ExportError(obstacle)
    if prefix is not None and export_format.prefix is None:
        raise ExportError(f"{export_format.label} takes no directory before its names")

    if prefix is None:
        prefix = export_format.prefix or ""

    # Bytes, since names in a list are bytes.
    directory = os.fsencode(prefix)
    if directory:
        directory = directory.rstrip(b"/") + b"/"
    return export_format.write(run, directory, omissions)


def file_name(run: Run, name: str) -> str:
    """Return a name for the exported file, made of ids alone."""
    stem = f"{run.replica.uuid}-{run.sequence}"
    if name in ("jsonl", "csv"):
        # Not the name of a report, which has the same lines and one more.
        stem += "-entries"
    return f"{stem}.{FORMATS[name].suffix}"
