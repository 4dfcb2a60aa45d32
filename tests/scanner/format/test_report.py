"""Envelope and statement: signed bytes, one form, closed schema."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from scanner.format.canonical_json import canonical_json
from scanner.format.digests import RecordTotals
from scanner.format.envelope import (
    ENVELOPE_LIMIT,
    PAYLOAD_LIMIT,
    REPLY_LIMIT,
    REPLY_TYPE,
    RUN_TYPE,
    Envelope,
    open_envelope,
    pae,
    seal_envelope,
)
from scanner.format.errors import ReportError
from scanner.format.lines import split_lines
from scanner.format.records import RecordsSummary
from scanner.format.signing import SigningKey
from scanner.format.statement import ALGORITHMS, STATEMENT_KEYS, Statement, read_statement
from scanner.format.timestamps import format_timestamp, parse_timestamp

UUID = "00000000-0000-4000-8000-00000000000{}"


def statement(**other: Any) -> Statement:
    """A statement of an empty tree."""
    tally = RecordTotals(0)
    made = Statement(
        run=UUID.format(1),
        server=UUID.format(2),
        replica=UUID.format(3),
        group=UUID.format(4),
        root="/srv",
        sequence=1,
        previous=None,
        break_=None,
        base=None,
        started_at="2026-01-02T03:04:05.000006Z",
        finished_at="2026-01-02T03:04:06.000006Z",
        work_time_ns=1,
        outcome="complete",
        reason=None,
        mode="full",
        engine={"name": "hashlib", "wanted": "auto", "why": "faster", "tools": []},
        algorithms=ALGORITHMS,
        collector={"version": "1", "python": "3.9"},
        host={"system": "Linux", "release": "6", "boot_id": None, "filesystem": None},
        config="0" * 128,
        files=0,
        bytes_=0,
        errors=0,
        content=tally.content_digest.hexdigest(),
        records=tally.records_digest.finish(),
    )
    return made._replace(**other)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    """A key."""
    return SigningKey.create(tmp_path_factory.mktemp("key") / "key")


@pytest.fixture
def line(key: SigningKey) -> bytes:
    """A signed envelope."""
    return seal_envelope(RUN_TYPE, statement().payload(), key.sign, key.keyid)


def test_pae() -> None:
    """The encoding is that of DSSE's own example."""
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_round_trip(line: bytes, key: SigningKey) -> None:
    """An envelope gives its payload again, and the payload its statement."""
    envelope = open_envelope(line)
    assert envelope.verify(key.public) and envelope.keyid == key.keyid
    assert read_statement(envelope.payload) == statement()


def test_every_flipped_bit_is_found(line: bytes, key: SigningKey) -> None:
    """Whichever bit of line 1 is flipped: refused, or not signed, or only the hint keyid differs."""
    for at in range(len(line) * 8):
        flipped = bytearray(line)
        flipped[at // 8] ^= 1 << at % 8
        try:
            envelope = open_envelope(bytes(flipped))
        except ReportError:
            continue
        assert not envelope.verify(key.public) or envelope.keyid != key.keyid


def test_signature_is_for_its_type(line: bytes, key: SigningKey) -> None:
    """The same payload under another type is not signed."""
    envelope = open_envelope(line)
    assert not envelope._replace(payload_type=REPLY_TYPE).verify(key.public)
    with pytest.raises(ReportError, match="another type"):
        open_envelope(line, REPLY_TYPE)


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line[:-1],
        lambda line: line[:-1] + b" \n",
        lambda line: b" " + line,
        lambda line: line.replace(b'":"', b'": "', 1),
        lambda line: line.replace(b"==", b"", 1) if b"==" in line else b"[]\n",
        lambda line: line.replace(b'"signatures":[', b'"signatures":[{"keyid":"a","sig":"b"},'),
        lambda line: line.replace(b'"payload"', b'"payload":"","payload"', 1),
        lambda line: line.replace(b'{"payloadType"', b'{"more":1,"payloadType"', 1),
        lambda _: b"{}\n",
        lambda _: b"[]\n",
        lambda _: b"null\n",
        lambda _: b"\xff\n",
        lambda _: b"[" * 60000 + b"\n",
        lambda _: b'{"payloadType":1,"payload":2,"signatures":[3]}\n',
        lambda line: re.sub(rb'"keyid":"[0-9a-f]+"', b'"keyid":1', line),
        lambda _: b"x" * ENVELOPE_LIMIT + b"\n",
    ],
)
def test_refused_envelopes(line: bytes, change: Callable[[bytes], bytes]) -> None:
    """Anything but the one form of an envelope is refused."""
    with pytest.raises(ReportError):
        open_envelope(change(line))


@pytest.mark.parametrize(("keyid", "size"), [("a" * 63, 10), ("A" * 64, 10), ("a" * 64, PAYLOAD_LIMIT + 1)])
def test_sizes_in_an_envelope(keyid: str, size: int) -> None:
    """keyid is 64 hex digits, and the payload has its limit."""
    made = seal_envelope(RUN_TYPE, b"x" * size, lambda _: b"s" * 64, keyid)
    with pytest.raises(ReportError, match="size"):
        open_envelope(made)


def test_longer_payload_of_a_reply() -> None:
    """A reply may be longer than a statement, where the reader says so."""
    made = seal_envelope(REPLY_TYPE, b"x" * 200_000, lambda _: b"s" * 64, "a" * 64)
    assert len(open_envelope(made, REPLY_TYPE, REPLY_LIMIT).payload) == 200_000


def changed(**members: Any) -> bytes:
    """A payload with some members replaced, in the canonical form."""
    return canonical_json({**json.loads(statement().payload()), **members}).encode()


