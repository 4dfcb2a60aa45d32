"""What a new report changes: its lines beside those of the versions that still stand, both in the order of a report."""

from __future__ import annotations

import json
from collections.abc import Iterator

from scanner.format.records import Entry, Note
from scanner.ingest.batch import parse

Change = int | Entry | Note
"""The id of a version that ends, an entry that begins, or a note."""


def changes(standing: Iterator[tuple[int, bytes]], lines: Iterator[bytes]) -> Iterator[Change]:
    """What turns the state of `standing`, ids with their lines, into that of `lines`; a line that stays is not parsed.

    Ends and beginnings come in the order of the paths, then the notes, by when `standing` is exhausted.
    """
    old = _Standing(standing)
    for line in lines:
        if line == old.line:
            old.advance()
            continue
        record = parse(line)
        if isinstance(record, Note):
            yield from old.until(None)
        else:
            yield from old.before(record.path)
            if line == old.line:
                old.advance()
                continue
            yield from old.until(record.path)
        yield record
    yield from old.until(None)


class _Standing:
    """A place in what stands. `line` is empty at the end."""

    def __init__(self, rows: Iterator[tuple[int, bytes]]) -> None:
        self._rows = rows
        self.advance()

    def advance(self) -> None:
        self._id, self.line = next(self._rows, (0, b""))
        self._path: str | None = None

    def before(self, path: str) -> Iterator[int]:
        """Pass what stands before `path`."""
        while self.line and self._here() < path:
            yield self._id
            self.advance()

    def until(self, path: str | None) -> Iterator[int]:
        """Pass what stands up to `path`, itself included; all of it for None."""
        while self.line and (path is None or self._here() <= path):
            yield self._id
            self.advance()

    def _here(self) -> str:
        if self._path is None:
            self._path = str(json.loads(self.line)["path"])
        return self._path
