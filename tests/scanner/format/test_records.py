"""The lines of a report: one form each, everything else refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.format import paths, records
from scanner.format.canonical_json import decode_json
from scanner.format.entry_type import EntryType
from scanner.format.errors import PathError, RecordError
from scanner.format.records import LINE_LIMIT, Entry, Note, Record

PARTS = st.binary(min_size=1, max_size=12).filter(
    lambda part: b"/" not in part and b"\0" not in part and part not in (b".", b"..")
)
PATHS = st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: paths.encode(b"/".join(parts)))
TARGETS = st.binary(min_size=1, max_size=20).filter(lambda target: b"\0" not in target).map(paths.encode)
INT64 = st.integers(-(2**63), 2**63 - 1)
FILES = st.builds(
    lambda path, *values: Entry(path, EntryType.FILE, *values),
    PATHS,
    st.integers(0, 2**63 - 1),
    INT64,
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=16),
)
ROWS = st.one_of(
    FILES,
    st.builds(lambda path, target: Entry(path, EntryType.LINK, detail=target), PATHS, TARGETS),
    st.builds(
        lambda path, kind: Entry(path, EntryType.SPECIAL, detail=kind),
        PATHS,
        st.sampled_from(sorted(records.SPECIAL_KINDS)),
    ),
    st.builds(
        lambda path, name, stage: Entry(path, EntryType.ERROR, detail=name, stage=stage),
        PATHS,
        st.sampled_from(["EACCES", "ECHANGED", "ESHORT", "E2BIG"]),
        st.sampled_from(sorted(records.ERROR_STAGES)),
    ),
)
DETAILS = st.sampled_from(["", '{"count":3}', '{"ctime_same":true,"engines":["hashlib","native"]}'])
RECORDS = st.one_of(ROWS, st.builds(Note, PATHS, st.sampled_from(sorted(records.NOTE_KINDS)), DETAILS))
GOOD = Entry("a/b", EntryType.FILE, 3, -1, 0o100644, 0, 2**32 - 1, b"\1" * 32, b"\2" * 16, "a/a")
LINE = records.encode_record(GOOD)


@given(RECORDS)
def test_round_trip(record: Record) -> None:
    """A record's line gives the record again, passes the check, and is what the standard json makes of its members."""
    line = records.encode_record(record)
    assert records.decode_record(line) == record
    records.check_record(record)
    assert json.dumps(json.loads(line), ensure_ascii=False, separators=(",", ":")).encode() + b"\n" == line


def test_forms() -> None:
    """The lines are, letter for letter, those of the format."""
    assert LINE == (
        b'{"path":"a/b","size":3,"mtime_ns":-1,"mode":33188,"uid":0,"gid":4294967295,"sha256":"' + b"01" * 32
        + b'","md5":"' + b"02" * 16 + b'","hardlink":"a/a"}\n'
    )  # fmt: skip
    assert (
        records.encode_record(Entry("b", EntryType.ERROR, detail="EIO", stage="read"))
        == b'{"path":"b","error":"EIO","stage":"read"}\n'
    )
    assert records.encode_record(Entry("l", EntryType.LINK, detail="../é")) == '{"path":"l","link":"../é"}\n'.encode()
    assert records.encode_record(Entry("m", EntryType.SPECIAL, detail="mount")) == b'{"path":"m","special":"mount"}\n'
    assert records.encode_record(Note("v", "vanished")) == b'{"note":"vanished","path":"v"}\n'
    assert records.encode_record(Note("v", "misread", '{"reads":2}')) == b'{"note":"misread","path":"v","reads":2}\n'


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\n", b"{}\n", b"[]\n", b"null\n", b"1\n", b'"a"\n', b"{\n", b"\xef\xbb\xbf{}\n", b"\xff\xfe{\0}\0",
        b'{"path":"a"}\n', b'{"path":"a","error":"EIO"}\n', b'{"note":"vanished"}\n', b"[" * 30000 + b"\n",
        b'{"path":"a","size":1}\n', LINE.replace(b"01", b"zz", 1), b'{"path":1,"link":{}}' + b"]" * 5,
    ],
)  # fmt: skip
def test_no_record(line: bytes) -> None:
    """What is not JSON, no object, or lacks a member is refused with RecordError, whatever it is."""
    with pytest.raises(RecordError):
        records.decode_record(line)


