"""A small central server for tests: real HTTP, real signatures, the API's chain rule, and faults on demand. No
database."""

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
TIME = format_timestamp(1_800_000_000)


@dataclass
class Taken:
    """A report that the fake has accepted: its statement, the digest of its payload, its lines."""

    statement: Statement
    digest: str
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
    chain: list[Taken] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        """The members of the API."""
        names = (
            "replica",
            "group",
            "group_name",
            "root",
            "enabled",
            "excludes",
            "engine",
            "cross_mounts",
            "accept_root",
        )
        last = self.chain[-1] if self.chain else None
        told = last and {
            "sequence": last.statement.sequence,
            "statement": last.digest,
            "run": last.statement.run,
            "state": last.state,
            "reason": "",
        }
        return {name: getattr(self, name) for name in names} | {"interval_s": 86400, "last": told}


class FakeCentral:
    """Serves on a free port of loopback until the block ends. `faults` are used up, one for each upload."""

    def __init__(self, folder: Path, tls: ssl.SSLContext | None = None) -> None:
        self.key = SigningKey.create(folder / "central.pem")
        self.server = str(uuid.uuid4())
        self.bearer = "first"
        self.public: bytes | None = None
        self.replicas: list[Replica] = []
        self.faults: list[str] = []
        self.progress: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.held = False
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.central = self  # type: ignore[attr-defined]  # how a handler finds what it serves
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
            self.url = f"https://localhost:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> FakeCentral:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Answer no more."""
        self._http.shutdown()
        self._http.server_close()

    def token(self) -> str:
        """An enrolment token for this server."""
        body = f"bse1.{self.server}.{SECRET}.{self.key.keyid}"
        return f"{body}.{zlib.crc32(body.encode()):08x}"

    def add(self, root: Path, **more: Any) -> Replica:
        """A replica of this server with the root `root`."""
        made = Replica(root=paths.encode(bytes(root)), **more)
        self.replicas.append(made)
        return made

    def reply(self, purpose: str, **members: Any) -> bytes:
        """A signed reply."""
        payload = canonical_json({"for": purpose, "server": self.server, "time": TIME, **members}).encode()
        return seal_envelope(REPLY_TYPE, payload, self.key.sign, self.key.keyid)


class _Refused(Exception):
    def __init__(self, status: int, code: str, headers: dict[str, str] | None = None, **extra: Any) -> None:
        super().__init__(code)
        self.status, self.headers = status, headers or {}
        self.members = {"error": code, "detail": f"{code} it is.", **extra}


