"""The lines of a report: one form each, everything else refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.format import paths
from scanner.format.entry_type import EntryType
from scanner.format.errors import PathError, RecordError
from scanner.format.records import (
    ERROR_STAGES,
    LINE_LIMIT,
    NOTE_KINDS,
    SPECIAL_KINDS,
    Entry,
    Note,
    Record,
    check_record,
    decode_record,
    encode_record,
)
from tests.scanner.format.notes import ALLOWED_NOTES, REFUSED_NOTES

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
LINKS = st.builds(lambda path, target: Entry(path, EntryType.LINK, detail=target), PATHS, TARGETS)
SPECIAL_FILES = st.builds(
    lambda path, kind: Entry(path, EntryType.SPECIAL, detail=kind), PATHS, st.sampled_from(sorted(SPECIAL_KINDS))
)
ERRORS = st.builds(
    lambda path, name, stage: Entry(path, EntryType.ERROR, detail=name, stage=stage),
    PATHS,
    st.sampled_from(["EACCES", "ECHANGED", "ESHORT", "E2BIG"]),
    st.sampled_from(sorted(ERROR_STAGES)),
)
NOTES = st.builds(
    Note,
    PATHS,
    st.sampled_from(sorted(NOTE_KINDS)),
    st.just(""),
) | st.builds(
    Note,
    PATHS,
    st.sampled_from(["confirmed", "misread"]),
    st.sampled_from(['{"reads":3}', '{"ctime_same":true,"engines":["hashlib","native"]}']),
)
RECORDS = st.one_of(FILES, LINKS, SPECIAL_FILES, ERRORS, NOTES)

FILE = Entry("a/b", EntryType.FILE, 3, -1, 0o100644, 0, 2**32 - 1, b"\1" * 32, b"\2" * 16, "a/a")
LINE = encode_record(FILE)


@given(RECORDS)
def test_round_trip(record: Record) -> None:
    """A record's line gives the record again, passes the check, and is what the standard json makes of its members."""
    line = encode_record(record)
    assert decode_record(line) == record
    check_record(record)
    assert json.dumps(json.loads(line), ensure_ascii=False, separators=(",", ":")).encode() + b"\n" == line


def test_line_of_a_file() -> None:
    """A file's line is, letter for letter, that of the format."""
    numbers = b'"size":3,"mtime_ns":-1,"mode":33188,"uid":0,"gid":4294967295'
    digests = b'"sha256":"' + b"01" * 32 + b'","md5":"' + b"02" * 16 + b'"'
    assert b'{"path":"a/b",' + numbers + b"," + digests + b',"hardlink":"a/a"}\n' == LINE


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (Entry("b", EntryType.ERROR, detail="EIO", stage="read"), '{"path":"b","error":"EIO","stage":"read"}\n'),
        (Entry("l", EntryType.LINK, detail="../é"), '{"path":"l","link":"../é"}\n'),
        (Entry("m", EntryType.SPECIAL, detail="mount"), '{"path":"m","special":"mount"}\n'),
        (Note("v", "vanished"), '{"note":"vanished","path":"v"}\n'),
        (Note("v", "misread", '{"reads":2}'), '{"note":"misread","path":"v","reads":2}\n'),
    ],
)
def test_other_lines(record: Record, line: str) -> None:
    """The lines of other records are, letter for letter, those of the format."""
    assert encode_record(record) == line.encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b"1\n",
        b'"a"\n',
        b"{\n",
        b"\xef\xbb\xbf{}\n",
        b"\xff\xfe{\0}\0",
        b'{"path":"a"}\n',
        b'{"path":"a","error":"EIO"}\n',
        b'{"note":"vanished"}\n',
        b"[" * 30000 + b"\n",
        b'{"path":"a","size":1}\n',
        LINE.replace(b"01", b"zz", 1),
        b'{"path":1,"link":{}}' + b"]" * 5,
    ],
)
def test_no_record(line: bytes) -> None:
    """A line that is not JSON, no object, or lacks a member is refused with RecordError."""
    with pytest.raises(RecordError):
        decode_record(line)


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
    """A value out of its range, or the same value in another form, makes no line of a report."""
    with pytest.raises((RecordError, PathError)):
        record = decode_record(line)
        check_record(record)
        if encode_record(record) != line:
            raise RecordError("not canonical")


def is_accepted(line: bytes) -> bool:
    """Return whether a line is one of a report."""
    try:
        record = decode_record(line)
        check_record(record)
    except (RecordError, PathError):
        return False
    return encode_record(record) == line


def test_notes_are_closed() -> None:
    """Each kind of note has its own members, typed and bounded, in one order."""
    assert [note for note in ALLOWED_NOTES if not is_accepted(f"{note}\n".encode())] == []
    assert [note for note in REFUSED_NOTES if is_accepted(f"{note}\n".encode())] == []


def test_digest_of_nothing() -> None:
    """A file that is not empty cannot have the digest of nothing."""
    empty = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    check_record(FILE._replace(size=0, sha256=empty))
    with pytest.raises(RecordError, match="digest of empty content"):
        check_record(FILE._replace(sha256=empty))


def test_surrogate_is_not_written() -> None:
    """Text that is not Unicode never becomes a line."""
    with pytest.raises(RecordError):
        encode_record(Entry("\ud800", EntryType.LINK, detail="x"))


def test_line_limit_holds_any_path() -> None:
    """The longest path of Linux fits in a line twice, even if each of its bytes needs an escape."""
    path = paths.encode(b"\xff" * 4095)
    assert len(encode_record(FILE._replace(path=path, detail=path[:-4]))) < LINE_LIMIT
