"""Servers, groups, replicas, keys and signed reports for tests: plain functions, real rows, real signatures."""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import json
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client, TestCase

from scanner import enrolment, trust_records
from scanner.format.canonical_json import canonical_json
from scanner.format.digests import RecordTotals
from scanner.format.entry_type import EntryType
from scanner.format.envelope import ENROLMENT_TYPE, RUN_TYPE, Envelope, open_envelope, seal_envelope
from scanner.format.records import MAX_BLOCKS, Entry, Note, Record, RecordsSummary, encode_record
from scanner.format.signing import keyid
from scanner.format.statement import Statement
from scanner.format.timestamps import format_timestamp
from scanner.ingest.accept import Receipt, receive_report
from scanner.models import Group, Replica, Run, Server, ServerKey

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Signer:
    """A key pair in memory."""

    private: Ed25519PrivateKey
    public: bytes

    @property
    def keyid(self) -> str:
        return keyid(self.public)

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)


@dataclass(frozen=True)
class Report:
    """A signed report: line 1, all lines below it, and what they are made of."""

    line: bytes
    body: bytes
    statement: Statement

    @property
    def data(self) -> bytes:
        return self.line + self.body

    @property
    def gzip(self) -> bytes:
        return gzip.compress(self.data, mtime=0)

    @property
    def envelope(self) -> Envelope:
        return open_envelope(self.line)

    @property
    def digest(self) -> str:
        """Hex SHA3-512 of the payload: what the next statement calls `previous`."""
        return self.envelope.digest


def make_signer() -> Signer:
    private = Ed25519PrivateKey.generate()
    return Signer(private, private.public_key().public_bytes_raw())


def make_server(name: str | None = None, **fields: Any) -> Server:
    return Server.objects.create(name=name or f"server {next(_numbers)}", **fields)


def make_key(server: Server, signer: Signer | None = None) -> Signer:
    """Return a new key pair whose public key is registered for `server`."""
    signer = signer or make_signer()
    register_key(server, signer.public)
    return signer


def register_key(server: Server, public: bytes) -> ServerKey:
    """Register a public key as an enrolment does: a row, and the trust record that names it."""
    key = ServerKey.objects.create(server=server, keyid=keyid(public), public=public)
    trust_records.append(trust_records.Act.ENROL, server=server, key=key.keyid)
    return key


def make_group(name: str | None = None, **fields: Any) -> Group:
    return Group.objects.create(name=name or f"group {next(_numbers)}", **fields)


def make_replica(
    server: Server | None = None, group: Group | None = None, root: str = "/srv/data", **fields: Any
) -> Replica:
    return Replica.objects.create(server=server or make_server(), group=group or make_group(), root=root, **fields)


def file_row(path: str, content: bytes = b"content", **fields: Any) -> Entry:
    """Return the entry of a file with this content. `path` is in its coded form."""
    values: dict[str, Any] = {
        "size": len(content),
        "mtime_ns": 1_573_000_000_000_000_000,
        "mode": 0o100644,
        "uid": 0,
        "gid": 0,
        "sha256": hashlib.sha256(content).digest(),
        "md5": hashlib.md5(content).digest(),
    }
    return Entry(path, EntryType.FILE, **(values | fields))


def error_row(path: str, error: str = "EACCES", stage: str = "open") -> Entry:
    return Entry(path, EntryType.ERROR, detail=error, stage=stage)


def link_row(path: str, target: str) -> Entry:
    return Entry(path, EntryType.LINK, detail=target)


def special_row(path: str, kind: str = "fifo") -> Entry:
    return Entry(path, EntryType.SPECIAL, detail=kind)


def make_statement(replica: Replica, records: Sequence[Record] = (), /, **fields: Any) -> Statement:
    """Return the statement of `records`, in their order, as the first of its chain. `fields` overrides any member."""
    totals = RecordTotals(len(records))
    for record in records:
        totals.add(record, encode_record(record))
    now = time.time()
    values: dict[str, Any] = {
        "run": str(uuid.uuid4()),
        "server": str(replica.server.uuid),
        "replica": str(replica.uuid),
        "group": str(replica.group.uuid),
        "root": replica.root,
        "sequence": 1,
        "previous": None,
        "break_": None,
        "base": None,
        "started_at": format_timestamp(now - 60),
        "finished_at": format_timestamp(now - 1),
        "work_time_ns": 59_000_000_000,
        "outcome": "complete",
        "reason": None,
        "mode": "full",
        "engine": {"name": "hashlib", "wanted": "auto", "why": "faster here", "tools": []},
        "algorithms": ("sha256", "md5"),
        "collector": {"version": "0.1.0", "python": "3.11.7"},
        "host": {
            "system": "Linux",
            "release": "6.1",
            "boot_id": "b",
            "filesystem": {"type": "ext4", "id": "u", "mount_point": "/", "accepted": None},
        },
        "config": hashlib.sha3_512(b"").hexdigest(),
        "files": totals.files,
        "bytes_": totals.size,
        "errors": totals.errors,
        "content": totals.content_digest.hexdigest(),
        "records": totals.records_digest.finish(),
    }
    return Statement(**(values | fields))


