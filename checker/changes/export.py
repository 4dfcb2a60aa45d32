"""Write changes as a file: JSON Lines for programs, CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from checker.changes import queries
from checker.changes.queries import ChangeFilter, ChangeRow, ChangeSide
from checker.models import Comparison
from scanner.export.csv import escape_formula

CONTENT_TYPES = {"jsonl": "application/jsonl; charset=utf-8", "csv": "text/csv; charset=utf-8"}
"""Of the formats of a download."""
ROWS_PER_CHUNK = 500
SIDE_COLUMNS = ("type", "size", "mtime_ns", "mode", "uid", "gid", "sha256", "md5", "detail", "stage")


def describe_change(row: ChangeRow) -> dict[str, Any]:
    """Return a change as an object for JSON. Paths are coded as in a report."""
    members: dict[str, Any] = {"kind": row.kind, "path": row.path}
    if row.other is not None:
        members |= {"other": row.other, "departed": row.departed}
    members |= {"old": _describe_side(row.old), "new": _describe_side(row.new)}
    if row.notes:
        members["notes"] = row.notes
    return members


def export_bytes(comparison: Comparison, change_filter: ChangeFilter, form: str) -> Iterator[bytes]:
    """Yield the changes that pass the filter as a file in one of CONTENT_TYPES, piece by piece."""
    rows = queries.iterate_changes(comparison, change_filter)
    return _csv(rows) if form == "csv" else _json_lines(rows)


def file_name(comparison: Comparison, form: str) -> str:
    """Return a name for the file, made of ids and numbers alone."""
    base = comparison.base.sequence if comparison.base else 0
    return f"changes-{comparison.run.replica.uuid}-{base}-{comparison.run.sequence}.{form}"


def _describe_side(side: ChangeSide | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {name: value for name, value in side._asdict().items() if value is not None}


def _json_lines(rows: Iterator[ChangeRow]) -> Iterator[bytes]:
    chunk: list[str] = []
    for row in rows:
        chunk.append(json.dumps(describe_change(row), ensure_ascii=False) + "\n")
        if len(chunk) >= ROWS_PER_CHUNK:
            yield "".join(chunk).encode()
            chunk.clear()

    yield "".join(chunk).encode()


def _csv(rows: Iterator[ChangeRow]) -> Iterator[bytes]:
    buffer = io.StringIO()
    # RFC 4180 ends each line with CR LF.
    writer = csv.writer(buffer, lineterminator="\r\n")
    old_columns = [f"old_{column}" for column in SIDE_COLUMNS]
    new_columns = [f"new_{column}" for column in SIDE_COLUMNS]
    writer.writerow(["kind", "path", "other", *old_columns, *new_columns])

    for number, row in enumerate(rows, 1):
        own_cells = [row.kind, escape_formula(row.path), escape_formula(row.other)]
        writer.writerow(own_cells + _side_cells(row.old) + _side_cells(row.new))

        if number % ROWS_PER_CHUNK == 0:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()

    yield buffer.getvalue().encode()


def _side_cells(side: ChangeSide | None) -> list[str]:
    values = [getattr(side, column, None) for column in SIDE_COLUMNS]
    # A negative time is a number, and no formula.
    return [str(value) if isinstance(value, int) else escape_formula(value) for value in values]
