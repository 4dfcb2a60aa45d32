"""Serve a small central server for tests: real HTTP, real signatures, the API's rule of the chain, faults on demand.

It has no database.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import ssl
import threading
import uuid
import zlib
from base64 import b64encode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any

from scanner.format import paths
from scanner.format.canonical_json import canonical_json
from scanner.format.digests import RecordTotals, read_records
from scanner.format.envelope import ENROLMENT_TYPE, ENVELOPE_LIMIT, REPLY_TYPE, open_envelope, seal_envelope
from scanner.format.lines import split_lines
from scanner.format.records import LINE_LIMIT
from scanner.format.signing import SigningKey
from scanner.format.statement import Statement, read_statement
from scanner.format.timestamps import format_timestamp

SECRET = "A" * 43
REPLY_TIME = format_timestamp(1_800_000_000)
ENVELOPE_TYPE = "application/vnd.dsse.envelope.v1+json"


@dataclass
class AcceptedReport:
    """A report that the server has accepted."""

    statement: Statement
    digest: str
    """Digest of the statement."""
    lines: list[bytes]
    state: str = "received"


@dataclass
class Replica:
    """A replica as GET /replicas describes it, and its chain."""

    root: str
    replica: str = field(default_factory=lambda: str(uuid.uuid4()))
    group: str = field(default_factory=lambda: str(uuid.uuid4()))
    group_name: str = "photos"
    excludes: str = ""
    engine: str = "hashlib"
    enabled: bool = True
    cross_mounts: bool = False
    accept_root: bool = False
    chain: list[AcceptedReport] = field(default_factory=list)

    def members(self) -> dict[str, Any]:
        """Return the members of the replica in the API."""
        last = None
        if self.chain:
            newest = self.chain[-1]
            last = {
                "sequence": newest.statement.sequence,
                "statement": newest.digest,
                "run": newest.statement.run,
                "state": newest.state,
                "reason": "",
            }
        return {
            "replica": self.replica,
            "group": self.group,
            "group_name": self.group_name,
            "root": self.root,
            "enabled": self.enabled,
            "excludes": self.excludes,
            "engine": self.engine,
            "cross_mounts": self.cross_mounts,
            "accept_root": self.accept_root,
            "interval_s": 86400,
            "last": last,
        }

    def sequences(self) -> list[int]:
        """Return the numbers of the accepted reports."""
        return [report.statement.sequence for report in self.chain]

    def is_chain_intact(self) -> bool:
        """Return whether each statement names the digest of the one before it."""
        digests = [None, *(report.digest for report in self.chain)]
        return [report.statement.previous for report in self.chain] == digests[:-1]


class FakeCentral:
    """A central server on a free port of loopback, for the length of a block.

    Each upload of a report uses up the first of `faults`: "cut" closes the connection during the upload, "lost" closes
    it before the answer, a number answers with that status, "recorded" and "unrecorded" refuse the report with and
    without a place in the chain. The fault "enrolment" loses the answer to an enrolment.
    """

    def __init__(self, directory: Path, tls: ssl.SSLContext | None = None) -> None:
        self.key = SigningKey.create(directory / "central.pem")
        self.server = str(uuid.uuid4())
        self.bearer_token = "first"
        self.registered_key: bytes | None = None
        self.replicas: list[Replica] = []
        self.faults: list[str] = []
        self.progress: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.on_hold = False
        """Whether the server is on hold after an equivocation."""
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.central = self  # type: ignore[attr-defined]  # a handler finds its server by this attribute
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
            self.url = f"https://localhost:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> FakeCentral:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop answering."""
        self._http.shutdown()
        self._http.server_close()

    def token(self) -> str:
        """Return an enrolment token for the server."""
        body = f"bse1.{self.server}.{SECRET}.{self.key.keyid}"
        return f"{body}.{zlib.crc32(body.encode()):08x}"

    def add_replica(self, root: Path, **fields: Any) -> Replica:
        """Add a replica of the server."""
        replica = Replica(root=paths.encode(bytes(root)), **fields)
        self.replicas.append(replica)
        return replica

    def reply(self, purpose: str, **members: Any) -> bytes:
        """Return a signed reply."""
        payload = canonical_json({"for": purpose, "server": self.server, "time": REPLY_TIME, **members}).encode()
        return seal_envelope(REPLY_TYPE, payload, self.key.sign, self.key.keyid)


class _Refused(Exception):
    def __init__(self, status: int, code: str, headers: dict[str, str] | None = None, **members: Any) -> None:
        super().__init__(code)
        self.status = status
        self.headers = headers or {}
        self.members = {"error": code, "detail": f"{code} it is.", **members}


