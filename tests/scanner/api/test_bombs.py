"""Hostile bytes: always a refusal in the one shape, nothing half-stored, and the next honest report is taken."""

from __future__ import annotations

import gzip
import hashlib
import tracemalloc
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest

from scanner.errors import BodyError, Refusal
from scanner.format.envelope import ENVELOPE_LIMIT, open_envelope
from scanner.format.errors import ReportError
from scanner.format.records import encode_record
from scanner.format.statement import read_statement
from scanner.ingest import accept, inbox
from scanner.ingest.stream import GZIP_SLACK_BYTES, ReportStream
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


def test_gzip_cut_short(replica: Replica, signer: Signer, bearer: str) -> None:
    """A report that ends too early is refused wherever it ends; only a cut behind the envelope takes a place."""
    whole = make.make_report(replica, signer, [make.file_row("a"), make.file_row("b")]).gzip
    for length in range(0, len(whole), 7):
        make.read_refusal(make.upload(bearer, whole[:length]), 400, 422, 429)
    assert Run.objects.filter(replica=replica).count() <= 1


def test_gzip_cut_on_its_way(replica: Replica, signer: Signer, settings: Any) -> None:
    """Cut at any byte, and the digest of the whole said: nothing is recorded, the whole is taken afterwards."""
    whole = make.make_report(replica, signer, [make.file_row("a"), make.file_row("b")]).gzip
    for length in range(len(whole)):
        with pytest.raises(Refusal) as caught:
            make.receive(replica.server, whole[:length], digest=hashlib.sha256(whole).digest())
        assert caught.value.status in (400, 408)

    assert not Run.objects.exists()
    assert make.receive(replica.server, whole).new


@pytest.mark.parametrize("tail", [b"\0", b"x", gzip.compress(b"", mtime=0), gzip.compress(GOOD, mtime=0)])
def test_something_after_the_gzip_stream(replica: Replica, signer: Signer, bearer: str, tail: bytes) -> None:
    """A second member and garbage behind the first are refused."""
    report = make.make_report(replica, signer, [make.file_row("a")])
    assert "follows" in make.read_refusal(make.upload(bearer, report.gzip + tail), 422)["detail"]


def bomb(line: bytes) -> bytes:
    """The gzip of a line and 1 GiB of zeros, as far as anybody would read it: its checksum is wrong."""
    packer = zlib.compressobj(9, wbits=31)
    head = packer.compress(line) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + zeros * 1024


@pytest.mark.parametrize("announced", [100, 1 << 30])
def test_gzip_bomb(replica: Replica, signer: Signer, bearer: str, announced: int) -> None:
    """1 GiB of zeros in 1 MiB ends at the bytes that were signed, or at the longest line; memory stays flat."""
    statement = make.make_report(replica, signer).statement
    statement = statement._replace(
        records=statement.records._replace(line_count=1, byte_count=announced, blocks=("0" * 64,))
    )
    packed = bomb(make.sign_statement(statement, signer))
    tracemalloc.start()
    try:
        make.read_refusal(make.upload(bearer, packed), 422)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 16 << 20
    assert Run.objects.get().state == Run.State.REFUSED


def test_gzip_bomb_without_an_envelope(bearer: str) -> None:
    """A bomb that nobody signed is unpacked no further than a line 1 can be."""
    assert "first line" in make.read_refusal(make.upload(bearer, bomb(b"")), 400)["detail"]


def test_gzip_bomb_of_many_lines(replica: Replica, signer: Signer) -> None:
    """Lines that pack better than any honest report's are refused by their ratio, however they are signed."""
    packer = zlib.compressobj(9, wbits=31)
    statement = make.make_report(replica, signer).statement
    records = statement.records._replace(line_count=1 << 20, byte_count=1 << 30, blocks=("0" * 64,) * 256)
    packed = packer.compress(make.sign_statement(statement._replace(records=records), signer))
    body = packer.compress(b"\n" * (64 << 20)) + packer.flush()
    stream = iter([packed, *[body[offset : offset + 4096] for offset in range(0, len(body), 4096)]])
    arrival = ReportStream(lambda _: next(stream, b""), "gzip")
    arrival.expect(read_statement(open_envelope(arrival.read_envelope()).payload))

    with pytest.raises(BodyError):
        while arrival.read():
            pass


