"""The API over HTTP: who may call, what is answered, in which shape."""

from __future__ import annotations

import json
import logging
import sys
import time
import uuid
from datetime import timedelta
from email.utils import formatdate
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from backup_syncer.log_filters import BriefRefusals
from scanner import central_key, enrolment
from scanner.api.progress import parse_message, record_progress
from scanner.format.envelope import REPLY_TYPE, open_envelope
from scanner.format.timestamps import format_timestamp
from scanner.models import Progress, Replica, Run, Server
from tests.scanner import factories as make
from tests.scanner.factories import Signer

pytestmark = pytest.mark.django_db
BASE = "/api/v1"


@pytest.fixture
def replica() -> Replica:
    return make.make_replica(group=make.make_group("photos", excludes="*.tmp\ncache/"))


@pytest.fixture
def signer(replica: Replica) -> Signer:
    return make.make_key(replica.server)


@pytest.fixture
def bearer(replica: Replica) -> str:
    return make.make_bearer(replica.server)


def call(method: str, path: str, bearer: str | None = None, body: Any = None, **extra: Any) -> Any:
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    return Client().generic(method, BASE + path, data, headers=headers, CONTENT_TYPE="application/json", **extra)


def open_reply(response: Any, purpose: str, server: Server) -> dict[str, Any]:
    """Return the members of a reply, after checking its signature and its frame."""
    assert response["Content-Type"] == "application/vnd.dsse.envelope.v1+json", response.content

    envelope = open_envelope(response.content, REPLY_TYPE)
    assert envelope.keyid == central_key.load_key().keyid
    assert envelope.verify(central_key.load_key().public)

    members: dict[str, Any] = json.loads(envelope.payload)
    assert list(members)[:3] == ["for", "server", "time"]
    assert (members["for"], members["server"]) == (purpose, str(server.uuid))

    return members


# --- who may call -----------------------------------------------------------------------------------------------------

CALLS = [("POST", "/token"), ("GET", "/replicas"), ("POST", "/progress"), ("POST", "/reports")]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_nobody_calls_without_a_token(replica: Replica, bearer: str, method: str, path: str) -> None:
    """No token, a wrong one, another scheme, a revoked one and an archived server's are all 401."""
    revoked = make.make_bearer(make.make_server())
    archived = make.make_server(archived_at=timezone.now())
    enrolment.revoke_tokens(enrolment.authenticate(revoked))
    for headers in (
        {},
        {"authorization": bearer},
        {"authorization": f"Basic {bearer}"},
        {"authorization": f"Bearer {bearer}x"},
        {"authorization": f"Bearer  {bearer}"},
        {"authorization": "Bearer \u00e9"},
        {"authorization": f"Bearer {revoked}"},
        {"authorization": f"Bearer {make.make_bearer(archived)}"},
    ):
        response = Client().generic(method, BASE + path, b"", headers=headers)
        assert make.read_refusal(response, 401)["error"] == "unauthorised"
        assert response["WWW-Authenticate"] == "Bearer"


def test_a_login_is_no_token(replica: Replica, admin_client: Client) -> None:
    """A person's login opens nothing of the API."""
    make.read_refusal(admin_client.get(f"{BASE}/replicas"), 401)


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/reports/", "/../admin", "/docs", "/openapi.json/", "/\u00e9"])
def test_unknown_addresses(path: str) -> None:
    """Nothing below /api/ answers in HTML."""
    for address in (BASE + path, "/api" + path, "/api/v2" + path):
        if address != BASE + "/openapi.json":
            assert make.read_refusal(Client().get(address), 404)["error"] == "not_found"


@pytest.mark.parametrize(("method", "path"), [*CALLS, ("POST", "/enrolment"), ("GET", "/openapi.json")])
def test_unknown_methods(method: str, path: str) -> None:
    """A method that an address does not know is refused in the one shape, with those it knows."""
    for other in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} - {method}:
        response = Client().generic(other, BASE + path)
        assert make.read_refusal(response, 405)["error"] == "not_allowed"
        assert method in response["Allow"]


