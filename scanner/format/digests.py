"""What the lines of a report come to: their order, their sums and their digests, taken as they pass in flat memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

from scanner.format import paths
from scanner.format.records import BLOCKS, ERROR, FILE, LINK, Record, RecordError, Records, Row, check, decode, encode


class RecordsDigest:
    """Digests lines as they pass. `count`, the number of lines to come, fixes the slices: equal but for the last."""

    def __init__(self, count: int) -> None:
        self._whole, self._block = hashlib.sha3_512(), hashlib.sha256()
        self._slice = max(1, -(-count // BLOCKS))
        self._room, self._lines, self._blocks = self._slice, [], []  # type: int, list[bytes], list[str]
        self.count = self.bytes = 0

    def add(self, line: bytes) -> None:
        """Take in the next line, newline included."""
        self._lines.append(line)
        if len(self._lines) >= min(self._room, 4096):
            self._flush()

    def _flush(self) -> None:
        chunk = b"".join(self._lines)
        self._whole.update(chunk)
        self._block.update(chunk)
        self.count, self.bytes, self._room = (
            self.count + len(self._lines),
            self.bytes + len(chunk),
            self._room - len(self._lines),
        )
        self._lines.clear()
        if not self._room:
            self._blocks.append(self._block.hexdigest())
            self._block, self._room = hashlib.sha256(), self._slice

    def finish(self) -> Records:
        """What was added, in the form of the statement. `blocks` are SHA-256: they locate, `sha3_512` proves."""
        self._flush()
        if self._room != self._slice:
            self._blocks.append(self._block.hexdigest())
            self._block, self._room = hashlib.sha256(), self._slice
        return Records(self.count, self.bytes, self._whole.hexdigest(), tuple(self._blocks))


class ContentDigest:
    """SHA3-512 over `path NUL sha256-hex NUL` of files and `path NUL ->target NUL` of links, in the order of the
    report."""

    def __init__(self) -> None:
        self._digest = hashlib.sha3_512()
        self._parts: list[str] = []

    def add(self, row: Row) -> None:
        """Take in the next entry."""
        if row.type == FILE and row.sha256 is not None:
            self._parts.append(f"{row.path}\0{row.sha256.hex()}\0")
        elif row.type == LINK:
            self._parts.append(f"{row.path}\0->{row.detail}\0")
        if len(self._parts) >= 4096:
            self._flush()

    def _flush(self) -> None:
        self._digest.update("".join(self._parts).encode())
        self._parts.clear()

    def hexdigest(self) -> str:
        """The digest of what was added until now."""
        self._flush()
        return self._digest.hexdigest()


class Tally:
    """Sums over records in the order of a report: what its statement must say. `order` breaks raise RecordError."""

    def __init__(self, count: int) -> None:
        self.digest, self.content = RecordsDigest(count), ContentDigest()
        self.files = self.size = self.errors = 0
        self._last_row = ""
        self._last_note: tuple[str, str] | None = None

    def add(self, record: Record, line: bytes) -> None:
        """Take in the next record and its line; RecordError when it stands out of order."""
        if isinstance(record, Row):
            self._add_row(record)
        else:
            here = (record.path, record.note)
            if self._last_note is not None and here <= self._last_note:
                raise RecordError("notes are not in ascending order")
            self._last_note = here
        self.digest.add(line)

    def _add_row(self, row: Row) -> None:
        if row.path <= self._last_row or self._last_note is not None:
            raise RecordError("entries are not in strictly ascending order of path, before all notes")
        self._last_row = row.path
        if row.type == FILE:
            self.files, self.size = self.files + 1, self.size + (row.size or 0)
        elif row.type == ERROR:
            self.errors += 1
        self.content.add(row)


def read(lines: Iterable[bytes], tally: Tally, parse: Callable[[bytes], Record] = decode) -> Iterator[Record]:
    """Each record of `lines`, checked as strictly as a report demands; `tally` has seen all of them in the end.

    `parse` may be a quicker decoder that accepts whatever `decode` accepts: what it makes of a line is checked all the
    same. Raises RecordError with the number of the first bad line (the envelope is line 1).
    """
    for number, line in enumerate(lines, 2):
        try:
            record = parse(line)
            check(record)
            if encode(record) != line:
                raise RecordError("the line is not in its canonical form")
            tally.add(record, line)
        except (RecordError, paths.PathError) as error:
            raise RecordError(f"line {number}: {error}") from error
        yield record
