"""Send requests to the central server: over TLS or loopback only, and with signed replies.

The collector does what a reply says, so it believes no reply that the central server's key did not sign, whatever TLS
said of the connection.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from base64 import b64encode
from email.utils import formatdate
from typing import Any, BinaryIO, Dict, Iterable, Mapping, NamedTuple, Optional, Union
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from scanner.collector.config import Config
from scanner.collector.errors import CollectorError, ConfigError
from scanner.collector.system.fail_points import fail_point
from scanner.collector.version import VERSION
from scanner.format.canonical_json import canonical_json, decode_json
from scanner.format.envelope import REPLY_LIMIT, REPLY_TYPE, open_envelope
from scanner.format.errors import RecordError, ReportError

API_PATH = "/api/v1"
ENVELOPE_TYPE = "application/vnd.dsse.envelope.v1+json"
_USER_AGENT = f"backup-syncer-collector/{VERSION}"
_ERROR_BODY_LIMIT = 64 * 1024
_LONGEST_DETAIL = 300
_SEND_BYTES = 1 << 16
_HTTPS_PORT = 443
_HTTP_PORT = 80
_PROXY_PORT = 3128  # the port of Squid, for a proxy that is named without one

RequestBody = Union[bytes, BinaryIO, None]


class UnreachableError(CollectorError):
    """The central server cannot be reached, or the connection broke. The request is worth another attempt."""


class UntrustedReplyError(CollectorError):
    """The central server's key did not sign the reply, or the reply answers another request. It must not be used."""


class RefusalError(CollectorError):
    """The central server refuses the request."""

    def __init__(self, status: int, members: Mapping[str, Any], retry_after: Optional[float]) -> None:
        """`members` are those of the error's JSON body, `retry_after` the seconds that the server asks for."""
        self.status = status
        self.code = str(members.get("error", ""))
        """Name of the error in the API, empty when the refusal does not come from the API."""
        self.members = members
        self.retry_after = retry_after
        detail = str(members.get("detail") or http.client.responses.get(status, "no reason given"))
        super().__init__(f"the central server answers {status}: {detail[:_LONGEST_DETAIL]}")

    @property
    def retryable(self) -> bool:
        """True when the same request may succeed later."""
        return self.status in (408, 429) or self.status >= 500


class HttpResponse(NamedTuple):
    """Response to a request. The names of the headers are in lower case."""

    status: int
    headers: Dict[str, str]
    body: bytes


class SignedReply(NamedTuple):
    """Reply whose signature was verified."""

    members: Dict[str, Any]
    line: bytes
    """The envelope, which is kept as evidence."""


class Client:
    """HTTP client of one central server.

    Each request has a connection of its own: requests are few, and minutes lie between them.
    """

    def __init__(self, url: str, config: Config, token: Optional[str] = None) -> None:
        """`token` is the bearer token. Raises ConfigError for plain http to another machine."""
        self.token = token
        self._url = urlsplit(url)
        self._timeout = config.timeout

        # Reports name every file of this server, and the bearer token gives access: neither crosses a network in clear.
        is_secure = self._url.scheme == "https"
        if not is_secure and not _is_loopback(self._url.hostname or ""):
            raise ConfigError(f"{url}: plain http is refused beyond this machine; the central server needs https")
        self._tls: Optional[ssl.SSLContext] = None
        if is_secure:
            self._tls = _tls_context(config)

    def request(self, method: str, path: str, headers: Mapping[str, str], body: RequestBody = None) -> HttpResponse:
        """Send one request and return the response, whatever its status. Raises UnreachableError when none comes."""
        connection = self._connect()
        # The central server compares its clock with this one's.
        date = formatdate(usegmt=True)
        all_headers = {"User-Agent": _USER_AGENT, "Connection": "close", "Date": date}
        if self.token:
            all_headers["Authorization"] = f"Bearer {self.token}"
        all_headers.update(headers)

        try:
            connection.putrequest(method, self._url.path + API_PATH + path, skip_accept_encoding=True)
            for name, value in all_headers.items():
                connection.putheader(name, value)
            return self._exchange(connection, body)
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"cannot reach {self._address()}: {_describe(error)}") from error
        finally:
            connection.close()

    def _exchange(self, connection: http.client.HTTPConnection, body: RequestBody) -> HttpResponse:
        """Send headers and body, and return the response."""
        connection.endheaders()

        send_error: Optional[OSError] = None
        try:
            for chunk in _chunks(body):
                connection.send(chunk)
                fail_point("send:chunk")
        except (BrokenPipeError, ConnectionResetError) as error:
            # A server that refuses a request early closes the connection. Its response may be there all the same.
            send_error = error

        try:
            # No reply is longer than REPLY_LIMIT bytes of payload, which base64 makes a third longer.
            response = connection.getresponse()
            content = response.read(2 * REPLY_LIMIT)
            if response.length:
                raise http.client.HTTPException("the answer was cut short, or is longer than any answer")
        except (OSError, http.client.HTTPException) as error:
            raise send_error or error from error

        headers = {name.lower(): value for name, value in response.getheaders()}
        return HttpResponse(response.status, headers, content)

    def call(
        self,
        method: str,
        path: str,
        purpose: str,
        central: str,
        server: str,
        *,
        headers: Optional[Mapping[str, str]] = None,
        body: RequestBody = None,
    ) -> SignedReply:
        """Send a request and return the reply for this purpose, signed by `central` for `server`.

        `central` is the public key of the central server in hexadecimal digits, `server` the uuid of this server.
        Raises RefusalError, UnreachableError or UntrustedReplyError.
        """
        response = self.request(method, path, headers or {}, body)
        if response.status not in (200, 201):
            raise read_refusal(response)
        return open_reply(response.body, purpose, central, server)

    def post_json(self, path: str, members: Mapping[str, Any]) -> None:
        """Send a message that needs no reply. Raises RefusalError or UnreachableError."""
        body = canonical_json(members).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        response = self.request("POST", path, headers, body)
        if response.status not in (200, 204):
            raise read_refusal(response)

    def _connect(self) -> http.client.HTTPConnection:
        """Return a connection to the central server, through the proxy of the environment where there is one."""
        host = self._url.hostname or ""
        port = self._port()

        # A proxy could not reach this machine's own loopback address.
        proxy = None
        if not _is_loopback(host):
            proxy = _find_proxy(self._url)

        peer_host = host
        peer_port = port
        if proxy is not None:
            peer_host = proxy.hostname or ""
            peer_port = proxy.port or _PROXY_PORT

        connection: http.client.HTTPConnection
        if self._tls is None:
            connection = http.client.HTTPConnection(peer_host, peer_port, timeout=self._timeout)
        else:
            connection = http.client.HTTPSConnection(peer_host, peer_port, timeout=self._timeout, context=self._tls)
        if proxy is not None:
            # The tunnel keeps TLS end to end: the proxy sees the host name and nothing else.
            connection.set_tunnel(host, port, _proxy_headers(proxy))
        return connection

    def _port(self) -> int:
        default_port = _HTTP_PORT if self._tls is None else _HTTPS_PORT
        return self._url.port or default_port

    def _address(self) -> str:
        """Return host and port of the central server as in a URL: an IPv6 address is in brackets."""
        host = self._url.hostname or ""
        if ":" in host:
            host = f"[{host}]"
        return f"{host}:{self._port()}"


