"""Requests: TLS that is not to be talked out of, proxies, answers that are none."""

from __future__ import annotations

import datetime
import gzip
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from scanner.collector import config
from scanner.collector.delivery import client, enrol, identity, sender
from scanner.collector.delivery.client import Client, HttpResponse, RefusalError, UnreachableError, UntrustedReplyError
from scanner.collector.errors import ConfigError
from scanner.collector.run import replica_list
from tests.scanner.collector.fake_central import FakeCentral
from tests.scanner.collector.installation import Installation

NOW = datetime.datetime.now(datetime.timezone.utc)


def certificate(folder: Path, name: str = "localhost", days: int = 1) -> Path:
    """A self-signed certificate of a name or address, with its key in one file; `days` below 0 make an expired one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(NOW - datetime.timedelta(days=9)).not_valid_after(NOW + datetime.timedelta(days=days))
    try:
        known: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        known = x509.DNSName(name)
    made = made.add_extension(x509.SubjectAlternativeName([known]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}{days}.pem"
    path.write_bytes(private + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


def tls(path: Path) -> ssl.SSLContext:
    """A server's context with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def test_tls_with_its_own_ca(installation: Installation, tmp_path: Path) -> None:
    """With the certificate as `ca` the whole road goes over TLS."""
    path = certificate(tmp_path)
    with FakeCentral(tmp_path, tls(path)) as central:
        installation.configure(server=central.url, ca=path)
        enrol.enrol(config.load_config(installation.conf), central.token(), None, rotate=False)
        replica = central.add_replica(installation.tree)
        assert installation.run().exit_code == 0
        assert len(replica.chain) == 1


@pytest.mark.parametrize(
    ("name", "days", "trusted", "words"),
    [
        ("localhost", 1, False, "certificate is not trusted"),
        ("backup.example.org", 1, True, "certificate is not trusted"),
        ("localhost", -1, True, "certificate is not trusted"),
    ],
    ids=["self-signed", "wrong name", "expired"],
)
def test_tls_refused(
    installation: Installation, tmp_path: Path, name: str, days: int, trusted: bool, words: str
) -> None:
    """A certificate that nobody vouches for, of another name, or expired: no word is said to such a server."""
    path = certificate(tmp_path, name, days)
    with FakeCentral(tmp_path, tls(path)) as central:
        loaded = installation.configure(server=central.url, **({"ca": path} if trusted else {}))
        with pytest.raises(UnreachableError, match=words):
            Client(central.url, loaded).request("GET", "/replicas", {})
        assert central.requests == []


def test_unusable_ca(installation: Installation, tmp_path: Path) -> None:
    """A `ca` that is missing or holds no certificate is named."""
    for path in (tmp_path / "none", installation.conf):
        with pytest.raises(ConfigError, match="cannot use the certificates"):
            Client("https://localhost", installation.configure(ca=path))


@contextmanager
def answering(raw: bytes) -> Iterator[str]:
    """A server that answers each request with these very bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(5)
                connection.recv(65536)
                connection.sendall(raw)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut",
        b"no http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_broken_answers(installation: Installation, raw: bytes) -> None:
    """An answer that is cut, or no HTTP: worth another try, never a crash."""
    with answering(raw) as url, pytest.raises(UnreachableError):
        Client(url, config.load_config(installation.conf)).request("GET", "/replicas", {})


def test_answer_of_a_proxy(installation: Installation) -> None:
    """A proxy's HTML page is a refusal by its status; one with 200 is no signed reply."""
    page = b"<html>Bad gateway</html>"
    for status, kind in ((502, RefusalError), (200, UntrustedReplyError)):
        head = b"HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n\r\n" % (status, len(page))
        with answering(head + page) as url, pytest.raises(kind) as raised:
            Client(url, config.load_config(installation.conf)).call("GET", "/replicas", "replicas", "00" * 32, "x")
        if isinstance(raised.value, RefusalError):
            assert raised.value.retryable and raised.value.code == ""


def test_nobody_there(installation: Installation) -> None:
    """A name that does not resolve, a port that is closed, a server that says nothing: the same kind of error."""
    loaded = installation.configure(timeout=1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for url in (
            "https://does-not-exist.invalid",
            "http://127.0.0.1:9",
            f"http://127.0.0.1:{silent.getsockname()[1]}",
        ):
            with pytest.raises(UnreachableError, match="cannot reach"):
                Client(url, loaded).request("GET", "/replicas", {})


@pytest.mark.parametrize(
    ("status", "headers", "body", "retry", "after"),
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
def test_refusals(status: int, headers: dict[str, str], body: bytes, retry: bool, after: float | None) -> None:
    """What may be tried again, and when, by status and header; a body of any kind is survived."""
    refused = client.read_refusal(HttpResponse(status, headers, body))
    assert (refused.retryable, refused.retry_after) == (retry, after)


def test_answer_for_somebody_else(central: FakeCentral) -> None:
    """A reply of the right key for another purpose or another server is not taken."""
    line = central.reply("replicas", replicas=[])
    own = central.key.public.hex()
    assert client.open_reply(line, "replicas", own, central.server).members["replicas"] == []
    for purpose, server in (("token", central.server), ("replicas", "another")):
        with pytest.raises(UntrustedReplyError, match="another"):
            client.open_reply(line, purpose, own, server)
    with pytest.raises(UntrustedReplyError, match="not signed"):
        client.open_reply(
            line, "replicas", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", central.server
        )


@pytest.mark.parametrize(
    "change",
    [
        {"replica": "../../etc"},
        {"replica": None},
        {"root": 1},
        {"enabled": 1},
        {"last": 1},
        {"last": {"sequence": "1"}},
    ],
)
def test_replicas_of_an_unknown_form(installation: Installation, central: FakeCentral, change: dict[str, Any]) -> None:
    """An answer whose members are not those of the API makes nothing happen, even signed."""
    described = {**central.add_replica(installation.tree).members(), **change}
    line = central.reply("replicas", replicas=[described])
    reply = client.open_reply(line, "replicas", central.key.public.hex(), central.server)
    with pytest.raises(UntrustedReplyError):
        replica_list.parse_replicas(reply)


def test_proxy_of_the_environment(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond loopback the proxy of the environment is asked for a tunnel, with its user; `no_proxy` and loopback are
    not."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                seen.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 403 No\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://user:p%40ss@127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(UnreachableError):
            Client("https://backup.example.org", config.load_config(installation.conf)).request("GET", "/replicas", {})
        thread.join(5)
    assert seen[0].startswith(b"CONNECT backup.example.org:443 ")
    assert b"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in seen[0]
    monkeypatch.setenv("no_proxy", "backup.example.org")
    assert client._find_proxy(urlsplit("https://backup.example.org")) is None


def test_upload_is_streamed_and_digested(installation: Installation, central: FakeCentral) -> None:
    """A report goes as it lies, with its length and the SHA-256 of its bytes; the body that arrives is the file."""
    replica = installation.enrol(central)
    installation.run(send=False)
    (report,) = installation.spool(replica).queued_reports()
    own = identity.load_enrolled_identity(installation.state)
    reply = sender.upload_report(
        Client(central.url, config.load_config(installation.conf), own.token), own, report.path
    )
    assert reply.members["sequence"] == 1
    with gzip.open(report.path) as file:
        assert file.readlines()[1:] == replica.chain[0].lines
    assert json.loads(json.dumps(reply.members)) == reply.members