def test_a_fault_of_the_server(bearer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error is 500, a database that is away 503 with Retry-After: JSON, and no word of the inside."""
    for error, status, header in ((ZeroDivisionError("secret"), 500, False), (OperationalError("secret"), 503, True)):

        def fail(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr("scanner.api.routes.list_assigned_replicas", fail)
        response = call("GET", "/replicas", bearer)

        assert (response.status_code, b"secret" in response.content) == (status, False)
        assert json.loads(response.content).keys() == {"error", "detail"}
        assert ("Retry-After" in response) is header


# --- replicas, tokens -------------------------------------------------------------------------------------------------


def test_replicas_of_the_caller(replica: Replica, signer: Signer, bearer: str) -> None:
    """A server is told all about its own replicas and their chains, archived ones left out, and nothing of others."""
    disabled = make.make_replica(server=replica.server, group=replica.group, root="/srv/other", enabled=False)
    make.make_replica(server=replica.server, root="/old", archived_at=timezone.now())
    make.make_replica(server=replica.server, root="/gone", group=make.make_group(archived_at=timezone.now()))
    make.make_replica(server=replica.server, root="/import", origin=Replica.Origin.UNSIGNED)
    make.make_replica()
    make.accept(replica, signer)
    run = make.accept(replica, signer, outcome="failed")
    members = open_reply(call("GET", "/replicas", bearer), "replicas", replica.server)

    assert members["name"] == replica.server.name

    second, first = members["replicas"]
    assert (first["replica"], first["last"], first["enabled"]) == (str(disabled.uuid), None, False)
    assert second == {
        "replica": str(replica.uuid),
        "group": str(replica.group.uuid),
        "group_name": "photos",
        "root": "/srv/data",
        "enabled": True,
        "excludes": "*.tmp\ncache/",
        "engine": "auto",
        "cross_mounts": False,
        "accept_root": False,
        "interval_s": 86400,
        "last": {
            "sequence": 2,
            "statement": bytes(run.statement).hex(),
            "run": str(run.uuid),
            "state": "failed",
            "reason": "the root is missing",
        },
    }


def test_a_held_server_still_learns_what_to_do(replica: Replica, bearer: str) -> None:
    """A hold keeps reports out; the list of replicas is still told."""
    Server.objects.filter(pk=replica.server.pk).update(held_at=timezone.now())
    assert open_reply(call("GET", "/replicas", bearer), "replicas", replica.server)["replicas"]


def test_many_replicas_fit_into_a_reply(replica: Replica, bearer: str) -> None:
    """A reply has no bound that a few hundred replicas with long excludes would pass."""
    for number in range(200):
        group = make.make_group(excludes="\n".join(f"pattern-{line}" for line in range(50)))
        make.make_replica(server=replica.server, group=group, root=f"/srv/{number}")

    content = call("GET", "/replicas", bearer).content

    assert len(json.loads(open_envelope(content, REPLY_TYPE, len(content)).payload)["replicas"]) == 201


def test_rotation_of_the_token(replica: Replica, bearer: str) -> None:
    """The old token is good until the new one is first used, so that a lost answer locks nobody out."""
    lost = open_reply(call("POST", "/token", bearer), "token", replica.server)["token"]
    fresh = open_reply(call("POST", "/token", bearer), "token", replica.server)["token"]

    assert call("GET", "/replicas", bearer).status_code == 200
    assert call("GET", "/replicas", fresh).status_code == 200

    for old in (bearer, lost):
        make.read_refusal(call("GET", "/replicas", old), 401)


# --- progress ---------------------------------------------------------------------------------------------------------


def message(replica: Replica, /, **fields: Any) -> dict[str, Any]:
    values = {
        "run": str(uuid.uuid4()),
        "replica": str(replica.uuid),
        "started_at": format_timestamp(time.time()),
        "phase": "hash",
        "files_done": 3,
        "files_total": 10,
        "bytes_done": 5,
        "bytes_total": 2**63 - 1,
        "current": "a\\xff/b",
    }
    return values | fields


def test_progress_is_kept(replica: Replica, bearer: str) -> None:
    """The newest word of a run stands, and a replica has one run at a time."""
    progress = message(replica)
    assert call("POST", "/progress", bearer, message(replica)).status_code == 204
    assert call("POST", "/progress", bearer, progress).status_code == 204

    response = call("POST", "/progress", bearer, progress | {"phase": "write", "files_done": 10})
    assert (response.status_code, response.content) == (204, b"")

    row = Progress.objects.get()
    assert (str(row.uuid), row.phase, row.files_done, row.current) == (progress["run"], "write", 10, "a\\xff/b")


def test_late_progress_is_dropped(replica: Replica, signer: Signer, bearer: str) -> None:
    """A word that comes after its run has arrived makes no row that nobody would end."""
    run = make.accept(replica, signer)
    assert call("POST", "/progress", bearer, message(replica, run=str(run.uuid))).status_code == 204
    assert not Progress.objects.exists()


def test_progress_of_others_is_refused(replica: Replica, bearer: str) -> None:
    """A foreign replica and one that does not exist are refused alike."""
    answers = [
        make.read_refusal(call("POST", "/progress", bearer, message(replica, replica=other)), 403)
        for other in (str(make.make_replica().uuid), str(uuid.uuid4()))
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"run": "x"},
        {"run": "0" * 32},
        {"phase": "sleep"},
        {"files_done": -1},
        {"files_done": 2**63},
        {"files_done": True},
        {"files_done": "3"},
        {"files_done": None},
        {"current": "a\0b"},
        {"current": "\ud800"},
        {"current": "x" * 20_000},
        {"started_at": "now"},
        {"started_at": "2026-13-01T00:00:00.000000Z"},
        {"started_at": "300000-01-01T00:00:00.000000Z"},
        {"more": 1},
    ],
)
def test_bad_progress(replica: Replica, bearer: str, wrong: dict[str, Any]) -> None:
    """A member that is missing, foreign or out of its range is 400 and named."""
    members = make.read_refusal(call("POST", "/progress", bearer, message(replica, **wrong)), 400)
    assert next(iter(wrong)) in members["detail"]
    assert not Progress.objects.exists()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"NaN", b'{"run":1,"run":2}', b"\xff", b"[" * 9999, b"1" * 9999, b'{"files_done":3.0}'],
)
def test_bad_json(bearer: str, body: bytes) -> None:
    """A body that is no JSON, or has two meanings, is 400."""
    make.read_refusal(call("POST", "/progress", bearer, body), 400)


def test_small_requests_are_small(bearer: str) -> None:
    """More than 128 KiB is 413 where no report is expected."""
    make.read_refusal(call("POST", "/progress", bearer, b" " * (200 << 10)), 413)
    make.read_refusal(call("POST", "/enrolment", None, b" " * (200 << 10)), 413)


# --- reports ----------------------------------------------------------------------------------------------------------


def test_a_receipt(replica: Replica, signer: Signer, bearer: str) -> None:
    """201 with a signed receipt, then 200 with the same."""
    report = make.make_report(replica, signer, [make.file_row("a")])
    expected = {
        "run": report.statement.run,
        "replica": str(replica.uuid),
        "sequence": 1,
        "statement": report.digest,
        "state": "received",
    }
    for status in (201, 200):
        response = make.upload(bearer, report.gzip)
        assert response.status_code == status
        members = open_reply(response, "report", replica.server)
        assert {name: members[name] for name in expected} == expected


def test_plain_and_packed(replica: Replica, signer: Signer, bearer: str) -> None:
    """A report may come as it is, or packed: both are kept as they came."""
    for encoding in ("identity", "gzip"):
        report = make.make_report(replica, signer, [make.file_row("a")])
        data = report.gzip if encoding == "gzip" else report.data
        assert make.upload(bearer, data, encoding).status_code == 201
    assert [run.upload[-3:] for run in Run.objects.order_by("sequence")] == ["onl", ".gz"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-encoding": "zstd"}, 415),
        ({"content-encoding": "gzip, gzip"}, 415),
        ({"content-digest": ""}, 400),
        ({"content-digest": "sha-256=:AAAA:"}, 400),
        ({"content-digest": f"sha-256=:{'!' * 44}:"}, 400),
        ({"content-digest": f"md5=:{'A' * 43}=:"}, 400),
        ({"content-digest": f"sha-256=:{'A' * 43}=:"}, 408),
        ({"content-digest": f"sha-512=:{'A' * 43}=:, sha-256=:{'A' * 43}=:"}, 408),
    ],
)
def test_headers_of_an_upload(
    replica: Replica, signer: Signer, bearer: str, headers: dict[str, str], status: int
) -> None:
    """Coding and digest are needed in the one form; nothing is recorded when they are wrong."""
    report = make.make_report(replica, signer, [make.file_row("a")])
    make.read_refusal(make.upload(bearer, report.gzip, **headers), status)
    assert not Run.objects.exists()
    assert make.upload(bearer, report.gzip).status_code == 201


def test_another_media_type(replica: Replica, bearer: str) -> None:
    """A body of another media type is not read."""
    make.read_refusal(call("POST", "/reports", bearer, b"{}"), 415)


def test_a_body_that_no_report_can_be(replica: Replica, bearer: str, settings: Any) -> None:
    """A body longer than the longest report that is taken here is 413 by its Content-Length, and not read."""
    settings.BACKUP_SYNCER_RECORDS_BYTES = 1000
    assert make.read_refusal(make.upload(bearer, b"x" * (2 << 20)), 413)["error"] == "too_large"


def test_a_gap_over_http(replica: Replica, signer: Signer, bearer: str) -> None:
    """409 gap carries what is expected, which no other 409 does."""
    report = make.make_report(replica, signer, sequence=4, previous="0" * 128)
    members = make.read_refusal(make.upload(bearer, report.gzip), 409)
    assert (members["error"], members["expected"]) == ("gap", {"sequence": 1, "previous": None})


def test_equivocation_over_http(replica: Replica, signer: Signer, bearer: str) -> None:
    """409 equivocation, then 403 until an operator has looked."""
    reports = [make.make_report(replica, signer) for _ in range(2)]
    make.upload(bearer, reports[0].gzip)
    assert make.read_refusal(make.upload(bearer, reports[1].gzip), 409)["error"] == "equivocation"
    assert make.read_refusal(make.upload(bearer, reports[0].gzip), 403)["error"] == "forbidden"


def test_a_token_of_another_server(replica: Replica, signer: Signer) -> None:
    """A report that comes with another server's token is refused, however well it is signed."""
    other = make.make_server()
    make.make_key(other)
    make.read_refusal(make.upload(make.make_bearer(other), make.make_report(replica, signer).gzip), 403)


def test_last_seen(replica: Replica, bearer: str) -> None:
    """A call is written down, to the minute."""
    long_ago = timezone.now() - timedelta(days=1)
    call("GET", "/replicas", bearer)
    Server.objects.update(last_seen_at=long_ago)
    call("GET", "/replicas", bearer)

    assert Server.objects.get(pk=replica.server.pk).last_seen_at == long_ago

    replica.server.tokens.update(last_used_at=long_ago)
    call("GET", "/replicas", bearer)
    seen = Server.objects.get(pk=replica.server.pk).last_seen_at

    assert seen is not None
    assert timezone.now() - seen < timedelta(minutes=1)


def test_a_wrong_host_is_refused_as_the_api_refuses(caplog: pytest.LogCaptureFixture) -> None:
    """Below /api/ it is JSON, elsewhere a page; the log's handler drops the traceback of what a client did wrong."""
    assert make.read_refusal(call("GET", "/replicas", HTTP_HOST="evil"), 400)["error"] == "malformed"
    assert Client().get("/", headers={"host": "evil"})["Content-Type"].startswith("text/html")
    assert not [record for record in caplog.records if record.name == "django.security.DisallowedHost"]
    assert not [record for record in caplog.records if record.exc_info]


def test_refusals_have_no_traceback_in_the_log() -> None:
    """A response of 400 to 499 loses its traceback in the log; a fault of this server keeps it."""
    try:
        raise ValueError
    except ValueError:
        fault = sys.exc_info()
    for status, kept in ((400, False), (499, False), (500, True)):
        record = logging.makeLogRecord({"status_code": status, "exc_info": fault})
        assert BriefRefusals().filter(record)
        assert (record.exc_info is not None) == kept


@pytest.mark.parametrize(
    ("seconds", "offset"),
    [(0, 0), (-7200, -7200), (600, 600), (10**10, 2**31 - 1)],
    ids=["right", "behind", "ahead", "far"],
)
def test_the_clock_of_a_server_is_compared(replica: Replica, bearer: str, seconds: int, offset: int) -> None:
    """A request for replicas that has a date says how far the clock of its server is off."""
    moment = timezone.now().timestamp() + seconds
    assert call("GET", "/replicas", bearer, HTTP_DATE=formatdate(moment, usegmt=True)).status_code == 200

    server = Server.objects.get(pk=replica.server_id)
    assert server.clock_checked_at is not None
    # The date has whole seconds.
    assert server.clock_offset_s is not None and abs(server.clock_offset_s - offset) <= 2


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 01 Dec 2026 03:20:00 -0000", "\N{SNOWMAN}"])
def test_a_date_that_is_none_says_nothing(replica: Replica, bearer: str, date: str) -> None:
    """A missing or odd date is no reason to refuse a collector, and nothing is known of its clock."""
    extra = {"HTTP_DATE": date} if date else {}
    assert call("GET", "/replicas", bearer, **extra).status_code == 200
    assert Server.objects.get(pk=replica.server_id).clock_checked_at is None


def test_progress_never_outlives_its_run(replica: Replica, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that is written while its report arrives is gone, although it looked for the run before."""
    run_id = str(uuid.uuid4())
    update_or_create = Progress.objects.update_or_create

    def arrive_first(*arguments: Any, **options: Any) -> Any:
        make.accept(replica, signer, run=run_id)
        return update_or_create(*arguments, **options)

    monkeypatch.setattr(Progress.objects, "update_or_create", arrive_first)
    words = parse_message(json.dumps(message(replica, run=run_id)).encode())
    record_progress(replica.server, words)
    assert Run.objects.filter(uuid=run_id).exists()
    assert not Progress.objects.exists()