def open_reply(line: bytes, purpose: str, central: str, server: str) -> SignedReply:
    """Return the reply in an envelope line.

    Raises UntrustedReplyError unless the key `central` (hexadecimal digits) signed it for this purpose and server.
    """
    try:
        envelope = open_envelope(line, REPLY_TYPE, REPLY_LIMIT)
        if not envelope.verify(bytes.fromhex(central)):
            raise UntrustedReplyError("the reply is not signed by the central server that this collector knows")
        members = decode_json(envelope.payload)
    except (ReportError, RecordError) as error:
        raise UntrustedReplyError(f"the reply is no signed reply: {error}") from error

    # A signed reply could be replayed: it counts only for the request and the server that it names.
    if not isinstance(members, dict) or members.get("for") != purpose or members.get("server") != server:
        raise UntrustedReplyError("the reply answers another request, or another server")
    return SignedReply(members, line)


def read_refusal(response: HttpResponse) -> RefusalError:
    """Return the refusal in a response. One that does not come from the API, such as a proxy's page, has a status."""
    # The body may come from anybody on the way. A part of it suffices, and a deeply nested one must not stop us.
    try:
        members = json.loads(response.body[:_ERROR_BODY_LIMIT].decode())
    except (ValueError, RecursionError):
        members = {}
    if not isinstance(members, dict):
        members = {}

    # Retry-After may also be a date (RFC 9110, 10.2.3). Only seconds are read, and not more than fit in four months.
    retry_after_text = response.headers.get("retry-after", "")
    retry_after = None
    if retry_after_text.isdigit() and len(retry_after_text) < 8:
        retry_after = float(retry_after_text)
    return RefusalError(response.status, members, retry_after)


def digest_header(sha256: bytes) -> str:
    """Return the Content-Digest (RFC 9530) of a body with this SHA-256."""
    return f"sha-256=:{b64encode(sha256).decode()}:"


def _chunks(body: RequestBody) -> Iterable[bytes]:
    if body is None:
        return ()
    if isinstance(body, bytes):
        return (body,)
    file = body
    return iter(lambda: file.read(_SEND_BYTES), b"")


def _tls_context(config: Config) -> ssl.SSLContext:
    # The default context checks the certificate and the host name. Nothing in the configuration turns that off.
    ca_file = None if config.ca is None else str(config.ca)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot use the certificates in {config.ca}: {error}") from error


def _is_loopback(host: str) -> bool:
    """Return whether a host is this machine by its very name: 127.0.0.0/8, ::1 or localhost. Nothing is resolved."""
    if host in ("localhost", "::1"):
        return True
    try:
        return socket.inet_pton(socket.AF_INET, host)[0] == 127
    except OSError:
        return False


def _find_proxy(url: SplitResult) -> Optional[SplitResult]:
    """Return the proxy that the environment names for this address, or None."""
    text = getproxies().get(url.scheme)
    if not text or proxy_bypass(url.hostname or ""):
        return None
    return urlsplit(text if "://" in text else f"http://{text}")


def _proxy_headers(proxy: SplitResult) -> Dict[str, str]:
    if proxy.username is None:
        return {}
    # RFC 7617; urlsplit leaves the percent-encoding of user and password as it is.
    credentials = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}


def _describe(error: Exception) -> str:
    """Return an error of the network as the end of a sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, socket.timeout):  # its own text, "timed out", does not say what
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
