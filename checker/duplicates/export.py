"""Write duplicates as a file: JSON Lines with one content a line, or CSV with one path a row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any

from checker.changes.export import CONTENT_TYPES
from checker.duplicates import queries
from checker.duplicates.places import Place
from checker.duplicates.queries import DuplicateFilter, DuplicatePath
from scanner.export.csv import escape_formula

__all__ = ["CONTENT_TYPES", "export_bytes", "file_name"]

TEXTS_PER_CHUNK = 500
COLUMNS = ("sha256", "size", "superfluous", "waste", "replica", "run", "path", "hardlink")


def export_bytes(place: Place, duplicate_filter: DuplicateFilter, form: str) -> Iterator[bytes]:
    """Yield the contents that pass the filter as a file in one of CONTENT_TYPES, piece by piece.

    No content is held whole: it may have a million paths.
    """
    paths = queries.iterate_paths(place, duplicate_filter)
    texts = _csv(paths) if form == "csv" else _json_lines(paths)

    chunk: list[str] = []
    for text in texts:
        chunk.append(text)
        if len(chunk) >= TEXTS_PER_CHUNK:
            yield "".join(chunk).encode()
            chunk.clear()

    yield "".join(chunk).encode()


def file_name(place: Place, form: str) -> str:
    """Return a name for the file, made of ids and numbers alone."""
    number = f"-{place.runs[0].sequence}" if place.replica and place.runs else ""
    return f"duplicates-{place.uuid}{number}.{form}"


def _json_lines(paths: Iterator[DuplicatePath]) -> Iterator[str]:
    """Yield pieces of lines. A content's paths come before their count, so that a line is written while it is read."""
    for (sha256, size, extra, waste), paths_of_content in groupby(
        paths, attrgetter("sha256", "size", "extra", "waste")
    ):
        content = json.dumps({"sha256": sha256, "size": size, "waste": waste, "superfluous": extra})
        yield f'{content[:-1]}, "names": ['

        # A hard link is a name, and takes no space of its own.
        copies = 0
        for number, path in enumerate(paths_of_content):
            if path.hardlink is None:
                copies += 1
            separator = ", " if number else ""
            yield separator + json.dumps(_describe_path(path), ensure_ascii=False)

        yield f'], "copies": {copies}}}\n'


def _describe_path(path: DuplicatePath) -> dict[str, Any]:
    """Return a path as an object for JSON. Paths are coded as in a report."""
    members = {"replica": str(path.run.replica.uuid), "run": path.run.sequence, "path": path.path}
    if path.hardlink is not None:
        members["hardlink"] = path.hardlink
    return members


def _csv(paths: Iterator[DuplicatePath]) -> Iterator[str]:
    buffer = io.StringIO()
    # RFC 4180 ends each line with CR LF.
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)

    for path in paths:
        cells = [
            path.sha256,
            path.size,
            path.extra,
            path.waste,
            path.run.replica.uuid,
            path.run.sequence,
            escape_formula(path.path),
            escape_formula(path.hardlink),
        ]
        writer.writerow(cells)
        yield _take_text(buffer)

    # A file without duplicates still has its heads.
    yield _take_text(buffer)


def _take_text(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
