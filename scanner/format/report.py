"""The report: a signed envelope in line 1 that commits to all lines below it.

The envelope is DSSE (secure-systems-lab/dsse, envelope.md): Ed25519 over `PAE(payloadType, payload)`. The payload of a
run is its statement. Bytes are signed and bytes are verified; a statement is read only after its signature held.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple

from scanner.format import paths, signing
from scanner.format.records import BLOCKS, INT64, RecordError, Records, canonical, decode_json

RUN_TYPE = "application/vnd.backup-syncer.run.v1+json"
ENROLMENT_TYPE = "application/vnd.backup-syncer.enrolment.v1+json"
REPLY_TYPE = "application/vnd.backup-syncer.reply.v1+json"
ENVELOPE_LIMIT, PAYLOAD_LIMIT = 128 * 1024, 64 * 1024
"""Bytes: the longest envelope line, and the longest payload within it."""
REPLY_LIMIT = 16 * 1024 * 1024
"""Bytes: the longest payload of a reply, which may tell of many replicas."""
ALGORITHMS = ("sha256", "md5")
KEYS = [
    *(
        "run",
        "server",
        "replica",
        "group",
        "root",
        "sequence",
        "previous",
        "break",
        "base",
        "started_at",
        "finished_at",
    ),
    *("work_time_ns", "outcome", "reason", "mode", "engine", "algorithms", "collector", "host", "config"),
    *("files", "bytes", "errors", "content", "records"),
]
"""The statement's keys, in their order."""

_HEX128 = re.compile(r"[0-9a-f]{128}\Z")
_HEX64 = re.compile(r"[0-9a-f]{64}\Z")
_UNFIT = re.compile("[\0\ud800-\udfff]")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_TIME = re.compile(r"2[01]\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")


class ReportError(ValueError):
    """An envelope or a statement is not what the format allows."""


class Envelope(NamedTuple):
    """Line 1 taken apart; nothing in it is trusted before `verify`."""

    payload_type: str
    payload: bytes
    keyid: str
    signature: bytes

    @property
    def digest(self) -> str:
        """Hex SHA3-512 of the payload: what the next statement calls `previous`."""
        return hashlib.sha3_512(self.payload).hexdigest()

    def verify(self, public: bytes) -> bool:
        """Whether the 32-byte key signed this payload as this type."""
        return signing.verify(public, self.signature, pae(self.payload_type, self.payload))


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def seal(payload_type: str, payload: bytes, sign: Callable[[bytes], bytes], keyid: str) -> bytes:
    """The envelope line of `payload`, newline included."""
    signature = base64.b64encode(sign(pae(payload_type, payload))).decode()
    body = {
        "payloadType": payload_type,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": keyid, "sig": signature}],
    }
    return canonical(body).encode() + b"\n"


