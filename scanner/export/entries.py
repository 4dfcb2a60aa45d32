"""Read the entries of a run for exports, from its lines as they were signed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scanner.export import report
from scanner.export.omissions import Omissions
from scanner.format.entry_type import EntryType
from scanner.format.errors import RecordError
from scanner.format.records import Entry
from scanner.ingest.batch import parse
from scanner.models import Run

LINES_PER_CHUNK = 1000


def read_entries(run: Run) -> Iterator[Entry]:
    """Yield each entry in the order of the report. Memory stays flat. Raise ExportError where the rows were changed."""
    try:
        for chunk in report.export_records(run):
            for line in chunk.split(b"\n")[:-1]:
                record = parse(line)
                if isinstance(record, Entry):
                    yield record
    # These lines were checked before they were signed. One that cannot be parsed was changed in the tables.
    except RecordError as error:
        raise report.changed_rows_error(run) from error


def read_files(run: Run, omissions: Omissions) -> Iterator[Entry]:
    """Yield the files, and count all other entries in `omissions`. A hard link is a file like any other."""
    for row in read_entries(run):
        if row.type == EntryType.FILE:
            yield row
        else:
            omissions.add_entry(row)


def join_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines joined, many at a time."""
    chunk: list[bytes] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) >= LINES_PER_CHUNK:
            yield b"".join(chunk)
            chunk.clear()
    yield b"".join(chunk)