def make_report(replica: Replica, signer: Signer, records: Iterable[Record] = (), /, **fields: Any) -> Report:
    """Return a signed report of `records` (sorted here: entries by path, then notes), the next of the replica's chain.

    `fields` overrides members of the statement; `outcome="failed"` gets a reason by itself.
    """
    ordered = sorted(records, key=lambda record: (isinstance(record, Note), record))
    newest = replica.runs.order_by("-sequence").first()
    if newest is not None:
        after = {"sequence": newest.sequence + 1, "previous": bytes(newest.statement).hex()}
        fields = after | fields

    if fields.get("outcome") == "failed":
        fields = {"reason": "the root is missing"} | fields
    statement = make_statement(replica, ordered, **fields)
    return Report(sign_statement(statement, signer), b"".join(map(encode_record, ordered)), statement)


def sign_statement(statement: Statement, signer: Signer, payload_type: str = RUN_TYPE) -> bytes:
    """Return the envelope line of a statement."""
    return seal_envelope(payload_type, statement.payload(), signer.sign, signer.keyid)


def accept(replica: Replica, signer: Signer, records: Iterable[Record] = (), /, **fields: Any) -> Run:
    """Make the replica's next report and have it received, journal and signals included, as an upload would."""
    return receive(replica.server, make_report(replica, signer, records, **fields).gzip).run


def receive(server: Server, data: bytes, **options: Any) -> Receipt:
    """Receive these bytes, with everything that waits for the commit, also within a test's transaction."""
    options = {"digest": hashlib.sha256(data).digest()} | options
    with TestCase.captureOnCommitCallbacks(execute=True):
        return receive_report(Server.objects.get(pk=server.pk), BytesIO(data).read, **options)


def make_enrolment(token: str, signer: Signer, payload_type: str = ENROLMENT_TYPE, **fields: Any) -> bytes:
    """Return the envelope that a collector sends to redeem `token`."""
    _, server, secret, fingerprint, _ = token.split(".")
    members = {
        "server": server,
        "secret": secret,
        "public_key": signer.public.hex(),
        "central": fingerprint,
        "host": "backup1",
        "time": format_timestamp(time.time()),
    }
    return seal_envelope(payload_type, canonical_json(members | fields).encode(), signer.sign, signer.keyid)


def make_bearer(server: Server) -> str:
    """Return a valid bearer token of `server`."""
    return enrolment.grant_bearer_token(server)


def upload(server_token: str, data: bytes, encoding: str = "gzip", **headers: str) -> Any:
    """POST a report as a collector does, and return the response."""
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    defaults = {
        "authorization": f"Bearer {server_token}",
        "content-encoding": encoding,
        "content-digest": f"sha-256=:{digest}:",
    }
    return Client().generic(
        "POST",
        "/api/v1/reports",
        data,
        content_type="application/vnd.backup-syncer.report+jsonl",
        headers=defaults | headers,
        CONTENT_TYPE="application/vnd.backup-syncer.report+jsonl",  # an empty body has its type, too
    )


def read_refusal(response: Any, *statuses: int) -> dict[str, Any]:
    """Return the members of a refusal, after checking its shape."""
    assert response.status_code in (statuses or range(400, 500)), response.content
    assert response["Content-Type"] == "application/json"

    members: dict[str, Any] = json.loads(response.content)
    assert list(members)[:2] == ["error", "detail"]
    assert members["detail"].isprintable()

    return members


def make_report_with_body(replica: Replica, signer: Signer, body: bytes, **fields: Any) -> Report:
    """Return a report with these bytes, and a signed statement that matches them as far as any can."""
    count = body.count(b"\n")
    slices = -(-count // max(1, -(-count // MAX_BLOCKS)))
    records = RecordsSummary(count, len(body), hashlib.sha3_512(body).hexdigest(), ("0" * 64,) * slices)
    statement = make_report(replica, signer, (), **({"files": count, "records": records} | fields)).statement
    return Report(sign_statement(statement, signer), body, statement)