@pytest.mark.parametrize(
    "line",
    [
        LINE.replace(b'"size":3', b'"size": 3'),
        LINE.replace(b'"size":3', b'"size":3.0'),
        LINE.replace(b'"size":3', b'"size":3e0'),
        LINE.replace(b'"size":3', b'"size":true'),
        LINE.replace(b'"size":3', b'"size":"3"'),
        LINE.replace(b'"size":3', b'"size":-3'),
        LINE.replace(b'"size":3', b'"size":-0'),
        LINE.replace(b'"size":3', b'"size":9223372036854775808'),
        LINE.replace(b'"size":3', b'"size":NaN'),
        LINE.replace(b'"size":3', b'"size":3,"size":3'),
        LINE.replace(b'"size":3', b'"size":3,"more":1'),
        LINE.replace(b'"mtime_ns":-1', b'"mtime_ns":-9223372036854775809'),
        LINE.replace(b'"uid":0', b'"uid":4294967296'),
        LINE.replace(b'"mode":33188', b'"mode":2147483648'),
        LINE.replace(b"01" * 32, b"01" * 31),
        LINE.replace(b"01" * 32, b"AB" * 32),
        LINE.replace(b"02" * 16, b"02" * 17),
        LINE.replace(b'"a/b"', b'"a\\/b"'),
        LINE.replace(b'"a/b"', b'"\\u0061/b"'),
        LINE.replace(b'"a/b"', b'"/b"'),
        LINE.replace(b'"a/b"', b'"a/../b"'),
        LINE.replace(b'"a/b"', b'"a\\u0000b"'),
        LINE.replace(b'"a/b"', b'"a\\ud800b"'),
        LINE.replace(b'"hardlink":"a/a"', b'"hardlink":"a/b"'),
        LINE.replace(b'"hardlink":"a/a"', b'"hardlink":"a/c"'),
        LINE.replace(b'"hardlink":"a/a"', b'"hardlink":""'),
        LINE[:-1],
        b" " + LINE,
        b'{"path":"a","error":"eio","stage":"read"}\n',
        b'{"path":"a","error":"EIO","stage":"write"}\n',
        b'{"path":"a","error":"EIO","stage":"read","size":1}\n',
        b'{"path":"a","link":""}\n',
        b'{"path":"a","link":1}\n',
        b'{"path":"a","link":"x\\u0000"}\n',
        b'{"path":"a","special":"door"}\n',
        b'{"note":"gossip","path":"a"}\n',
        b'{"path":"a","note":"vanished"}\n',
        b'{"note":"misread","path":"a","reads":1.5}\n',
        b'{"note":"misread","path":"a","deep":{"er":1}}\n',
        b'{"note":"misread","path":"a","deep":[[1]]}\n',
    ],
)
def test_refused_lines(line: bytes) -> None:
    """Any value out of its range, any other form of the same value: no line of a report."""
    with pytest.raises((RecordError, PathError)):
        record = records.decode_record(line)
        records.check_record(record)
        if records.encode_record(record) != line:
            raise RecordError("not canonical")


def test_digest_of_nothing() -> None:
    """A file that is not empty cannot have the digest of nothing."""
    empty = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    records.check_record(GOOD._replace(size=0, sha256=empty))
    with pytest.raises(RecordError, match="digest of nothing"):
        records.check_record(GOOD._replace(sha256=empty))


def test_surrogate_is_not_written() -> None:
    """Text that is not Unicode never becomes a line."""
    with pytest.raises(RecordError):
        records.encode_record(Entry("\ud800", EntryType.LINK, detail="x"))


@pytest.mark.parametrize(
    "text", [b'{"a":1,"a":1}', b"[1.5]", b"[NaN]", b"[1e3]", b"\xff", b"[" * 100000, b"{", b'["\xed\xa0\x80"]']
)
def test_strict_json(text: bytes) -> None:
    """JSON that two readers could read in two ways is refused, however it is nested."""
    with pytest.raises(RecordError):
        decode_json(text)


def test_line_limit_holds_any_path() -> None:
    """The longest path of Linux, all of it bytes that need an escape, twice, fits in a line."""
    path = paths.encode(b"\xff" * 4095)
    assert len(records.encode_record(GOOD._replace(path=path, detail=path[:-4]))) < LINE_LIMIT
