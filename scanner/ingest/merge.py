"""Find what a report changes: compare its lines with those of the current versions, both in the order of a report."""

from __future__ import annotations

import json
from collections.abc import Iterator

from scanner.format.records import Entry, Note
from scanner.ingest.batch import parse

Change = int | Entry | Note
"""The id of a version that ends, an entry that begins, or a note."""


def find_changes(current: Iterator[tuple[int, bytes]], lines: Iterator[bytes]) -> Iterator[Change]:
    """Yield what turns the current versions, ids with their lines, into the state of `lines`.

    Ends and beginnings come in the order of the paths, then the notes. `current` is exhausted before the first note. A
    line that did not change is not parsed.
    """
    versions = _CurrentVersions(current)
    for line in lines:
        # Nearly all lines of a report are those of the run before: comparing bytes costs a fraction of parsing them.
        if line == versions.line:
            versions.advance()
            continue

        record = parse(line)
        if isinstance(record, Note):
            # Notes come last, so no entry follows: what is left of the current versions is gone.
            yield from versions.end_all()
        else:
            yield from versions.end_before(record.path)

            # The line was compared with an earlier path, which has just ended; now it faces the version of its own.
            if line == versions.line:
                versions.advance()
                continue
            yield from versions.end_at(record.path)
        yield record

    yield from versions.end_all()


class _CurrentVersions:
    """A position in the current versions. `line` is that of the next version, empty at the end."""

    def __init__(self, rows: Iterator[tuple[int, bytes]]) -> None:
        self._rows = rows
        self.advance()

    def advance(self) -> None:
        self._id, self.line = next(self._rows, (0, b""))
        self._path: str | None = None

    def end_before(self, path: str) -> Iterator[int]:
        """Yield the ids of versions whose paths come before `path`."""
        while self.line and self._current_path() < path:
            yield self._id
            self.advance()

    def end_at(self, path: str) -> Iterator[int]:
        """Yield the id of the version of `path`, if it is the next one."""
        while self.line and self._current_path() <= path:
            yield self._id
            self.advance()

    def end_all(self) -> Iterator[int]:
        """Yield the ids of all versions that remain."""
        while self.line:
            yield self._id
            self.advance()

    def _current_path(self) -> str:
        # Parsed at most once, and only where lines differ.
        if self._path is None:
            self._path = str(json.loads(self.line)["path"])
        return self._path
