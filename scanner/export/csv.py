"""Write entries of all types as CSV (RFC 4180), with cells that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from scanner.export.entries import read_entries
from scanner.export.omissions import Omissions
from scanner.format.entry_type import EntryType
from scanner.format.records import Entry
from scanner.models import Run

COLUMNS = ("path", "type", "size", "mtime_ns", "mode", "uid", "gid", "sha256", "md5", "hardlink", "said", "stage")
"""`said` is the error's name, the link's target or the special's kind. Paths are coded as in a report."""
ROWS_PER_CHUNK = 500
_TYPE_NAMES: dict[int, str] = {EntryType.FILE: "file", EntryType.ERROR: "error", EntryType.LINK: "link"}
_FULL_WIDTH = "\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
_FORMULA_START = re.compile(rf"[=+\-@\t\r'{_FULL_WIDTH}]")
"""Characters with which a formula begins for a spreadsheet (OWASP, CSV injection), also in the full width of East Asian
input, which some spreadsheets read alike; and the mark itself, so that taking one mark away always gives the value
back."""


def escape_formula(value: Any) -> str:
    """Return a cell that no spreadsheet takes for a formula: with a mark before it where it would."""
    if value is None:
        return ""
    text = str(value)
    if _FORMULA_START.match(text):
        return "'" + text
    return text


def write_csv(run: Run, _prefix: bytes, _omissions: Omissions) -> Iterator[bytes]:
    """Yield a head and a line for each entry; nothing is left out."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)

    # One buffer, emptied again and again, so that memory stays flat.
    for number, row in enumerate(read_entries(run), 1):
        writer.writerow(_cells(row))
        if number % ROWS_PER_CHUNK == 0:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()

    yield buffer.getvalue().encode()


def _cells(row: Entry) -> list[Any]:
    # The detail of a file has a column of its own.
    hard_link = None
    other_detail = None
    if row.type == EntryType.FILE:
        hard_link = row.detail
    else:
        other_detail = row.detail

    return [
        escape_formula(row.path),
        _TYPE_NAMES.get(row.type, "special"),
        row.size,
        row.mtime_ns,
        row.mode,
        row.uid,
        row.gid,
        row.sha256 and row.sha256.hex(),
        row.md5 and row.md5.hex(),
        escape_formula(hard_link),
        escape_formula(other_detail),
        row.stage,
    ]
