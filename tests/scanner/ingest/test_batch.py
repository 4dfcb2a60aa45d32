"""Lines read in batches: what is accepted, and the totals, are those of lines read one by one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.format.digests import RecordTotals, read_records
from scanner.format.errors import RecordError
from scanner.format.records import Entry, Note, Record, encode_record
from scanner.ingest import batch
from scanner.ingest.batch import BatchTotals, parse
from tests.scanner import factories as make

NAMES = st.sampled_from(
    ["a", "b", ".", "..", "", ".a", "a.", "...", "é", "\U0001f600", 'q"', "b\\\\", "\\xff", "\n", "\x7f", "\r", "c d"]
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
NUMBERS = st.sampled_from([0, 1, -1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, -(2**63), 10**18])


@st.composite
def rows(draw: st.DrawFn) -> Record:
    """Any record, good or not quite."""
    path = draw(PATHS)
    kind = draw(st.integers(0, 9))
    if kind < 6:
        fields = {name: draw(NUMBERS) for name in ("size", "mtime_ns", "mode", "uid", "gid") if draw(st.booleans())}
        link = {"detail": draw(PATHS)} if draw(st.booleans()) else {}
        content = draw(st.sampled_from([b"", b"x"]))
        return make.file_row(path, content, **fields, **link)

    if kind == 6:
        return make.error_row(path)
    if kind == 7:
        return make.link_row(path, draw(PATHS) or "t")
    if kind == 8:
        return make.special_row(path)
    return Note(path, "confirmed")


def read_one_by_one(texts: list[bytes]) -> tuple[object, ...] | str:
    """Return the totals of the plain reader, or its error."""
    tally = RecordTotals(len(texts))
    try:
        for _ in read_records(texts, tally, parse):
            pass
    except RecordError as error:
        return str(error)

    return sums(tally)


def read_in_batches(texts: list[bytes], cuts: list[int]) -> tuple[object, ...] | str:
    """Return the totals of the batch reader for lines in these batches, or its error."""
    tally = BatchTotals(len(texts))
    try:
        for start, end in zip([0, *cuts], [*cuts, len(texts)]):
            tally.add_text(b"".join(texts[start:end]))
    except RecordError as error:
        return str(error)

    return sums(tally)


def sums(tally: RecordTotals) -> tuple[object, ...]:
    return tally.files, tally.size, tally.errors, tally.records_digest.finish(), tally.content_digest.hexdigest()


@settings(max_examples=300, deadline=None)
@given(st.lists(rows(), max_size=12), st.booleans(), st.data())
def test_both_readers_agree(records: list[Record], ordered: bool, data: st.DataObject) -> None:
    """The same sums for good lines, the same line named for bad ones, however the lines are cut into batches."""
    if ordered:
        records = sorted(set(records), key=lambda record: (isinstance(record, Note), record[0]))
    texts = [encode_record(record) for record in records]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(texts)), max_size=3)))

    assert read_in_batches(texts, cuts) == read_one_by_one(texts)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.binary(min_size=1, max_size=3))
def test_damaged_text_is_never_taken(seed: int, patch: bytes) -> None:
    """Bytes put into good lines at random are refused, or make lines that the plain reader accepts as well."""
    chance = random.Random(seed)
    texts = [encode_record(make.file_row(f"d/{number:03}", b"x" * number)) for number in range(20)]
    text = b"".join(texts)
    offset = chance.randrange(len(text) - 4)
    text = text[:offset] + patch + text[offset + chance.choice([0, len(patch)]) :]
    if not text.endswith(b"\n"):
        text += b"\n"
    split = [line + b"\n" for line in text.split(b"\n")[:-1]]

    assert read_in_batches(split, []) == read_one_by_one(split)


def test_a_line_that_is_too_long_is_refused() -> None:
    """A line of more than 64 KiB is refused although all else in it is right."""
    text = encode_record(make.file_row("/".join(["n" * 250] * 270)))
    with pytest.raises(RecordError, match="line 2: longer than 65536 bytes"):
        BatchTotals(1).add_text(text)


def test_sums_on_a_thread_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """SHA3-512 on its own thread has the same results as on one thread."""
    texts = [encode_record(make.file_row(f"d/{number:06}", b"x" * (number % 7))) for number in range(9000)]
    plain = read_in_batches(texts, [1000, 5000])
    monkeypatch.setattr(batch, "THREADED_FROM_LINES", 10)
    assert read_in_batches(texts, [1000, 5000]) == plain == read_one_by_one(texts)


def test_rows_of_every_kind_are_counted() -> None:
    """Files, errors and bytes are counted; links and specials are lines only."""
    records: list[Entry] = [
        make.file_row("a", b"123"),
        make.error_row("b"),
        make.link_row("c", "a"),
        make.special_row("d"),
        make.file_row("e", b"4567", detail="a"),
    ]
    tally = BatchTotals(5)
    tally.add_text(b"".join(map(encode_record, records)))

    assert (tally.files, tally.errors, tally.size, tally.lines) == (2, 1, 7, 6)