def test_empty_deflate_blocks_for_ever(bearer: str) -> None:
    """A stream that goes on without ever giving a byte is given up."""
    head = gzip.compress(b"", mtime=0)[:10]
    members = make.read_refusal(make.upload(bearer, head + b"\0\0\0\xff\xff" * 400_000), 400)
    assert f"no line in {ENVELOPE_LIMIT + GZIP_SLACK_BYTES} bytes" in members["detail"]


def test_every_bit_of_line_1(replica: Replica, signer: Signer) -> None:
    """Every single bit of the envelope, turned, makes it one that this key has not signed."""
    data = bytearray(make.make_report(replica, signer).line)
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        try:
            envelope = open_envelope(bytes(data))
        except ReportError:
            pass
        else:
            assert envelope.keyid != signer.keyid or not envelope.verify(signer.public)

        data[bit // 8] ^= 1 << bit % 8


def test_bits_of_line_1_on_the_whole_road(replica: Replica, signer: Signer) -> None:
    """A turned bit in the envelope is refused before anything is recorded."""
    report = make.make_report(replica, signer, [make.file_row("a")])
    data = bytearray(report.data)
    for bit in range(0, len(report.line) * 8, 13):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Refusal) as caught:
            accept.receive_report(replica.server, BytesIO(data).read)
        assert caught.value.status in (400, 403)

        data[bit // 8] ^= 1 << bit % 8

    assert not Run.objects.exists()


def test_every_bit_of_the_lines(replica: Replica, signer: Signer) -> None:
    """Every single bit of the lines, turned, is found against the signed statement."""
    rows = [make.file_row("a"), make.link_row("b", "a"), make.error_row("c"), make.special_row("d")]
    report = make.make_report(replica, signer, rows)
    data = bytearray(report.data)
    for bit in range(len(report.line) * 8, len(data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        arrival = ReportStream(BytesIO(data).read, None)
        arrival.read_envelope()
        arrival.expect(report.statement)

        with pytest.raises(BodyError):
            while arrival.read():
                pass

        data[bit // 8] ^= 1 << bit % 8


def test_every_bit_on_its_way(replica: Replica, signer: Signer) -> None:
    """Every byte of the packed report, damaged on its way, is found by Content-Digest: nothing is recorded."""
    packed = bytearray(make.make_report(replica, signer, [make.file_row("a")]).gzip)
    digest = hashlib.sha256(packed).digest()
    for bit in range(0, len(packed) * 8, 11):
        packed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Refusal) as caught:
            make.receive(replica.server, bytes(packed), digest=digest, encoding="gzip")
        assert caught.value.status in (400, 403, 408)

        packed[bit // 8] ^= 1 << bit % 8

    assert not Run.objects.exists()


def test_empty_deflate_blocks_behind_the_envelope(replica: Replica, signer: Signer, bearer: str) -> None:
    """A signed report whose stream goes on for ever without a byte is refused for good at a bound."""
    report = make.make_report(replica, signer, [make.file_row("a")])
    packer = zlib.compressobj(wbits=31)
    head = packer.compress(report.line) + packer.flush(zlib.Z_FULL_FLUSH)
    members = make.read_refusal(make.upload(bearer, head + b"\0\0\0\xff\xff" * 400_000), 422)

    assert "more bytes than" in members["detail"]
    assert members["recorded"] is True


def test_a_line_without_an_end(replica: Replica, signer: Signer, bearer: str) -> None:
    """A line that goes on and on is refused at 64 KiB, not at its end."""
    report = make.make_report_with_body(replica, signer, b"x" * (1 << 20))
    assert "line 2: longer" in make.read_refusal(make.upload(bearer, report.gzip), 422)["detail"]
