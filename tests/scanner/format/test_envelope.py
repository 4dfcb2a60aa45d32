"""Envelopes: signed bytes in one form."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path

import pytest

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
from scanner.format.signing import SigningKey
from scanner.format.statement import read_statement
from tests.scanner.format.statements import make_statement

KEYID = "a" * 64


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    """A key."""
    return SigningKey.create(tmp_path_factory.mktemp("key") / "key")


@pytest.fixture
def line(key: SigningKey) -> bytes:
    """The line of a signed envelope."""
    return seal_envelope(RUN_TYPE, make_statement().payload(), key.sign, key.keyid)


def fake_signature(_: bytes) -> bytes:
    """Sign nothing, in the length of a signature."""
    return b"s" * 64


def test_pae() -> None:
    """The encoding is that of DSSE's own example."""
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_round_trip(line: bytes, key: SigningKey) -> None:
    """An envelope gives its payload again, and the payload its statement."""
    envelope = open_envelope(line)
    assert envelope.verify(key.public)
    assert envelope.keyid == key.keyid
    assert read_statement(envelope.payload) == make_statement()


def test_every_flipped_bit_is_found(line: bytes, key: SigningKey) -> None:
    """A line with any one bit flipped is refused, or not signed, or differs only in the keyid, which is a hint."""
    for bit in range(len(line) * 8):
        flipped = bytearray(line)
        flipped[bit // 8] ^= 1 << bit % 8
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


def test_public_key_is_enough_to_verify(line: bytes, key: SigningKey, tmp_path: Path) -> None:
    """32 bytes of public key are enough, and another key's 32 bytes are not."""
    other_key = SigningKey.create(tmp_path / "other")
    envelope = open_envelope(line)
    assert envelope.verify(key.public)
    assert not envelope.verify(other_key.public)


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
        lambda line: re.sub(rb'"keyid":"[0-9a-f]+"', b'"keyid":1', line),
        lambda _: b"{}\n",
        lambda _: b"[]\n",
        lambda _: b"null\n",
        lambda _: b"\xff\n",
        lambda _: b"[" * 60000 + b"\n",
        lambda _: b'{"payloadType":1,"payload":2,"signatures":[3]}\n',
        lambda _: b"x" * ENVELOPE_LIMIT + b"\n",
    ],
)
def test_one_form(line: bytes, change: Callable[[bytes], bytes]) -> None:
    """Anything but the one form of an envelope is refused."""
    with pytest.raises(ReportError):
        open_envelope(change(line))


@pytest.mark.parametrize(
    ("keyid", "payload_size"),
    [
        ("a" * 63, 10),
        ("A" * 64, 10),
        (KEYID, PAYLOAD_LIMIT + 1),
    ],
)
def test_sizes(keyid: str, payload_size: int) -> None:
    """keyid is 64 hex digits, and the payload has its limit."""
    line = seal_envelope(RUN_TYPE, b"x" * payload_size, fake_signature, keyid)
    with pytest.raises(ReportError, match="size"):
        open_envelope(line)


def test_longer_payload_of_a_reply() -> None:
    """A reply may be longer than a statement, where the reader says so."""
    line = seal_envelope(REPLY_TYPE, b"x" * 200_000, fake_signature, KEYID)
    assert len(open_envelope(line, REPLY_TYPE, REPLY_LIMIT).payload) == 200_000


def test_digest_is_of_the_payload(line: bytes) -> None:
    """The digest, which the next statement carries as `previous`, does not depend on the signature."""
    envelope = open_envelope(line)
    assert envelope.digest == Envelope("", envelope.payload, "", b"").digest
    assert base64.b64encode(envelope.payload) in line
