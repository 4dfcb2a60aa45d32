"""The upload behind a real gunicorn: chunked bodies, clients that stall or vanish, many at once, and flat memory."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import psutil
import pytest
from django.db import connection

from scanner.models import Replica, Run
from tests.scanner import factories as make
from tests.scanner.factories import Signer

pytestmark = pytest.mark.django_db(transaction=True)
IDLE = 2


class Web(NamedTuple):
    """A gunicorn with one worker of eight threads, on the test's database and a state directory of its own."""

    port: int
    process: subprocess.Popen[bytes]
    reports: Path

    def post(self, bearer: str, data: bytes, **options: Any) -> tuple[int, dict[str, Any]]:
        """Upload as a collector does; status and the payload or refusal."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = head(bearer, data) | {"Connection": "close"} | options.pop("headers", {})
        client.request("POST", "/api/v1/reports", body=options.pop("body", data), headers=headers, **options)
        with closing(client), client.getresponse() as response:
            return response.status, json.loads(response.read())

    def peak(self) -> int:
        """The most memory that the worker ever held, in bytes."""
        (worker,) = psutil.Process(self.process.pid).children()
        lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

    def kept(self) -> list[str]:
        return [path.name for path in self.reports.rglob("*") if path.is_file()]


def head(bearer: str, data: bytes) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {bearer}",
        "Content-Type": "application/vnd.backup-syncer.report+jsonl",
        "Content-Encoding": "gzip",
        "Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:",
    }


@pytest.fixture
def web(tmp_path: Path, transactional_db: None, settings: Any) -> Iterator[Web]:
    (tmp_path / "keys").mkdir()
    # The keys that a test registers are recorded where the server looks.
    settings.BACKUP_SYNCER_JOURNAL = tmp_path / "journal"
    settings.BACKUP_SYNCER_CENTRAL_KEY = tmp_path / "keys" / "central.key"
    database = connection.settings_dict
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"postgresql://{database['USER']}@{quote(database['HOST'], safe='')}/{database['NAME']}"
    environment = os.environ | {
        "BACKUP_SYNCER_STATE": str(tmp_path),
        "BACKUP_SYNCER_UPLOAD_IDLE_SECONDS": str(IDLE),
        "DATABASE_URL": os.environ.get("DATABASE_URL") or url,
        "DJANGO_SETTINGS_MODULE": "backup_syncer.settings",
    }
    options = f"-k gthread -w 1 --threads 8 --no-control-socket --bind fd://{listener.fileno()}".split()
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, "backup_syncer.wsgi"],
        env=environment,
        pass_fds=[listener.fileno()],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Web(listener.getsockname()[1], process, tmp_path / "reports")
    finally:
        process.terminate()
        process.wait(timeout=30)
        listener.close()


@pytest.fixture
def replica(transactional_db: None) -> Replica:
    return make.make_replica()


@pytest.fixture
def signer(web: Web, replica: Replica) -> Signer:
    return make.make_key(replica.server)


@pytest.fixture
def bearer(replica: Replica) -> str:
    return make.make_bearer(replica.server)


def begin(web: Web, bearer: str, data: bytes, *, chunked: bool = False) -> socket.socket:
    """A connection on which the head of an upload was sent, and nothing of its body."""
    headers = head(bearer, data) | ({"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(data))})
    text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    client = socket.create_connection(("127.0.0.1", web.port), timeout=60)
    client.sendall(f"POST /api/v1/reports HTTP/1.1\r\nHost: 127.0.0.1\r\n{text}\r\n".encode())
    return client


def answer(client: socket.socket) -> tuple[int, dict[str, Any]]:
    with client, http.client.HTTPResponse(client) as response:
        response.begin()
        return response.status, json.loads(response.read())


def test_chunked(web: Web, replica: Replica, signer: Signer, bearer: str) -> None:
    """A chunked body, of which Django alone reads nothing, is received."""
    data = make.make_report(replica, signer, [make.file_row(f"f{n:04}") for n in range(2000)]).gzip
    pieces = (data[offset : offset + 1000] for offset in range(0, len(data), 1000))
    assert web.post(bearer, data, body=pieces, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})[0] == 201
    assert Run.objects.get().upload_size == len(data)


def test_a_chunked_body_that_is_none(web: Web, replica: Replica, signer: Signer, bearer: str) -> None:
    """A broken chunk, and an end before the last chunk, are incomplete; nothing is recorded."""
    data = make.make_report(replica, signer).gzip
    for body in (b"zz\r\nabc", b"10\r\n" + data[:16] + b"xx", b"5\r\nabc"):
        client = begin(web, bearer, data, chunked=True)
        client.sendall(body)
        client.shutdown(socket.SHUT_WR)
        status, members = answer(client)

        assert (status, members["error"]) == (408, "incomplete")

    assert not Run.objects.exists()


@pytest.mark.parametrize("pause", [60.0, 0.1])
def test_a_client_that_stalls(web: Web, replica: Replica, signer: Signer, bearer: str, pause: float) -> None:
    """Who sends nothing, or a byte now and then, is answered 408 before its last byte; others are served meanwhile."""
    data = make.make_report(replica, signer, [make.file_row("a")]).gzip
    client = begin(web, bearer, data)
    client.sendall(data[:100])
    stop = threading.Event()

    def drip() -> None:
        for offset in range(100, len(data)):
            if stop.wait(pause):
                return
            try:
                client.send(data[offset : offset + 1])
            except OSError:
                return

    dripping = threading.Thread(target=drip)
    dripping.start()
    other = make.make_replica()
    report = make.make_report(other, make.make_key(other.server))

    assert web.post(make.make_bearer(other.server), report.gzip)[0] == 201

    status, members = answer(client)
    stop.set()
    dripping.join()

    assert (status, members["error"]) == (408, "incomplete")
    assert web.post(bearer, data)[0] == 201


def test_a_client_that_vanishes(web: Web, replica: Replica, signer: Signer, bearer: str) -> None:
    """A connection that breaks in the middle leaves nothing behind, and the next upload is taken."""
    data = make.make_report(replica, signer, [make.file_row(f"f{n:05}") for n in range(20_000)]).gzip
    for part in (50, 5000, len(data) - 1):
        client = begin(web, bearer, data)
        client.sendall(data[:part])
        client.close()

    assert web.post(bearer, data)[0] == 201

    deadline = time.monotonic() + 20
    while len(web.kept()) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)

    assert (len(web.kept()), Run.objects.count()) == (1, 1)


def test_a_refused_upload_is_not_read_on(web: Web, bearer: str) -> None:
    """Some MiB of a long body that is refused by its first line are read, then the connection is closed."""
    line = b"no envelope\n"
    piece = bytes(1 << 20)
    sent = 0
    client = begin(web, bearer, bytes(256 << 20))

    with client, pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
        client.sendall(line)
        while sent < 250 << 20:
            client.sendall(piece)
            sent += len(piece)

    assert sent < 64 << 20
    assert web.post(bearer, line, headers={"Content-Encoding": "identity"})[0] == 400


def test_the_same_ten_times_at_once(web: Web, replica: Replica, signer: Signer, bearer: str) -> None:
    """Ten equal uploads at once make one run, one file, one line in the journal, and ten equal receipts."""
    report = make.make_report(replica, signer, [make.file_row(f"f{n:05}") for n in range(5000)])
    answers: list[tuple[int, dict[str, Any]]] = []
    threads = [threading.Thread(target=lambda: answers.append(web.post(bearer, report.gzip))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(status for status, _ in answers) == [200] * 9 + [201]

    receipts = [json.loads(base64.b64decode(members["payload"])) for _, members in answers]
    assert len({(receipt["run"], receipt["sequence"], receipt["statement"]) for receipt in receipts}) == 1
    assert (Run.objects.count(), len(web.kept())) == (1, 1)

    journal = next((web.reports.parent / "journal").iterdir()).read_text()
    assert journal.count("\n") == 1


def test_two_statements_at_once(web: Web, replica: Replica, signer: Signer, bearer: str) -> None:
    """One of two statements that come at once for one place is accepted; the other puts the server on hold."""
    reports = [make.make_report(replica, signer, [make.file_row(name)]) for name in "ab"]
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda report=report: answers.append(web.post(bearer, report.gzip)[0]))
        for report in reports
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [201, 409]
    assert (Run.objects.count(), len(web.kept())) == (1, 1)

    replica.server.refresh_from_db()
    assert replica.server.held_at is not None


@pytest.mark.long
def test_a_long_report(web: Web, replica: Replica, signer: Signer, bearer: str) -> None:
    """300,000 lines pass in flat memory; sent again the client hears an answer that is known by line 1."""
    small = make.make_report(replica, signer, [make.file_row("a")])
    assert web.post(bearer, small.gzip)[0] == 201

    before = web.peak()
    rows = [make.file_row(f"{n // 500:05}/photograph number {n:06}.jpg", b"%d" % n) for n in range(300_000)]
    report = make.make_report(replica, signer, rows)
    data = report.gzip

    assert len(report.data) > 60 << 20
    assert web.post(bearer, data)[0] == 201
    assert web.peak() - before < 48 << 20

    for _ in range(3):
        assert web.post(bearer, data)[0] == 200
    assert web.peak() - before < 48 << 20
