"""Duplicates as a file: JSON Lines, one content a line; CSV, one name a row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from checker.changes.export import CONTENT_TYPES
from checker.duplicates import queries
from checker.duplicates.places import Place
from checker.duplicates.queries import DuplicateFilter, DuplicatePath
from scanner.export.csv import escape_formula

__all__ = ["CONTENT_TYPES", "export_bytes", "file_name"]

_PIECE = 500


def export_bytes(place: Place, wish: DuplicateFilter, form: str) -> Iterator[bytes]:
    """The contents that `wish` means, as the text of a file, piece by piece; no content is held whole."""
    texts = _csv(queries.iterate_paths(place, wish)) if form == "csv" else _jsonl(queries.iterate_paths(place, wish))
    piece: list[str] = []
    for text in texts:
        piece.append(text)
        if len(piece) >= _PIECE:
            yield "".join(piece).encode()
            piece.clear()
    yield "".join(piece).encode()


def file_name(place: Place, form: str) -> str:
    """A name made of ids and numbers alone."""
    number = f"-{place.runs[0].sequence}" if place.replica and place.runs else ""
    return f"duplicates-{place.uuid}{number}.{form}"


def _jsonl(found: Iterator[DuplicatePath]) -> Iterator[str]:
    """A content's names come before what is counted of them, so that a line is written while it is read."""
    for (sha256, size, extra, waste), names in groupby(found, key=lambda line: line[:4]):
        content = json.dumps({"sha256": sha256, "size": size, "waste": waste, "superfluous": extra})
        yield f'{content[:-1]}, "names": ['
        copies = 0
        for number, line in enumerate(names):
            copies += line.name.hardlink is None
            yield f"{', ' if number else ''}{json.dumps(_member(line), ensure_ascii=False)}"
        yield f'], "copies": {copies}}}\n'


def _member(line: DuplicatePath) -> dict[str, Any]:
    """A name for a program. Paths are coded as in a report."""
    hardlink = {} if line.name.hardlink is None else {"hardlink": line.name.hardlink}
    return {"replica": str(line.run.replica.uuid), "run": line.run.sequence, "path": line.name.path, **hardlink}


def _csv(found: Iterator[DuplicatePath]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["sha256", "size", "superfluous", "waste", "replica", "run", "path", "hardlink"])
    for line in found:
        size = "" if line.size is None else line.size
        run = (line.run.replica.uuid, line.run.sequence)
        name = (escape_formula(line.name.path), escape_formula(line.name.hardlink))
        writer.writerow([line.sha256, size, line.extra, line.waste, *run, *name])
        yield _taken(text)
    yield _taken(text)


def _taken(text: io.StringIO) -> str:
    found = text.getvalue()
    text.seek(0)
    text.truncate()
    return found