class _Dropped(Exception):
    """The connection is closed without an answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10

    @property
    def central(self) -> FakeCentral:
        central: FakeCentral = self.server.central  # type: ignore[attr-defined]  # set by FakeCentral
        return central

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the base class's name
        """Log nothing."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        self.central.requests.append(f"{self.command} {self.path}")
        try:
            status, body = self._route()
            self._answer(status, body, ENVELOPE_TYPE, {})
        except _Refused as refused:
            self._answer(refused.status, json.dumps(refused.members).encode(), "application/json", refused.headers)
        except _Dropped:
            self.close_connection = True

    def _answer(self, status: int, body: bytes, content_type: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _route(self) -> tuple[int, bytes]:
        routes = {
            "POST /api/v1/enrolment": self._enrol,
            "GET /api/v1/replicas": self._list_replicas,
            "POST /api/v1/token": self._exchange_token,
            "POST /api/v1/progress": self._receive_progress,
            "POST /api/v1/reports": self._receive_report,
        }
        handle = routes.get(f"{self.command} {self.path}")
        if handle is None:
            raise _Refused(404, "not_found")

        needs_token = not self.path.endswith("/enrolment")
        if needs_token and self.headers.get("Authorization") != f"Bearer {self.central.bearer_token}":
            raise _Refused(401, "unauthorised")
        return handle()

    def _read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _enrol(self) -> tuple[int, bytes]:
        central = self.central
        envelope = open_envelope(self._read_body(), ENROLMENT_TYPE)
        members = json.loads(envelope.payload)
        public_key = bytes.fromhex(members["public_key"])
        if members["secret"] != SECRET or members["server"] != central.server:
            raise _Refused(401, "unauthorised")
        if not envelope.verify(public_key) or members["central"] != central.key.keyid:
            raise _Refused(422, "refused", recorded=False)

        central.registered_key = public_key
        if "enrolment" in central.faults:
            central.faults.remove("enrolment")
            raise _Dropped
        reply = central.reply(
            "enrolment",
            keyid=hashlib.sha256(public_key).hexdigest(),
            token=central.bearer_token,
            name="alpha",
            central=central.key.public.hex(),
        )
        return 201, reply

    def _list_replicas(self) -> tuple[int, bytes]:
        replicas = [replica.members() for replica in self.central.replicas]
        return 200, self.central.reply("replicas", name="alpha", replicas=replicas)

    def _exchange_token(self) -> tuple[int, bytes]:
        self.central.bearer_token = "second"
        return 201, self.central.reply("token", token=self.central.bearer_token)

    def _receive_progress(self) -> tuple[int, bytes]:
        self.central.progress.append(json.loads(self._read_body()))
        return 204, b""

    def _receive_report(self) -> tuple[int, bytes]:
        central = self.central
        fault = central.faults.pop(0) if central.faults else ""
        if fault == "cut":
            self.rfile.read(100)
            raise _Dropped

        body = self._read_body()
        if fault.isdigit():
            raise _Refused(int(fault), "busy", {"Retry-After": "1"} if fault in ("429", "503") else {})
        if fault == "unrecorded":
            raise _Refused(422, "refused", recorded=False)

        expected_digest = f"sha-256=:{b64encode(hashlib.sha256(body).digest()).decode()}:"
        if self.headers["Content-Digest"] != expected_digest or self.headers["Content-Encoding"] != "gzip":
            raise _Refused(408, "incomplete")
        if central.on_hold:
            raise _Refused(403, "forbidden")

        answer = self._accept_report(body, fault)
        if fault == "lost":
            raise _Dropped
        return answer

    def _accept_report(self, body: bytes, fault: str) -> tuple[int, bytes]:
        file = gzip.GzipFile(fileobj=BytesIO(body))
        envelope = open_envelope(file.readline(ENVELOPE_LIMIT + 1))
        assert self.central.registered_key is not None
        assert envelope.verify(self.central.registered_key)
        statement = read_statement(envelope.payload)
        assert statement.server == self.central.server

        replica = next(replica for replica in self.central.replicas if replica.replica == statement.replica)
        status = self._find_place(replica.chain, statement, envelope.digest)
        if status == 201:
            totals = RecordTotals(statement.records.line_count)
            report_lines = list(split_lines(file.read, LINE_LIMIT))
            for _record in read_records(report_lines, totals):
                pass  # reading checks each record
            assert totals.records_digest.finish() == statement.records
            replica.chain.append(AcceptedReport(statement, envelope.digest, report_lines))

        if fault == "recorded":
            replica.chain[-1].state = "refused"
            raise _Refused(422, "refused", recorded=True, sequence=statement.sequence)
        receipt = self.central.reply(
            "report",
            run=statement.run,
            replica=replica.replica,
            sequence=statement.sequence,
            statement=envelope.digest,
            state="received",
        )
        return status, receipt

    def _find_place(self, chain: list[AcceptedReport], statement: Statement, digest: str) -> int:
        """Return 201 for the next statement of the chain and 200 for one that is there already, or refuse it."""
        last_sequence = chain[-1].statement.sequence if chain else 0
        last_digest = chain[-1].digest if chain else None
        if (statement.sequence, statement.previous) == (last_sequence + 1, last_digest):
            return 201
        if statement.sequence > last_sequence:
            raise _Refused(409, "gap", expected={"sequence": last_sequence + 1, "previous": last_digest})

        for accepted_report in chain:
            if accepted_report.statement.sequence == statement.sequence:
                if accepted_report.digest == digest:
                    return 200
                self.central.on_hold = True
                raise _Refused(409, "equivocation")
        raise _Refused(409, "stale")
