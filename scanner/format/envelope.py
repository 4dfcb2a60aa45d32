"""Seal and open envelopes: the signed first line of a report, an enrolment request, a reply of the central server.

An envelope has the DSSE form (secure-systems-lab/dsse, envelope.md) with one Ed25519 signature over
`PAE(payloadType, payload)`. Bytes are signed and bytes are verified. A payload is parsed only after its signature held.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from typing import NamedTuple

from scanner.format import signing
from scanner.format.canonical_json import canonical_json, decode_json
from scanner.format.errors import RecordError, ReportError

RUN_TYPE = "application/vnd.backup-syncer.run.v1+json"
ENROLMENT_TYPE = "application/vnd.backup-syncer.enrolment.v1+json"
REPLY_TYPE = "application/vnd.backup-syncer.reply.v1+json"

ENVELOPE_LIMIT = 128 * 1024
"""Bytes of the longest envelope line."""
PAYLOAD_LIMIT = 64 * 1024
"""Bytes of the longest payload in it."""
REPLY_LIMIT = 16 * 1024 * 1024
"""Bytes of the longest payload of a reply, which may describe many replicas."""

_KEYID = re.compile(r"[0-9a-f]{64}\Z")
_SIGNATURE_BYTES = 64


class Envelope(NamedTuple):
    """An envelope line, taken apart. Nothing in it is to be trusted before `verify` has returned True."""

    payload_type: str
    payload: bytes
    keyid: str
    signature: bytes

    @property
    def digest(self) -> str:
        """Return the SHA3-512 of the payload in hex, which the next statement carries as `previous`."""
        return hashlib.sha3_512(self.payload).hexdigest()

    def verify(self, public: bytes) -> bool:
        """Return whether the 32-byte public key signed this payload as this type."""
        return signing.verify(public, self.signature, pae(self.payload_type, self.payload))


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding, which is what gets signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def seal_envelope(payload_type: str, payload: bytes, sign: Callable[[bytes], bytes], keyid: str) -> bytes:
    """Return the envelope line of `payload`, newline included."""
    signature = base64.b64encode(sign(pae(payload_type, payload))).decode()
    body = {
        "payloadType": payload_type,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": keyid, "sig": signature}],
    }
    return canonical_json(body).encode() + b"\n"


def open_envelope(line: bytes, payload_type: str = RUN_TYPE, limit: int = PAYLOAD_LIMIT) -> Envelope:
    """Return the envelope of a line.

    Raise ReportError unless it has this type, a payload of at most `limit` bytes and the canonical form.
    """
    # Base64 makes a payload longer by a third. Nothing longer than this is even parsed.
    if len(line) > 2 * limit or not line.endswith(b"\n"):
        raise ReportError("the first line is not an envelope: too long or cut short")

    # Only one line carries these values: what a reader of another kind might read differently is refused.
    envelope, sealed_again = _take_apart(line)
    if sealed_again != line:
        raise ReportError("the envelope is not in its canonical form")
    if envelope.payload_type != payload_type:
        raise ReportError("the envelope is of another type")

    if len(envelope.payload) > limit:
        raise ReportError(f"the payload's size is more than {limit} bytes")
    if not _KEYID.match(envelope.keyid):
        raise ReportError("the keyid has not the size and form of a SHA-256 in hex")
    if len(envelope.signature) != _SIGNATURE_BYTES:
        raise ReportError(f"the signature's size is not {_SIGNATURE_BYTES} bytes")
    return envelope


def _take_apart(line: bytes) -> tuple[Envelope, bytes]:
    """Return the envelope of a line, and the line that the same values give when they are sealed again."""
    try:
        body = decode_json(line)
        # DSSE allows several signatures. Here one key signs, so that an envelope has one form.
        (entry,) = body["signatures"]

        payload = base64.b64decode(body["payload"], validate=True)
        signature = base64.b64decode(entry["sig"], validate=True)
        keyid = entry["keyid"]
        if not isinstance(keyid, str):
            raise TypeError("the keyid is not text")

        envelope = Envelope(body["payloadType"], payload, keyid, signature)
        sealed_again = seal_envelope(envelope.payload_type, payload, lambda _: signature, keyid)
    except (RecordError, KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise ReportError("the first line is not a DSSE envelope with one signature") from error
    return envelope, sealed_again