class _Dropped(Exception):
    """The connection is closed without an answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10

    @property
    def central(self) -> FakeCentral:
        found: FakeCentral = self.server.central  # type: ignore[attr-defined]  # set by FakeCentral
        return found

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the base class's name
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        self.central.requests.append(f"{self.command} {self.path}")
        try:
            self._answer(*self._route())
        except _Refused as refused:
            self._answer(refused.status, json.dumps(refused.members).encode(), "application/json", refused.headers)
        except _Dropped:
            self.close_connection = True

    def _answer(
        self,
        status: int,
        body: bytes,
        kind: str = "application/vnd.dsse.envelope.v1+json",
        more: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Connection": "close",
            **(more or {}),
        }.items():
            if not (status == 204 and name == "Content-Length"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _route(self) -> tuple[int, bytes]:
        acts = {
            "POST /api/v1/enrolment": self._enrol,
            "GET /api/v1/replicas": self._list,
            "POST /api/v1/token": self._token,
            "POST /api/v1/progress": self._progress,
            "POST /api/v1/reports": self._report,
        }
        act = acts.get(f"{self.command} {self.path}")
        if act is None:
            raise _Refused(404, "not_found")
        if (
            not self.path.endswith("/enrolment")
            and self.headers.get("Authorization") != f"Bearer {self.central.bearer}"
        ):
            raise _Refused(401, "unauthorised")
        return act()

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _enrol(self) -> tuple[int, bytes]:
        central = self.central
        envelope = open_envelope(self._body(), ENROLMENT_TYPE)
        members = json.loads(envelope.payload)
        public = bytes.fromhex(members["public_key"])
        if members["secret"] != SECRET or members["server"] != central.server:
            raise _Refused(401, "unauthorised")
        if not envelope.verify(public) or members["central"] != central.key.keyid:
            raise _Refused(422, "refused", recorded=False)
        central.public = public
        own = central.key.public.hex()
        keyid = hashlib.sha256(public).hexdigest()
        if "enrolment" in central.faults:
            central.faults.remove("enrolment")
            raise _Dropped
        return 201, central.reply("enrolment", keyid=keyid, token=central.bearer, name="alpha", central=own)

    def _list(self) -> tuple[int, bytes]:
        described = [replica.described() for replica in self.central.replicas]
        return 200, self.central.reply("replicas", name="alpha", replicas=described)

    def _token(self) -> tuple[int, bytes]:
        self.central.bearer = "second"
        return 201, self.central.reply("token", token=self.central.bearer)

    def _progress(self) -> tuple[int, bytes]:
        self.central.progress.append(json.loads(self._body()))
        return 204, b""

    def _report(self) -> tuple[int, bytes]:
        central = self.central
        fault = central.faults.pop(0) if central.faults else ""
        if fault == "cut":
            self.rfile.read(100)
            raise _Dropped
        body = self._body()
        self._fault(fault)
        said = f"sha-256=:{b64encode(hashlib.sha256(body).digest()).decode()}:"
        if self.headers["Content-Digest"] != said or self.headers["Content-Encoding"] != "gzip":
            raise _Refused(408, "incomplete")
        if central.held:
            raise _Refused(403, "forbidden")
        answer = self._take(body, fault)
        if fault == "lost":
            raise _Dropped
        return answer

    def _fault(self, fault: str) -> None:
        if fault.isdigit():
            raise _Refused(int(fault), "busy", {"Retry-After": "1"} if fault in ("429", "503") else {})
        if fault == "unrecorded":
            raise _Refused(422, "refused", recorded=False)

    def _take(self, body: bytes, fault: str) -> tuple[int, bytes]:
        file = gzip.GzipFile(fileobj=BytesIO(body))
        envelope = open_envelope(file.readline(ENVELOPE_LIMIT + 1))
        assert self.central.public is not None and envelope.verify(self.central.public)
        statement = read_statement(envelope.payload)
        assert statement.server == self.central.server
        replica = next(each for each in self.central.replicas if each.replica == statement.replica)
        status = self._place(replica.chain, statement, envelope.digest)
        if status == 201:
            tally, kept = RecordTotals(statement.records.line_count), list(split_lines(file.read, LINE_LIMIT))
            assert list(read_records(kept, tally)) is not None and tally.records_digest.finish() == statement.records
            replica.chain.append(Taken(statement, envelope.digest, kept))
        if fault == "recorded":
            replica.chain[-1].state = "refused"
            raise _Refused(422, "refused", recorded=True, sequence=statement.sequence)
        names = {"run": statement.run, "replica": replica.replica, "sequence": statement.sequence}
        return status, self.central.reply("report", **names, statement=envelope.digest, state="received")

    def _place(self, chain: list[Taken], statement: Statement, digest: str) -> int:
        last = chain[-1].statement.sequence if chain else 0
        previous = chain[-1].digest if chain else None
        if (statement.sequence, statement.previous) == (last + 1, previous):
            return 201
        if statement.sequence > last:
            raise _Refused(409, "gap", expected={"sequence": last + 1, "previous": previous})
        for taken in chain:
            if taken.statement.sequence == statement.sequence:
                if taken.digest == digest:
                    return 200
                self.central.held = True
                raise _Refused(409, "equivocation")
        raise _Refused(409, "stale")
