"""Entries as CSV (RFC 4180), every type of them, and cells that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from scanner.export.entries import entries
from scanner.export.omissions import LeftOut
from scanner.format.entry_type import EntryType
from scanner.format.records import Entry
from scanner.models import Run

COLUMNS = ("path", "type", "size", "mtime_ns", "mode", "uid", "gid", "sha256", "md5", "hardlink", "said", "stage")
"""`said` is the error's name, the link's target or the special's kind. Paths are coded as in a report."""
_TYPES: dict[int, str] = {EntryType.FILE: "file", EntryType.ERROR: "error", EntryType.LINK: "link"}
_ACTS = re.compile(r"[=+\-@\t\r']")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection); and the mark itself, so that taking
one mark away always gives the value back."""
_ROWS = 500


def harmless(value: Any) -> str:
    """A cell of a table that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return "'" + text if _ACTS.match(text) else text


def table(run: Run, _prefix: bytes, _left_out: LeftOut) -> Iterator[bytes]:
    """A head and a line for each entry; nothing is left out."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for number, row in enumerate(entries(run), 1):
        writer.writerow(_cells(row))
        if number % _ROWS == 0:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _cells(row: Entry) -> list[Any]:
    digests = [digest and digest.hex() for digest in (row.sha256, row.md5)]
    said = [harmless(row.detail), ""] if row.type == EntryType.FILE else ["", harmless(row.detail)]
    numbers = [row.size, row.mtime_ns, row.mode, row.uid, row.gid]
    return [harmless(row.path), _TYPES.get(row.type, "special"), *numbers, *digests, *said, row.stage]
