"""Sums, digests and order of records."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.format.digests import RecordsDigest, RecordTotals, read_records
from scanner.format.entry_type import EntryType
from scanner.format.errors import RecordError
from scanner.format.records import MAX_BLOCKS, Entry, Note, Record, encode_record

ROWS = [
    Entry("a", EntryType.FILE, 5, 0, 0, 0, 0, b"\1" * 32, b"\1" * 16),
    Entry("b", EntryType.ERROR, detail="EIO", stage="read"),
    Entry("c", EntryType.LINK, detail="a"),
]
NOTES = [Note("a", "misread"), Note("a", "vanished"), Note("z", "vanished")]
RECORDS: list[Record] = [*ROWS, *NOTES]
LINES = [encode_record(record) for record in RECORDS]


def test_sums() -> None:
    """Files, bytes, errors, and the digests over the lines and over the contents alone."""
    tally = RecordTotals(len(LINES))
    assert list(read_records(LINES, tally)) == RECORDS
    assert (tally.files, tally.size, tally.errors) == (1, 5, 1)
    content = "a\0" + "01" * 32 + "\0" + "c\0->a\0"
    assert tally.content_digest.hexdigest() == hashlib.sha3_512(content.encode()).hexdigest()
    whole = b"".join(LINES)
    found = tally.records_digest.finish()
    assert (found.line_count, found.byte_count, found.sha3_512) == (6, len(whole), hashlib.sha3_512(whole).hexdigest())
    assert found.blocks == tuple(hashlib.sha256(line).hexdigest() for line in LINES)


@given(st.integers(0, 3000))
def test_blocks(count: int) -> None:
    """At most BLOCKS slices of equally many lines, the last one of what is left."""
    digest = RecordsDigest(count)
    lines = [b"%d\n" % number for number in range(count)]
    for line in lines:
        digest.add(line)
    found = digest.finish()
    size = max(1, -(-count // MAX_BLOCKS))
    slices = [b"".join(lines[start : start + size]) for start in range(0, count, size)]
    assert found.blocks == tuple(hashlib.sha256(part).hexdigest() for part in slices)
    assert len(found.blocks) <= MAX_BLOCKS and found.line_count == count


def test_many_lines_pass_in_pieces() -> None:
    """Buffers are emptied on the way: what is digested does not depend on it."""
    lines = [encode_record(Entry(f"{number:06d}", EntryType.LINK, detail="x")) for number in range(10_000)]
    tally = RecordTotals(len(lines))
    assert sum(1 for _ in read_records(lines, tally)) == len(lines)
    assert tally.records_digest.finish().sha3_512 == hashlib.sha3_512(b"".join(lines)).hexdigest()


@pytest.mark.parametrize(
    "order",
    [
        [1, 0],
        [0, 0],
        [3, 0],
        [0, 4, 3],
        [3, 3],
        [5, 4],
    ],
)
def test_order(order: list[int]) -> None:
    """Entries ascend strictly and come first, then notes ascend; any other order names its line."""
    with pytest.raises(RecordError, match=f"line {len(order) + 1}: .*order"):
        list(read_records([LINES[number] for number in order], RecordTotals(len(order))))


def test_order_is_that_of_bytes() -> None:
    """Paths are ordered by their UTF-8 bytes, which is not the order of UTF-16."""
    names = ["\uffff", "\U00010000"]
    lines = [encode_record(Entry(name, EntryType.LINK, detail="x")) for name in names]
    assert len(list(read_records(lines, RecordTotals(2)))) == 2
    with pytest.raises(RecordError):
        list(read_records(lines[::-1], RecordTotals(2)))


def test_bad_line_is_named() -> None:
    """A line that is not canonical is refused with its number in the file."""
    with pytest.raises(RecordError, match=r"line 3: "):
        list(read_records([LINES[0], LINES[1].replace(b":", b": ", 1)], RecordTotals(2)))
