"""Requests to the central server: TLS or loopback only, replies believed only when its key signed them."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from base64 import b64encode
from typing import Any, BinaryIO, Dict, Iterable, Mapping, NamedTuple, Optional, Union
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from scanner.collector.config import Config
from scanner.collector.errors import CollectorError, ConfigError
from scanner.collector.system.failpoint import reach
from scanner.collector.version import VERSION
from scanner.format.canonical_json import canonical_json, decode_json
from scanner.format.envelope import REPLY_LIMIT, REPLY_TYPE, open_envelope
from scanner.format.errors import RecordError, ReportError

BASE = "/api/v1"
ENVELOPE_TYPE = "application/vnd.dsse.envelope.v1+json"
_REFUSAL_LIMIT = 64 * 1024
_AGENT = f"backup-syncer-collector/{VERSION}"

Body = Union[bytes, BinaryIO, None]


class UnreachableError(CollectorError):
    """The central server cannot be reached, or the connection broke: worth another try."""


class UntrustedReplyError(CollectorError):
    """The reply is not signed by the central server's key, or does not answer this request: nothing of it is
    believed."""


class RefusalError(CollectorError):
    """The central server says no, and why."""

    def __init__(self, status: int, members: Mapping[str, Any], retry_after: Optional[float]) -> None:
        self.status = status
        self.code = str(members.get("error", ""))
        self.members = members
        self.retry_after = retry_after
        detail = str(members.get("detail") or http.client.responses.get(status, "no reason given"))
        super().__init__(f"the central server answers {status}: {detail[:300]}")

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in (408, 429) or self.status >= 500


class HttpResponse(NamedTuple):
    """What came back: the status, the headers in lower case, and the body."""

    status: int
    headers: Dict[str, str]
    body: bytes


class SignedReply(NamedTuple):
    """A reply whose signature holds: its members, and its line as evidence."""

    members: Dict[str, Any]
    line: bytes


class Client:
    """Speaks to one central server. A connection is made for each request: they are few, and minutes lie between
    them."""

    def __init__(self, url: str, config: Config, token: Optional[str] = None) -> None:
        self._url, self._timeout, self.token = urlsplit(url), config.timeout, token
        if self._url.scheme != "https" and not _is_loopback(self._url.hostname or ""):
            raise ConfigError(f"{url}: plain http is refused beyond this machine; the central server needs https")
        self._context = _context(config) if self._url.scheme == "https" else None

    def request(self, method: str, path: str, headers: Mapping[str, str], body: Body = None) -> HttpResponse:
        """Send one request and read its answer, whatever its status. Unreachable when none comes."""
        connection = self._connection()
        try:
            with_token = {"Authorization": f"Bearer {self.token}"} if self.token else {}
            connection.putrequest(method, self._url.path + BASE + path, skip_accept_encoding=True)
            for name, value in {"User-Agent": _AGENT, "Connection": "close", **with_token, **headers}.items():
                connection.putheader(name, value)
            return self._exchange(connection, body)
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"cannot reach {self._url.hostname}: {_reason(error)}") from error
        finally:
            connection.close()

    def _exchange(self, connection: http.client.HTTPConnection, body: Body) -> HttpResponse:
        connection.endheaders()
        broken: Optional[OSError] = None
        try:
            for chunk in _chunks(body):
                connection.send(chunk)
                reach("send:chunk")
        except (BrokenPipeError, ConnectionResetError) as error:
            broken = error  # an answer that was given early may still be there
        try:
            response = connection.getresponse()
            content = response.read(2 * REPLY_LIMIT)
            if response.length:
                raise http.client.HTTPException("the answer was cut short, or is longer than any answer")
        except (OSError, http.client.HTTPException) as error:
            raise broken or error from error
        return HttpResponse(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def call(self, method: str, path: str, purpose: str, central: str, server: str, **more: Any) -> SignedReply:
        """The members of a reply `for` this purpose, signed by the key `central` (hex) for this server.

        `more` goes to `request`. Raises Refusal, Unreachable or Untrusted.
        """
        more.setdefault("headers", {})
        answer = self.request(method, path, **more)
        if answer.status not in (200, 201):
            raise read_refusal(answer)
        return open_reply(answer.body, purpose, central, server)

    def post_json(self, path: str, members: Mapping[str, Any]) -> None:
        """Tell something that needs no reply. Raises Refusal or Unreachable."""
        body = canonical_json(members).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        answer = self.request("POST", path, headers, body)
        if answer.status not in (200, 204):
            raise read_refusal(answer)

    def _connection(self) -> http.client.HTTPConnection:
        host, secure = self._url.hostname or "", self._context is not None
        port = self._url.port or (443 if secure else 80)
        proxy = None if _is_loopback(host) else _proxy(self._url)
        target = (proxy.hostname or "", proxy.port or 3128) if proxy else (host, port)
        if self._context is not None:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                *target, timeout=self._timeout, context=self._context
            )
        else:
            connection = http.client.HTTPConnection(*target, timeout=self._timeout)
        if proxy:
            connection.set_tunnel(host, port, _proxy_headers(proxy))
        return connection


def open_reply(line: bytes, purpose: str, central: str, server: str) -> SignedReply:
    """The reply in an envelope line; Untrusted unless the key `central` signed it for this purpose and server."""
    try:
        envelope = open_envelope(line, REPLY_TYPE, REPLY_LIMIT)
        if not envelope.verify(bytes.fromhex(central)):
            raise UntrustedReplyError("the reply is not signed by the central server that this collector knows")
        members = decode_json(envelope.payload)
    except (ReportError, RecordError) as error:
        raise UntrustedReplyError(f"the reply is no signed reply: {error}") from error
    if not isinstance(members, dict) or members.get("for") != purpose or members.get("server") != server:
        raise UntrustedReplyError("the reply answers another question, or another server")
    return SignedReply(members, line)


def read_refusal(answer: HttpResponse) -> RefusalError:
    """The refusal in an answer; one that is not of the API's shape (a proxy's page, say) is known by its status."""
    try:
        members = json.loads(answer.body[:_REFUSAL_LIMIT].decode())
    except (ValueError, RecursionError):
        members = None
    after = answer.headers.get("retry-after", "")
    seconds = float(after) if after.isdigit() and len(after) < 8 else None
    return RefusalError(answer.status, members if isinstance(members, dict) else {}, seconds)


def digest_header(sha256: bytes) -> str:
    """The Content-Digest (RFC 9530) of a body with this SHA-256."""
    return f"sha-256=:{b64encode(sha256).decode()}:"


def _chunks(body: Body) -> Iterable[bytes]:
    if body is None:
        return ()
    if isinstance(body, bytes):
        return (body,)
    file = body
    return iter(lambda: file.read(1 << 16), b"")


def _context(config: Config) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if config.ca is None else str(config.ca))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot use the certificates in {config.ca}: {error}") from error


def _is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very name: 127.0.0.0/8, ::1 or localhost. Nothing is looked up."""
    if host in ("localhost", "::1"):
        return True
    try:
        return socket.inet_pton(socket.AF_INET, host)[0] == 127
    except OSError:
        return False


def _proxy(url: SplitResult) -> Optional[SplitResult]:
    text = getproxies().get(url.scheme)
    if not text or proxy_bypass(url.hostname or ""):
        return None
    return urlsplit(text if "://" in text else f"http://{text}")


def _proxy_headers(proxy: SplitResult) -> Dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, socket.timeout):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
