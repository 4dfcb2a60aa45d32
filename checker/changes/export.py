"""Changes as a file: JSON Lines for programs, CSV for a table."""

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
_FIELDS = ("type", "size", "mtime_ns", "mode", "uid", "gid", "sha256", "md5", "detail", "stage")
_PIECE = 500


def describe_change(row: ChangeRow) -> dict[str, Any]:
    """A change for a program. Paths are coded as in a report."""
    return {
        "kind": row.kind,
        "path": row.path,
        **({"other": row.other, "departed": row.departed} if row.other is not None else {}),
        "old": _side(row.old),
        "new": _side(row.new),
        **({"notes": row.notes} if row.notes else {}),
    }


def export_bytes(comparison: Comparison, wish: ChangeFilter, form: str) -> Iterator[bytes]:
    """The changes that `wish` means, as the text of a file, piece by piece."""
    rows = queries.iterate_changes(comparison, wish)
    return _csv(rows) if form == "csv" else _jsonl(rows)


def file_name(comparison: Comparison, form: str) -> str:
    """A name made of ids and numbers alone."""
    base = comparison.base.sequence if comparison.base else 0
    return f"changes-{comparison.run.replica.uuid}-{base}-{comparison.run.sequence}.{form}"


def _side(side: ChangeSide | None) -> dict[str, Any] | None:
    return None if side is None else {name: value for name, value in side._asdict().items() if value is not None}


def _jsonl(rows: Iterator[ChangeRow]) -> Iterator[bytes]:
    piece: list[str] = []
    for row in rows:
        piece.append(json.dumps(describe_change(row), ensure_ascii=False) + "\n")
        if len(piece) >= _PIECE:
            yield "".join(piece).encode()
            piece.clear()
    yield "".join(piece).encode()


def _csv(rows: Iterator[ChangeRow]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["kind", "path", "other", *(f"{side}_{name}" for side in ("old", "new") for name in _FIELDS)])
    for number, row in enumerate(rows, 1):
        sides = [getattr(side, name, None) for side in (row.old, row.new) for name in _FIELDS]
        kept = [str(cell) if isinstance(cell, int) else escape_formula(cell) for cell in sides]
        writer.writerow([row.kind, escape_formula(row.path), escape_formula(row.other), *kept])
        if number % _PIECE == 0:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()
