"""Hostile lines and statements: always a refusal in the one shape, nothing half-stored; the next report is taken."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scanner.format.envelope import RUN_TYPE, seal_envelope
from scanner.format.records import encode_record
from scanner.ingest import inbox
from scanner.models import Replica, Run
from tests.scanner import factories as make
from tests.scanner.factories import Signer

pytestmark = pytest.mark.django_db
GOOD = encode_record(make.file_row("m"))


@pytest.fixture
def replica() -> Replica:
    return make.make_replica()


@pytest.fixture
def signer(replica: Replica) -> Signer:
    return make.make_key(replica.server)


@pytest.fixture
def bearer(replica: Replica) -> str:
    return make.make_bearer(replica.server)


@pytest.fixture(autouse=True)
def _chain_goes_on(replica: Replica, signer: Signer) -> Iterator[None]:
    """Check after each test that nothing is half-stored, and that the next honest report is accepted."""
    yield
    runs = Run.objects.filter(replica=replica)
    uploads = {name for name in inbox.report_storage().names() if name.startswith(str(replica.uuid))}

    assert uploads == {run.upload for run in runs if run.upload}
    assert all(run.upload for run in runs if run.state == Run.State.RECEIVED)
    assert make.accept(replica, signer, [make.file_row("honest")]).state == Run.State.RECEIVED


DEEP = 30_000
BAD_LINES = {
    "deep arrays": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"path":' * 5_000 + b"1" + b"}" * 5_000,
    "a number of 5,000 digits": b'{"path":"a","size":' + b"9" * 5_000 + b"}",
    "many keys": b'{"path":"a",' + b",".join(b'"k%d":1' % n for n in range(5000)) + b"}",
    "many small containers": b'{"path":[' + b"[]," * 20_000 + b"[]]}",
    "a line of 70,000 bytes": b'{"path":"' + b"a" * 70_000 + b'","link":"b"}',
    "NaN": b'{"path":"a","size":NaN}',
    "Infinity": b'{"path":"a","size":-Infinity}',
    "1e400": b'{"path":"a","size":1e400}',
    "a float": GOOD[:-1].replace(b'"size":7', b'"size":7.0'),
    "minus nothing": GOOD[:-1].replace(b'"uid":0', b'"uid":-0'),
    "a leading zero": GOOD[:-1].replace(b'"size":7', b'"size":07'),
    "a truth": GOOD[:-1].replace(b'"uid":0', b'"uid":true'),
    "2^63": GOOD[:-1].replace(b'"size":7', b'"size":9223372036854775808'),
    "2^31 as a mode": GOOD[:-1].replace(b'"mode":33188', b'"mode":2147483648'),
    "2^32 as an owner": GOOD[:-1].replace(b'"gid":0', b'"gid":4294967296'),
    "less than nothing": GOOD[:-1].replace(b'"size":7', b'"size":-7'),
    "null": GOOD[:-1].replace(b'"uid":0', b'"uid":null'),
    "a key twice": b'{"path":"a","path":"a","link":"b"}',
    "a foreign key": b'{"path":"a","link":"b","x":1}',
    "another order": b'{"link":"b","path":"a"}',
    "a space": b'{"path": "a","link":"b"}',
    "upper-case hex": GOOD[:-1].replace(b"ed7002b4", b"ED7002B4"),
    "a short digest": GOOD[:-1].replace(b'"sha256":"ed70', b'"sha256":"ed'),
    "a digest with a space": GOOD[:-1].replace(b'"sha256":"ed70', b'"sha256":"ed 0'),
    "the digest of nothing": GOOD[:-1].replace(
        hashlib.sha256(b"content").hexdigest().encode(), hashlib.sha256(b"").hexdigest().encode()
    ),
    "NUL in a path": b'{"path":"a\\u0000b","link":"b"}',
    "NUL in a target": b'{"path":"a","link":"\\u0000"}',
    "NUL as it is": b'{"path":"a\0b","link":"b"}',
    "a lone surrogate": b'{"path":"\\ud800","link":"b"}',
    "a surrogate in UTF-8": b'{"path":"\xed\xa0\x80","link":"b"}',
    "no UTF-8": b'{"path":"\xff","link":"b"}',
    "an overlong byte": b'{"path":"\xc0\xaf","link":"b"}',
    "an escape too many": b'{"path":"\\u0061","link":"b"}',
    "a byte order mark": b"\xef\xbb\xbf" + GOOD[:-1],
    "UTF-16": GOOD[:-1].decode().encode("utf-16"),
    "a carriage return": GOOD[:-1] + b"\r",
    "nothing": b"",
    "null itself": b"null",
    "a number": b"7",
    "a list": b"[]",
    "two in a line": GOOD[:-1] + GOOD[:-1],
    "a comment": GOOD[:-1] + b"//",
    "an unknown note": b'{"note":"hello","path":"a"}',
    "an unknown special": b'{"path":"a","special":"door"}',
    "an error without a stage": b'{"path":"a","error":"EIO"}',
    "an error of no name": b'{"path":"a","error":"<script>","stage":"open"}',
    "NUL in a note": b'{"note":"confirmed","path":"a","against":"\\u0000"}',
    "a long number in a note": b'{"note":"skipped","path":"a","count":9223372036854775808}',
    "a note of another's members": b'{"note":"vanished","path":"a","reads":3}',
    "a deep note": b'{"note":"skipped","path":"a","x":{"y":{"z":1}}}',
}


@pytest.mark.parametrize("name", BAD_LINES)
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_bad_line(replica: Replica, signer: Signer, bearer: str, name: str, encoding: str) -> None:
    """A line that is not in its one form is refused for good, by its number, whatever the signature says."""
    report = make.make_report_with_body(replica, signer, encode_record(make.file_row("A")) + BAD_LINES[name] + b"\n")
    data = report.gzip if encoding == "gzip" else report.data
    members = make.read_refusal(make.upload(bearer, data, encoding), 422)

    assert (members["recorded"], members["sequence"]) == (True, 1)
    assert "line 3" in members["detail"]
    assert len(members["detail"]) < 500


BAD_PAYLOADS: dict[str, Callable[[bytes], bytes]] = {
    "NaN": lambda text: text.replace(b'"files":0', b'"files":NaN'),
    "a float": lambda text: text.replace(b'"files":0', b'"files":0.0'),
    "1e400": lambda text: text.replace(b'"files":0', b'"files":1e400'),
    "a key twice": lambda text: text.replace(b'"files":0', b'"files":0,"files":0'),
    "a foreign key": lambda text: text[:-1] + b',"x":1}',
    "a key less": lambda text: text.replace(b'"base":null,', b""),
    "NUL": lambda text: text.replace(b'"boot_id":"b"', b'"boot_id":"\\u0000"'),
    "a lone surrogate": lambda text: text.replace(b'"boot_id":"b"', b'"boot_id":"\\ud800"'),
    "deep": lambda text: text.replace(b'"boot_id":"b"', b'"boot_id":' + b"[" * 900 + b"]" * 900),
    "very deep": lambda text: text.replace(b'"boot_id":"b"', b'"boot_id":' + b"[" * 20_000 + b"]" * 20_000),
    "many digits": lambda text: text.replace(b'"files":0', b'"files":' + b"9" * 5000),
    "2^63": lambda text: text.replace(b'"bytes":0', b'"bytes":9223372036854775808', 1),
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "the year 300000": lambda text: text.replace(b'"started_at":"20', b'"started_at":"300020'),
    "the 31st of June": lambda text: text.replace(b'"started_at":"20', b'"started_at":"2021-06-31T')[:-1] + b"}",
    "a run that is no id": lambda text: text.replace(b'"run":"', b'"run":"x'),
    "sequence nothing": lambda text: text.replace(b'"sequence":1', b'"sequence":0'),
    "sequence 2^31": lambda text: text.replace(b'"sequence":1', b'"sequence":2147483648'),
    "a relative root": lambda text: text.replace(b'"root":"/', b'"root":"'),
    "nothing": lambda _: b"",
    "a list": lambda _: b"[]",
    "a space": lambda text: text.replace(b'"files":0', b'"files": 0'),
}


@pytest.mark.parametrize("name", BAD_PAYLOADS)
def test_bad_statement(replica: Replica, signer: Signer, bearer: str, name: str) -> None:
    """A statement that is not in its one form is refused though its signature holds, and takes no place."""
    payload = BAD_PAYLOADS[name](make.make_report(replica, signer).statement.payload())
    line = seal_envelope(RUN_TYPE, payload, signer.sign, signer.keyid)
    assert make.read_refusal(make.upload(bearer, line, "identity"), 400)["error"] == "malformed"
    assert not Run.objects.exists()


def test_bad_envelopes(replica: Replica, signer: Signer, bearer: str) -> None:
    """Nothing that is not the one form of an envelope is looked into any further."""
    line = make.make_report(replica, signer).line
    for bad in (
        b"",
        b"\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b"\0" * 100 + b"\n",
        line[:-1],
        line.replace(b"{", b"{ ", 1),
        line.replace(b'"keyid":"', b'"keyid":"00'),
        line.replace(b"==", b"="),
        line.replace(b'"signatures":[', b'"signatures":[{},'),
        line.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + line,
        b"[" * 100_000 + b"\n",
        b'{"payloadType":"' + b"x" * (128 << 10) + b'"}\n',
        b"x" * (1 << 20),
    ):
        make.read_refusal(make.upload(bearer, bad, "identity"), 400, 403)

    assert not Run.objects.exists()


BAD_PATHS = [
    "/etc/passwd",
    "..",
    "../a",
    "a/../b",
    "a/..",
    ".",
    "./a",
    "a/./b",
    "",
    "a//b",
    "a/",
    "a\\",
    "\\xzz",
    "\\x41",
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_bad_path(replica: Replica, signer: Signer, bearer: str, path: str) -> None:
    """A path that is absolute, climbs, has an empty part or is not in its coded form is refused in any kind of line."""
    for row in (make.file_row(path), make.file_row("zz", detail=path), make.link_row(path, "t"), make.error_row(path)):
        report = make.make_report_with_body(replica, signer, encode_record(row))
        make.read_refusal(make.upload(bearer, report.gzip), 422)


@pytest.mark.parametrize("names", [("b", "a"), ("a", "a"), ("a", "a/b", "a"), ("a/b", "a.b"), ("é", "z")])
def test_bad_order(replica: Replica, signer: Signer, bearer: str, names: tuple[str, ...]) -> None:
    """Entries that are not in strictly ascending order of their bytes are refused."""
    body = b"".join(encode_record(make.file_row(name)) for name in names)
    assert (
        "order"
        in make.read_refusal(make.upload(bearer, make.make_report_with_body(replica, signer, body).gzip), 422)["detail"]
    )


def test_an_entry_after_a_note(replica: Replica, signer: Signer, bearer: str) -> None:
    """Notes come last."""
    body = b'{"note":"vanished","path":"a"}\n' + GOOD
    assert (
        "before all notes"
        in make.read_refusal(make.upload(bearer, make.make_report_with_body(replica, signer, body).gzip), 422)["detail"]
    )


@pytest.mark.parametrize("member", ["files", "bytes_", "errors", "content"])
def test_a_sum_that_differs(replica: Replica, signer: Signer, bearer: str, member: str) -> None:
    """Each sum of the statement is held against the lines."""
    rows = [make.file_row("a"), make.file_row("b"), make.error_row("c"), make.link_row("d", "a")]
    good = make.make_statement(replica, rows)
    wrong = {"content": "0" * 128}.get(member) or (good.errors - 1 if member == "errors" else good.files + 8)
    wrong = {"files": 1}.get(member, wrong)
    report = make.make_report(replica, signer, rows, **{member: wrong})

    assert member.strip("_") in make.read_refusal(make.upload(bearer, report.gzip), 422)["detail"]


@pytest.mark.parametrize(
    "changes",
    [
        {"line_count": 3},
        {"byte_count": 1},
        {"byte_count": 10**6},
        {"sha3_512": "0" * 128},
        {"blocks": ("0" * 64, "1" * 64)},
    ],
)
def test_records_that_differ(replica: Replica, signer: Signer, bearer: str, changes: dict[str, Any]) -> None:
    """The count, the bytes, the digest and the blocks of the lines are held against the statement."""
    rows = [make.file_row("a"), make.file_row("b")]
    records = make.make_statement(replica, rows).records._replace(**changes)
    if "line_count" in changes:
        records = records._replace(blocks=(*records.blocks, "0" * 64))
    report = make.make_report(replica, signer, rows, records=records)
    make.read_refusal(make.upload(bearer, report.gzip), 422)

    assert Run.objects.get().state == Run.State.REFUSED
