"""Mark keys as compromised: what they signed since then is not believed, and what came before is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from checker.divergences.participants import read_members
from checker.jobs import run_comparisons
from checker.models import Participant, Proof
from checker.pages.replica_facts import all_replicas, collect_facts
from checker.pages.status import Status, assess
from scanner import enrolment, trust_records
from scanner.errors import Forbidden
from scanner.ingest import worker
from scanner.models import Replica, Run, ServerKey
from tests.scanner import factories as make
from tests.scanner.factories import Signer

pytestmark = pytest.mark.django_db(transaction=True)

RECORDS = [make.file_row("a"), make.file_row("b", b"other")]
STATUS = Participant.Status


@pytest.fixture
def group() -> tuple[Replica, Replica, Signer]:
    """Return a replica with two proven runs, a replica with one, and the key of the former."""
    replica = make.make_replica()
    control = make.make_replica(group=replica.group)
    signer = make.make_key(replica.server)
    make.accept(replica, signer, RECORDS)
    settle(replica)
    make.accept(replica, signer, RECORDS)
    make.accept(control, make.make_key(control.server), RECORDS)
    for settled in (replica, control):
        settle(settled)
    return replica, control, signer


def second_run(replica: Replica) -> Run:
    return Run.objects.get(replica=replica, sequence=2)


def settle(replica: Replica) -> None:
    worker.ingest_replica(replica.pk)
    verify(replica)
    run_comparisons.catch_up(replica.pk)


def verify(replica: Replica) -> str:
    out = StringIO()
    try:
        call_command("verify_run", "--replica", str(replica.uuid), stdout=out)
    except SystemExit as exited:
        assert exited.code == 1
    return out.getvalue()


def page_status(replica: Replica) -> Status:
    (facts,) = collect_facts(all_replicas().filter(pk=replica.pk), timezone.now())
    return assess(facts).status


def statuses(replica: Replica) -> dict[int, STATUS]:
    members = read_members([replica.group], timezone.now())[replica.group_id]
    return {member.replica.pk: member.status for member in members}


def test_runs_since_then_are_not_believed(group: tuple[Replica, Replica, Signer]) -> None:
    """From the moment on: not proven, no vote, not green, at once and when verified again; before it, proven."""
    replica, control, signer = group
    assert (page_status(replica), page_status(control)) == (Status.PROVEN, Status.PROVEN)
    assert statuses(replica) == {replica.pk: STATUS.CURRENT, control.pk: STATUS.CURRENT}

    key = ServerKey.objects.get(keyid=signer.keyid)
    enrolment.mark_compromised(key, second_run(replica).received_at)

    output = ""
    for _time in ("at once", "after a verification"):
        assert (page_status(replica), page_status(control)) == (Status.ATTENTION, Status.PROVEN)
        assert statuses(replica) == {replica.pk: STATUS.BROKEN, control.pk: STATUS.CURRENT}
        proofs = Proof.objects.filter(run__replica=replica).order_by("run__sequence")
        assert list(proofs.values_list("ok", flat=True)) == [True, False]
        output = verify(replica)
    assert f"Run 1 of {replica.uuid}: PROVEN" in output
    assert "Run 2: its key may be in the wrong hands since" in output
    with pytest.raises(Forbidden):
        make.accept(replica, signer, RECORDS)

    # Another key vouches for what it has read itself.
    make.accept(replica, make.make_key(replica.server), RECORDS)
    settle(replica)
    assert page_status(replica) == Status.PROVEN
    assert statuses(replica) == {replica.pk: STATUS.CURRENT, control.pk: STATUS.CURRENT}


def test_the_mark_cannot_be_deleted_or_moved(group: tuple[Replica, Replica, Signer]) -> None:
    """A mark that is taken out of the database still holds for proofs; an earlier moment replaces a later one."""
    replica, _control, signer = group
    key = ServerKey.objects.get(keyid=signer.keyid)
    enrolment.mark_compromised(key, second_run(replica).received_at)
    ServerKey.objects.update(compromised_since=None, revoked_at=None)

    assert "Run 2: its key may be in the wrong hands" in verify(replica)
    assert page_status(replica) == Status.DAMAGED

    enrolment.mark_compromised(key, timezone.now() - timedelta(days=2))
    later = key.compromised_since
    enrolment.mark_compromised(key, timezone.now())
    assert key.compromised_since == later
    assert "Run 1: its key may be in the wrong hands" in verify(replica)


def test_an_operator_marks_a_key(group: tuple[Replica, Replica, Signer], admin_client: Any) -> None:
    """The admin asks for a moment and a reason; without a moment nothing happens."""
    replica, _control, signer = group
    key = ServerKey.objects.get(keyid=signer.keyid)
    address = reverse("admin:scanner_serverkey_act", args=[key.pk, "compromised"])
    assert 'name="since"' in admin_client.get(address).content.decode()
    admin_client.post(address, {"reason": "stolen"})
    assert not ServerKey.objects.exclude(compromised_since=None).exists()

    admin_client.post(address, {"reason": "stolen", "since": "2026-01-31 14:30"})
    (since,) = ServerKey.objects.filter(pk=key.pk).values_list("compromised_since", flat=True)
    trusted = trust_records.load().find_key(key.keyid, str(replica.server.uuid))
    assert trusted is not None
    assert trusted.compromised_since == since == datetime(2026, 1, 31, 14, 30, tzinfo=UTC)
