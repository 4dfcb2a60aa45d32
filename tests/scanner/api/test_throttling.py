"""Quotas: what one server may use up, and what all together may leave waiting."""

from __future__ import annotations

from collections import namedtuple
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scanner.api import throttling
from scanner.models import Replica, Run, Server, Usage
from tests.scanner import factories as make
from tests.scanner.factories import Signer

pytestmark = pytest.mark.django_db


@pytest.fixture
def replica() -> Replica:
    return make.make_replica()


@pytest.fixture
def signer(replica: Replica) -> Signer:
    return make.make_key(replica.server)


@pytest.fixture
def bearer(replica: Replica) -> str:
    return make.make_bearer(replica.server)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what quotas take for now."""

    def put(moment: datetime) -> None:
        monkeypatch.setattr("scanner.usage.timezone.now", lambda: moment)

    return put


def test_uploads_in_an_hour(replica: Replica, signer: Signer, bearer: str, settings: Any, clock: Any) -> None:
    """The uploads of an hour end at the quota, with the seconds until the hour does; then it goes on. Others go on."""
    settings.BACKUP_SYNCER_UPLOADS_PER_HOUR = 2
    clock(datetime(2030, 1, 1, 12, 59, 50, tzinfo=UTC))
    for _ in range(2):
        assert make.upload(bearer, make.make_report(replica, signer).gzip).status_code == 201
    late = make.make_report(replica, signer)
    refused = make.upload(bearer, late.gzip)

    assert make.read_refusal(refused, 429)["error"] == "quota"
    assert refused["Retry-After"] == "10"

    other = make.make_replica()
    report = make.make_report(other, make.make_key(other.server))

    assert make.upload(make.make_bearer(other.server), report.gzip).status_code == 201

    clock(datetime(2030, 1, 1, 13, 0, 0, tzinfo=UTC))
    assert make.upload(bearer, late.gzip).status_code == 201


def test_failed_uploads_count(replica: Replica, signer: Signer, bearer: str, settings: Any) -> None:
    """Whoever sends rubbish uses up his quota as well."""
    settings.BACKUP_SYNCER_UPLOADS_PER_HOUR = 3
    for _ in range(3):
        make.read_refusal(make.upload(bearer, b"rubbish", "identity"), 400)
    make.read_refusal(make.upload(bearer, make.make_report(replica, signer).gzip), 429)


def test_bytes_in_a_day(replica: Replica, signer: Signer, bearer: str, settings: Any, clock: Any) -> None:
    """The bytes of a day end at the quota; the upload that passes it is still taken whole."""
    clock(datetime(2030, 1, 1, 23, 59, 0, tzinfo=UTC))
    settings.BACKUP_SYNCER_UPLOAD_BYTES_PER_DAY = 10
    report = make.make_report(replica, signer)

    assert make.upload(bearer, report.gzip).status_code == 201
    assert Usage.objects.get(subject=f"bytes:{replica.server.pk}").used == len(report.gzip)

    late = make.make_report(replica, signer)
    refused = make.upload(bearer, late.gzip)
    make.read_refusal(refused, 429)

    assert refused["Retry-After"] == "60"

    clock(datetime(2030, 1, 2, tzinfo=UTC))
    assert make.upload(bearer, late.gzip).status_code == 201


def test_a_server_may_have_its_own_quota(replica: Replica, signer: Signer, bearer: str, settings: Any) -> None:
    """The quota in a server's row counts more than the setting, also when it is 0."""
    settings.BACKUP_SYNCER_UPLOADS_PER_HOUR = 0
    report = make.make_report(replica, signer)
    for fields in ({"uploads_per_hour": 0}, {"uploads_per_hour": 9, "bytes_per_day": 0}):
        Server.objects.filter(pk=replica.server.pk).update(**fields)
        make.read_refusal(make.upload(bearer, report.gzip), 429)

    Server.objects.filter(pk=replica.server.pk).update(uploads_per_hour=9, bytes_per_day=None)

    assert make.upload(bearer, report.gzip).status_code == 201


@pytest.mark.parametrize(("name", "limit"), [("BACKUP_SYNCER_INBOX_REPORTS", 2), ("BACKUP_SYNCER_INBOX_BYTES", 1000)])
def test_a_full_inbox(replica: Replica, signer: Signer, bearer: str, settings: Any, name: str, limit: int) -> None:
    """While too much waits for ingest an upload is 503; what is ingested waits no longer."""
    for _ in range(2):
        make.accept(replica, signer)
    Run.objects.update(upload_size=500)
    setattr(settings, name, limit)
    report = make.make_report(replica, signer)
    refused = make.upload(bearer, report.gzip)

    assert make.read_refusal(refused, 503)["error"] == "busy"
    assert int(refused["Retry-After"]) > 0

    Run.objects.update(state=Run.State.SET_ASIDE)
    assert make.upload(bearer, report.gzip).status_code == 201


def test_a_disk_without_room(replica: Replica, signer: Signer, bearer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload that would leave too little room on the disk is 503 before it is read."""
    usage = namedtuple("usage", "free")
    report = make.make_report(replica, signer)
    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda _: usage(throttling.FREE_BYTES + len(report.gzip) - 1))
        make.read_refusal(make.upload(bearer, report.gzip), 503)
        patched.setattr("shutil.disk_usage", lambda _: usage(throttling.FREE_BYTES + len(report.gzip)))
        assert make.upload(bearer, report.gzip).status_code == 201


def test_past_slots_go(replica: Replica, clock: Any) -> None:
    """Rows of slots that are long over do not pile up."""
    start = datetime(2030, 1, 1, tzinfo=UTC)
    for hours in range(0, 24 * 7, 6):
        clock(start + timedelta(hours=hours))
        throttling.check_upload(replica.server, 0)

    assert Usage.objects.count() <= 9
