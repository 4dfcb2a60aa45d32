"""Test requests: TLS that cannot be avoided, proxies, responses that make no sense."""

from __future__ import annotations

import datetime
import gzip
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from scanner.collector.delivery import client, enrol, identity, sender
from scanner.collector.delivery.client import (
    Client,
    HttpResponse,
    RefusalError,
    UnreachableError,
    UntrustedReplyError,
)
from scanner.collector.errors import ConfigError
from scanner.collector.run import replica_list
from tests.scanner.collector.fake_central import FakeCentral, Replica
from tests.scanner.collector.installation import Installation

NOW = datetime.datetime.now(datetime.timezone.utc)
FOREIGN_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def certificate(directory: Path, name: str = "localhost", days: int = 1) -> Path:
    """Make a self-signed certificate for a name or address, and return a file with it and its key.

    It expires in `days`; a negative number makes an expired one.
    """
    try:
        subject_name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        subject_name = x509.DNSName(name)

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=9))
        .not_valid_after(NOW + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([subject_name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    private_bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_bytes = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    path = directory / f"{name}{days}.pem"
    path.write_bytes(private_bytes + public_bytes)
    return path


def server_context(path: Path) -> ssl.SSLContext:
    """Return the TLS context of a server with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def test_tls_with_its_own_ca(installation: Installation, tmp_path: Path) -> None:
    """With the certificate as `ca`, enrolment and delivery work over TLS."""
    path = certificate(tmp_path)
    with FakeCentral(tmp_path, server_context(path)) as central:
        config = installation.configure(server=central.url, ca=path)
        enrol.enrol(config, central.token(), None, rotate=False)
        replica = central.add_replica(installation.tree)
        assert installation.run().exit_code == 0
        assert len(replica.chain) == 1


@pytest.mark.parametrize(
    ("name", "days", "trusted"),
    [("localhost", 1, False), ("backup.example.org", 1, True), ("localhost", -1, True)],
    ids=["self-signed", "wrong name", "expired"],
)
def test_tls_refused(installation: Installation, tmp_path: Path, name: str, days: int, trusted: bool) -> None:
    """Nothing is sent to a server whose certificate is self-signed, for another name, or expired."""
    path = certificate(tmp_path, name, days)
    with FakeCentral(tmp_path, server_context(path)) as central:
        config = installation.configure(server=central.url)
        if trusted:
            config = installation.configure(server=central.url, ca=path)
        with pytest.raises(UnreachableError, match="certificate is not trusted"):
            Client(central.url, config).request("GET", "/replicas", {})
        assert central.requests == []


def test_unusable_ca(installation: Installation, tmp_path: Path) -> None:
    """A `ca` that is missing or holds no certificate is named."""
    for path in (tmp_path / "none", installation.conf):
        with pytest.raises(ConfigError, match="cannot use the certificates"):
            Client("https://localhost", installation.configure(ca=path))


@contextmanager
def serve_once(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """Let `handle` answer the first connection to a port of loopback, and yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(5)
                handle(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


@contextmanager
def answering(response: bytes) -> Iterator[str]:
    """Answer one request with these bytes, and yield the address."""

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(response)

    with serve_once(answer) as url:
        yield url


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut",
        b"no http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_broken_responses(installation: Installation, response: bytes) -> None:
    """A response that is cut short or no HTTP is worth another attempt, and never a crash."""
    with answering(response) as url, pytest.raises(UnreachableError):
        Client(url, installation.load_config()).request("GET", "/replicas", {})


def proxy_page(status: int) -> bytes:
    """Return the response of a proxy with an HTML page."""
    page = b"<html>Bad gateway</html>"
    return b"HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n\r\n%s" % (status, len(page), page)


def test_page_of_a_proxy(installation: Installation) -> None:
    """A proxy's page with an error status is a refusal, and one with 200 is no signed reply."""
    with answering(proxy_page(502)) as url, pytest.raises(RefusalError) as raised:
        Client(url, installation.load_config()).call("GET", "/replicas", "replicas", "00" * 32, "x")
    assert raised.value.retryable
    assert raised.value.code == ""

    with answering(proxy_page(200)) as url, pytest.raises(UntrustedReplyError):
        Client(url, installation.load_config()).call("GET", "/replicas", "replicas", "00" * 32, "x")


def test_nobody_answers(installation: Installation) -> None:
    """An unknown name, a closed port and a silent server are the same kind of error, which names host and port."""
    config = installation.configure(timeout=1)
    with socket.create_server(("127.0.0.1", 0)) as silent_server:
        silent_port = silent_server.getsockname()[1]
        addresses = {
            "https://does-not-exist.invalid": "does-not-exist.invalid:443",
            "http://127.0.0.1:9": "127.0.0.1:9",
            "http://[::1]:9": "[::1]:9",
            f"http://127.0.0.1:{silent_port}": f"127.0.0.1:{silent_port}",
        }
        for url, address in addresses.items():
            with pytest.raises(UnreachableError) as raised:
                Client(url, config).request("GET", "/replicas", {})
            assert str(raised.value).startswith(f"cannot reach {address}: ")


@pytest.mark.parametrize(
    ("status", "headers", "body", "retryable", "retry_after"),
    [
        (408, {}, b'{"error":"incomplete","detail":"x"}', True, None),
        (429, {"retry-after": "7"}, b'{"error":"quota","detail":"x"}', True, 7),
        (503, {"retry-after": "Wed, 21 Oct 2026"}, b"{}", True, None),
        (400, {}, b'{"error":"malformed","detail":"x"}', False, None),
        (401, {"retry-after": "99999999999"}, b"[" * 70000, False, None),
        (409, {}, b'{"error":"stale"}', False, None),
        (422, {}, b"\xff\xfe", False, None),
        (302, {}, b"", False, None),
    ],
)
def test_refusals(
    status: int, headers: dict[str, str], body: bytes, retryable: bool, retry_after: float | None
) -> None:
    """Status and header say whether and when to try again, whatever the body is."""
    refusal = client.read_refusal(HttpResponse(status, headers, body))
    assert refusal.retryable == retryable
    assert refusal.retry_after == retry_after


def test_reply_to_another_request(central: FakeCentral) -> None:
    """A reply for another purpose, for another server or from another key is not believed."""
    line = central.reply("replicas", replicas=[])
    central_key = central.key.public.hex()
    assert client.open_reply(line, "replicas", central_key, central.server).members["replicas"] == []

    with pytest.raises(UntrustedReplyError, match="another"):
        client.open_reply(line, "token", central_key, central.server)
    with pytest.raises(UntrustedReplyError, match="another"):
        client.open_reply(line, "replicas", central_key, "another")
    with pytest.raises(UntrustedReplyError, match="not signed"):
        client.open_reply(line, "replicas", FOREIGN_KEY, central.server)


@pytest.mark.parametrize(
    "changes",
    [
        {"replica": "../../etc"},
        {"replica": None},
        {"root": 1},
        {"enabled": 1},
        {"last": 1},
        {"last": {"sequence": "1"}},
    ],
)
def test_replicas_of_an_unknown_form(installation: Installation, central: FakeCentral, changes: dict[str, Any]) -> None:
    """A list of replicas whose members are not those of the API is refused, even if it is signed."""
    members = {**central.add_replica(installation.tree).members(), **changes}
    line = central.reply("replicas", replicas=[members])
    reply = client.open_reply(line, "replicas", central.key.public.hex(), central.server)
    with pytest.raises(UntrustedReplyError):
        replica_list.parse_replicas(reply)


def test_proxy_of_the_environment(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request beyond loopback asks the proxy of the environment for a tunnel. `no_proxy` turns that off."""
    requests: list[bytes] = []

    def refuse(connection: socket.socket) -> None:
        requests.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 403 No\r\n\r\n")

    with serve_once(refuse) as proxy_url:
        monkeypatch.setenv("https_proxy", proxy_url.replace("http://", "http://user:p%40ss@"))
        with pytest.raises(UnreachableError):
            Client("https://backup.example.org", installation.load_config()).request("GET", "/replicas", {})
    assert requests[0].startswith(b"CONNECT backup.example.org:443 ")
    assert b"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in requests[0]

    monkeypatch.setenv("no_proxy", "backup.example.org")
    assert client._find_proxy(urlsplit("https://backup.example.org")) is None


def test_upload(installation: Installation, central: FakeCentral, replica: Replica) -> None:
    """A report is uploaded as its file is, with length and digest, and the receipt names it."""
    installation.run(send=False)
    (report,) = installation.spool(replica).queued_reports()
    own_identity = identity.load_enrolled_identity(installation.state)
    http_client = Client(central.url, installation.load_config(), own_identity.token)

    reply = sender.upload_report(http_client, own_identity, report.path)

    assert reply.members["sequence"] == 1
    with gzip.open(report.path) as file:
        assert file.readlines()[1:] == replica.chain[0].lines
    assert json.loads(json.dumps(reply.members)) == reply.members