RECORDS = json.loads(statement().payload())["records"]


@pytest.mark.parametrize(
    "members",
    [
        {"run": "x"}, {"run": UUID.format(1).upper().replace("0", "A")}, {"root": "srv"}, {"root": "/a\0"}, {"root": 1},
        {"root": "/\\"}, {"sequence": 0}, {"sequence": True}, {"sequence": 2**31}, {"sequence": "1"},
        {"previous": "0" * 127}, {"previous": "A" * 128}, {"previous": "0" * 128}, {"break": ""}, {"break": "x" * 1001},
        {"base": "0" * 128}, {"started_at": "2026-01-02T03:04:05Z"}, {"started_at": "2026-02-30T03:04:05.000000Z"},
        {"started_at": "300000-01-01T00:00:00.000000Z"}, {"finished_at": None}, {"work_time_ns": -1},
        {"outcome": "failed"}, {"outcome": "done"}, {"reason": "but complete"}, {"mode": "delta"}, {"engine": {}},
        {"engine": {"name": 1.5, "wanted": "", "why": "", "tools": []}}, {"algorithms": ["md5", "sha256"]},
        {"engine": {"name": {"a": {"b": {"c": {}}}}, "wanted": "", "why": "", "tools": []}},
        {"collector": {"python": "3", "version": "1"}}, {"host": None}, {"config": "0"}, {"files": -1}, {"files": 1},
        {"errors": 1}, {"content": ""}, {"records": {}}, {"records": {**RECORDS, "count": 1}},
        {"records": {**RECORDS, "blocks": ["0" * 64]}}, {"records": {**RECORDS, "more": 1}},
        {"records": {**RECORDS, "count": 2**63}}, {"more": 1},
    ],
)  # fmt: skip
def test_refused_statements(members: dict[str, Any]) -> None:
    """Any member of another type or out of its range, and any foreign one, is refused."""
    with pytest.raises(ReportError):
        read_statement(changed(**members))


def test_missing_and_misplaced_members() -> None:
    """All members, in their order."""
    members = json.loads(statement().payload())
    for key in STATEMENT_KEYS:
        less = {name: value for name, value in members.items() if name != key}
        for wrong in (
            less,
            {**less, key: members[key]} if key != "records" else {"records": members["records"], **less},
        ):
            with pytest.raises(ReportError):
                read_statement(canonical_json(wrong).encode())


@pytest.mark.parametrize(
    "form", [lambda text: b" " + text, lambda text: text.replace(b"/srv", b"\\/srv"), lambda text: text + b"\n"]
)
def test_statement_has_one_form(form: Callable[[bytes], bytes]) -> None:
    """The same values in another form are refused: bytes were signed."""
    with pytest.raises(ReportError):
        read_statement(form(statement().payload()))


def test_failed_run_has_no_records() -> None:
    """A failed run has a reason and no records."""
    failed = statement(outcome="failed", reason="root missing")
    assert read_statement(failed.payload()).reason == "root missing"
    with_records = failed._replace(records=RecordsSummary(1, 1, "0" * 128, ("0" * 64,)))
    with pytest.raises(ReportError, match="no records"):
        read_statement(with_records.payload())


def test_too_long_statement() -> None:
    """A statement beyond its limit is not written."""
    with pytest.raises(ReportError, match="64 KiB"):
        statement(root="/" + "x" * 70_000).payload()


def pieces(data: bytes, size: int) -> Callable[[int], bytes]:
    """A reader that gives `size` bytes at a time, whatever is asked for."""
    file = BytesIO(data)
    return lambda count: file.read(min(size, count))


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_lines(size: int) -> None:
    """Lines come whole, however the bytes arrive."""
    assert list(split_lines(pieces(b"a\n\nbc\n", size), 10)) == [b"a\n", b"\n", b"bc\n"]


@pytest.mark.parametrize("data", [b"x" * 10 + b"\n", b"x" * 11, b"ok\n" + b"x" * 30 + b"\n", b"cut"])
def test_refused_lines(data: bytes) -> None:
    """A line that is too long, or has no end, is refused; it is not kept in memory."""
    with pytest.raises(ReportError):
        list(split_lines(pieces(data, 4), 10))


def endless() -> Iterator[bytes]:
    """Bytes without a newline."""
    while True:
        yield b"x" * 4096


def test_endless_line_ends() -> None:
    """A stream that never gives a newline is given up at the limit."""
    stream = endless()
    with pytest.raises(ReportError, match="longer"):
        next(split_lines(lambda _: next(stream), 64 * 1024))


def test_times() -> None:
    """A time has one form, and one that is none is refused."""
    assert format_timestamp(1.5) == "1970-01-01T00:00:01.500000Z"
    assert parse_timestamp("2026-01-02T03:04:05.000006Z").microsecond == 6
    with pytest.raises(ReportError):
        parse_timestamp("2026-13-02T03:04:05.000006Z")


def test_digest_is_of_the_payload(line: bytes) -> None:
    """What the next statement calls `previous` does not depend on the signature's form."""
    envelope = open_envelope(line)
    assert envelope.digest == Envelope("", envelope.payload, "", b"").digest
    assert base64.b64encode(envelope.payload) in line


def test_key_file_is_not_needed_to_verify(line: bytes, key: SigningKey, tmp_path: Path) -> None:
    """32 bytes of public key are enough, and another key's 32 bytes are not."""
    other = SigningKey.create(tmp_path / "other")
    envelope = open_envelope(line)
    assert envelope.verify(key.public) and not envelope.verify(other.public)
