"""The entries of a run, read from its lines as they were signed: what is exported is what the server said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scanner.export import report
from scanner.export.omissions import LeftOut
from scanner.format.entry_type import EntryType
from scanner.format.errors import RecordError
from scanner.format.records import Entry
from scanner.ingest.batch import parse
from scanner.models import Run

# A plain integer: an enum's members are slow to look up, and this one is needed once an entry.
_FILE = EntryType.FILE.value

_LINES = 1000


def entries(run: Run) -> Iterator[Entry]:
    """Each entry, in the order of the report; memory stays flat. ExportError where the rows were changed."""
    try:
        for text in report.records(run):
            for line in text.split(b"\n")[:-1]:
                record = parse(line)
                if isinstance(record, Entry):
                    yield record
    except RecordError as error:
        raise report.changed(run) from error


def files(run: Run, left_out: LeftOut) -> Iterator[Entry]:
    """The files alone; what is none is counted in `left_out`. A hard link is a file like any other."""
    for row in entries(run):
        if row.type == _FILE:
            yield row
        else:
            left_out.add_other(row)


def pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, many at a time."""
    piece: list[bytes] = []
    for line in lines:
        piece.append(line)
        if len(piece) >= _LINES:
            yield b"".join(piece)
            piece.clear()
    yield b"".join(piece)
