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

RECORDS: list[Record] = [
    Entry("a", EntryType.FILE, 5, 0, 0, 0, 0, b"\1" * 32, b"\1" * 16),
    Entry("b", EntryType.ERROR, detail="EIO", stage="read"),
    Entry("c", EntryType.LINK, detail="a"),
    Note("a", "misread"),
    Note("a", "vanished"),
    Note("z", "vanished"),
]
LINES = [encode_record(record) for record in RECORDS]


def test_totals() -> None:
    """Files, bytes and errors are counted; lines and contents are digested."""
    totals = RecordTotals(len(LINES))
    assert list(read_records(LINES, totals)) == RECORDS
    assert (totals.files, totals.size, totals.errors) == (1, 5, 1)

    content = "a\0" + "01" * 32 + "\0" + "c\0->a\0"
    assert totals.content_digest.hexdigest() == hashlib.sha3_512(content.encode()).hexdigest()

    whole = b"".join(LINES)
    summary = totals.records_digest.finish()
    assert (summary.line_count, summary.byte_count) == (6, len(whole))
    assert summary.sha3_512 == hashlib.sha3_512(whole).hexdigest()
    assert summary.blocks == tuple(hashlib.sha256(line).hexdigest() for line in LINES)


@given(st.integers(0, 3000))
def test_blocks(line_count: int) -> None:
    """There are at most MAX_BLOCKS blocks of equally many lines; the last one has what is left."""
    digest = RecordsDigest(line_count)
    lines = [b"%d\n" % number for number in range(line_count)]
    for line in lines:
        digest.add(line)
    summary = digest.finish()

    size = max(1, -(-line_count // MAX_BLOCKS))
    blocks = [b"".join(lines[start : start + size]) for start in range(0, line_count, size)]
    assert summary.blocks == tuple(hashlib.sha256(block).hexdigest() for block in blocks)
    assert len(summary.blocks) <= MAX_BLOCKS
    assert summary.line_count == line_count


def test_buffers_do_not_show() -> None:
    """Lines are digested in pieces: the digest does not depend on them."""
    lines = [encode_record(Entry(f"{number:06d}", EntryType.LINK, detail="x")) for number in range(10_000)]
    totals = RecordTotals(len(lines))
    assert sum(1 for _ in read_records(lines, totals)) == len(lines)
    assert totals.records_digest.finish().sha3_512 == hashlib.sha3_512(b"".join(lines)).hexdigest()


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
    """Entries ascend strictly and come first, then notes ascend. Any other order is refused with the line's number."""
    with pytest.raises(RecordError, match=f"line {len(order) + 1}: .*order"):
        list(read_records([LINES[index] for index in order], RecordTotals(len(order))))


def test_order_is_that_of_bytes() -> None:
    """Paths are ordered by their UTF-8 bytes, which is not the order of UTF-16."""
    names = ["\uffff", "\U00010000"]
    lines = [encode_record(Entry(name, EntryType.LINK, detail="x")) for name in names]
    assert len(list(read_records(lines, RecordTotals(2)))) == 2
    with pytest.raises(RecordError):
        list(read_records(lines[::-1], RecordTotals(2)))


def test_bad_line_is_named() -> None:
    """A line that is not canonical is refused with its number in the file."""
    lines = [LINES[0], LINES[1].replace(b":", b": ", 1)]
    with pytest.raises(RecordError, match=r"line 3: "):
        list(read_records(lines, RecordTotals(2)))