def open_envelope(line: bytes, payload_type: str = RUN_TYPE, limit: int = PAYLOAD_LIMIT) -> Envelope:
    """The envelope in `line`; ReportError unless it is of this type, its payload within `limit`, its form canonical."""
    if len(line) > 2 * limit or not line.endswith(b"\n"):
        raise ReportError("the first line is no envelope: too long or cut short")
    try:
        body = decode_json(line)
        (entry,) = body["signatures"]
        payload, signature = (base64.b64decode(text, validate=True) for text in (body["payload"], entry["sig"]))
        envelope = Envelope(body["payloadType"], payload, entry["keyid"], signature)
        again = seal(envelope.payload_type, payload, lambda _: signature, envelope.keyid)
    except (RecordError, KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise ReportError("the first line is no DSSE envelope with one signature") from error
    if again != line:
        raise ReportError("the envelope is not in its canonical form")
    if envelope.payload_type != payload_type:
        raise ReportError("the envelope is of another type")
    if len(payload) > limit or not _HEX64.match(envelope.keyid) or len(signature) != 64:
        raise ReportError("the envelope's payload, keyid or signature has not the size it must have")
    return envelope


class Statement(NamedTuple):
    """The payload of a run: keys, types and order as DSSE carries them. `break_` is `break`; `bytes_` is `bytes`."""

    run: str
    server: str
    replica: str
    group: str
    root: str
    sequence: int
    previous: str | None
    break_: str | None
    base: None
    started_at: str
    finished_at: str
    work_time_ns: int
    outcome: str
    reason: str | None
    mode: str
    engine: dict[str, Any]
    algorithms: tuple[str, ...]
    collector: dict[str, Any]
    host: dict[str, Any]
    config: str
    files: int
    bytes_: int
    errors: int
    content: str
    records: Records

    def payload(self) -> bytes:
        """The canonical bytes to be signed; ReportError when they pass PAYLOAD_LIMIT."""
        records = dict(zip(("count", "bytes", "sha3_512", "blocks"), self.records))
        payload = canonical(dict(zip(KEYS, (*self[:-1], records)))).encode()
        if len(payload) > PAYLOAD_LIMIT:
            raise ReportError("the statement is longer than 64 KiB")
        return payload


def read_statement(payload: bytes) -> Statement:
    """The statement in a payload whose signature holds; ReportError names the key that is missing, foreign or wrong."""
    try:
        members = decode_json(payload)
    except RecordError as error:
        raise ReportError(f"the statement is {error}") from error
    if not isinstance(members, dict) or list(members) != KEYS:
        raise ReportError("the statement's keys are not those of the format, in their order")
    for key, test in _TESTS.items():
        if not test(members[key]):
            raise ReportError(f"the statement's {key} is not what the format allows")
    total, size, sha3_512, blocks = members["records"].values()
    members["algorithms"] = tuple(members["algorithms"])
    members["records"] = Records(total, size, sha3_512, tuple(blocks))
    statement = Statement._make(members.values())
    _check_together(statement)
    if statement.payload() != payload:
        raise ReportError("the statement is not in its canonical form")
    return statement


def _check_together(statement: Statement) -> None:
    records = statement.records
    if (statement.outcome == "failed") != (statement.reason is not None):
        raise ReportError("a failed run has a reason, and a complete one has none")
    if statement.outcome == "failed" and records.total:
        raise ReportError("a failed run has no records")
    if (statement.sequence == 1) > (statement.previous is None):
        raise ReportError("the first run has no run before it")
    size = max(1, -(-records.total // BLOCKS))
    if len(records.blocks) != -(-records.total // size):
        raise ReportError("the number of blocks does not fit the number of records")
    if max(statement.files, statement.errors, statement.files + statement.errors) > records.total:
        raise ReportError("more files and errors than records")


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as `YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_timestamp(text: str) -> datetime:
    """The moment a time of the statement names; ReportError for a time that is none."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise ReportError(f"no such time: {text[:40]}") from error


def lines(read: Callable[[int], bytes], limit: int, chunk: int = 1 << 18) -> Iterator[bytes]:
    """Split what `read(n)` returns into lines, newline included, none longer than `limit` bytes (ReportError)."""
    rest = b""
    while True:
        data = read(chunk)
        if not data:
            break
        *parts, rest = (rest + data).split(b"\n")
        for part in parts:
            if len(part) >= limit:
                raise ReportError(f"a line is longer than {limit} bytes")
            yield part + b"\n"
        if len(rest) >= limit:
            raise ReportError(f"a line is longer than {limit} bytes")
    if rest:
        raise ReportError("the last line is cut short")


def _text(limit: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and 0 < len(value) <= limit and not _UNFIT.search(value)


def _optional(test: Callable[[Any], Any]) -> Callable[[Any], bool]:
    return lambda value: value is None or bool(test(value))


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and bool(pattern.match(value))


def _integer(least: int, most: int = INT64[-1]) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _time(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(_TIME.match(value) and read_timestamp(value))
    except ReportError:
        return False


def _root(value: Any) -> bool:
    try:
        return isinstance(value, str) and value.startswith("/") and b"\0" not in paths.decode(value)
    except paths.PathError:
        return False


def _flat(value: Any, depth: int = 4) -> bool:
    """Whether a JSON value holds only short keys, texts, integers, truths and null, at most `depth` deep."""
    if isinstance(value, dict):
        if not (depth > 0 and len(value) <= 32 and all(map(_text(64), value))):
            return False
        return all(_flat(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return depth > 0 and len(value) <= 64 and all(_flat(item, depth - 1) for item in value)
    if isinstance(value, str):
        return len(value) <= 8192 and not _UNFIT.search(value)
    return value is None or value is True or value is False or _integer(-(2**63))(value)


def _members(*keys: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and list(value) == list(keys) and _flat(value)


def _records(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and list(value) == ["count", "bytes", "sha3_512", "blocks"]
        and _integer(0)(value["count"])
        and _integer(0)(value["bytes"])
        and _matches(_HEX128)(value["sha3_512"])
        and isinstance(value["blocks"], list)
        and len(value["blocks"]) <= BLOCKS
        and all(map(_matches(_HEX64), value["blocks"]))
    )


_TESTS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("run", "server", "replica", "group"), _matches(_UUID)),
    "root": _root,
    "sequence": _integer(1, 2**31 - 1),
    "previous": _optional(_matches(_HEX128)),
    "break": _optional(_text(1000)),
    "base": lambda value: value is None,
    "started_at": _time,
    "finished_at": _time,
    "work_time_ns": _integer(0),
    "outcome": lambda value: value in ("complete", "failed"),
    "reason": _optional(_text(1000)),
    "mode": lambda value: value == "full",
    "engine": _members("name", "wanted", "why", "tools"),
    "algorithms": lambda value: value == list(ALGORITHMS),
    "collector": _members("version", "python"),
    "host": _members("system", "release", "boot_id", "filesystem"),
    "config": _matches(_HEX128),
    **dict.fromkeys(("files", "bytes", "errors"), _integer(0)),
    "content": _matches(_HEX128),
    "records": _records,
}
