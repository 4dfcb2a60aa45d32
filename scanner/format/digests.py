"""Digest and count the records of a report as they pass by, in constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

from scanner.format.entry_type import EntryType
from scanner.format.errors import PathError, RecordError
from scanner.format.records import (
    Entry,
    Record,
    RecordsSummary,
    block_size,
    check_record,
    decode_record,
    encode_record,
)

# Plain integers: an enum's members are slow to look up, and these are needed once an entry.
_FILE = EntryType.FILE.value
_ERROR = EntryType.ERROR.value
_LINK = EntryType.LINK.value

_BUFFERED_LINES = 4096
"""Hashing a joined buffer is faster than hashing line by line."""


class RecordsDigest:
    """SHA3-512 of all lines, and SHA-256 of each block of lines."""

    def __init__(self, line_count: int) -> None:
        """`line_count` is the number of lines to come. It fixes the size of the blocks."""
        self.count = 0
        self.bytes = 0
        self._whole = hashlib.sha3_512()
        self._block_size = block_size(line_count)
        self._block = hashlib.sha256()
        self._lines_left_in_block = self._block_size
        self._block_digests: list[str] = []
        self._buffer: list[bytes] = []

    def add(self, line: bytes) -> None:
        """Add the next line, newline included."""
        self._buffer.append(line)
        # A buffer never reaches beyond its block.
        if len(self._buffer) >= min(self._lines_left_in_block, _BUFFERED_LINES):
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._buffer)
        self._whole.update(data)
        self._block.update(data)
        self.count += len(self._buffer)
        self.bytes += len(data)
        self._lines_left_in_block -= len(self._buffer)
        self._buffer.clear()

        if self._lines_left_in_block == 0:
            self._finish_block()

    def _finish_block(self) -> None:
        self._block_digests.append(self._block.hexdigest())
        self._block = hashlib.sha256()
        self._lines_left_in_block = self._block_size

    def finish(self) -> RecordsSummary:
        """Return the summary of all lines that were added."""
        self._flush()
        # The last block may be shorter. Where the lines end with a block, none is left to finish.
        if self._lines_left_in_block != self._block_size:
            self._finish_block()
        return RecordsSummary(self.count, self.bytes, self._whole.hexdigest(), tuple(self._block_digests))


class ContentDigest:
    """SHA3-512 of what the entries contain, whatever their times and owners.

    The bytes are `path NUL sha256-hex NUL` for a file and `path NUL ->target NUL` for a link, in the order of the
    report.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha3_512()
        self._buffer: list[str] = []

    def add(self, entry: Entry) -> None:
        """Add the next entry."""
        if entry.type == _FILE and entry.sha256 is not None:
            self._buffer.append(f"{entry.path}\0{entry.sha256.hex()}\0")
        elif entry.type == _LINK:
            self._buffer.append(f"{entry.path}\0->{entry.detail}\0")
        if len(self._buffer) >= _BUFFERED_LINES:
            self._flush()

    def _flush(self) -> None:
        self._digest.update("".join(self._buffer).encode())
        self._buffer.clear()

    def hexdigest(self) -> str:
        """Return the digest of what has been added so far."""
        self._flush()
        return self._digest.hexdigest()


class RecordTotals:
    """Counts and digests of records in the order of a report: what its statement has to say of them."""

    def __init__(self, line_count: int) -> None:
        self.records_digest = RecordsDigest(line_count)
        self.content_digest = ContentDigest()
        self.files = 0
        self.size = 0
        """Bytes of all files."""
        self.errors = 0
        self._last_path = ""
        self._last_note: tuple[str, str] | None = None

    def add(self, record: Record, line: bytes) -> None:
        """Add the next record and its line. Raise RecordError when it is out of order."""
        if isinstance(record, Entry):
            self._add_entry(record)
        else:
            position = (record.path, record.note)
            if self._last_note is not None and position <= self._last_note:
                raise RecordError("notes are not in ascending order")
            self._last_note = position
        self.records_digest.add(line)

    def _add_entry(self, entry: Entry) -> None:
        # Comparing text compares bytes: code points and their UTF-8 have the same order.
        if entry.path <= self._last_path or self._last_note is not None:
            raise RecordError("entries are not in strictly ascending order of path, before all notes")
        self._last_path = entry.path

        if entry.type == _FILE:
            self.files += 1
            self.size += entry.size or 0
        elif entry.type == _ERROR:
            self.errors += 1
        self.content_digest.add(entry)


def read_records(
    lines: Iterable[bytes], totals: RecordTotals, decode: Callable[[bytes], Record] = decode_record
) -> Iterator[Record]:
    """Yield the record of each line, checked as strictly as the format demands, and add it to `totals`.

    `decode` may be a faster decoder that accepts whatever `decode_record` accepts: its result is checked all the same.
    Raise RecordError with the number of the first bad line (the envelope is line 1).
    """
    for number, line in enumerate(lines, 2):
        try:
            record = decode(line)
            check_record(record)
            # The line must be the only one that carries this record: what is signed has one form.
            if encode_record(record) != line:
                raise RecordError("the line is not in its canonical form")
            totals.add(record, line)
        except (RecordError, PathError) as error:
            raise RecordError(f"line {number}: {error}") from error
        yield record
