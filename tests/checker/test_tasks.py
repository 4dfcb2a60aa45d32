"""Verify newest runs first and older ones in rotation, and delete proven uploads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from checker import tasks
from checker.models import Proof
from checker.proofs import queries
from scanner.ingest import worker
from scanner.models import Replica, Run, Version
from scanner.queue import registry
from tests.scanner.factories import accept, file_row, make_key, make_replica

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def replica() -> Replica:
    """Return a replica with three runs in its history."""
    replica = make_replica()
    signer = make_key(replica.server)
    for number in range(3):
        accept(replica, signer, [file_row("a", b"%d" % number), file_row("b")])
    worker.ingest_replica(replica.pk)
    return replica


def test_ingest_wakes_verification(replica: Replica) -> None:
    """Each run that is ingested leads to a task that verifies it."""
    calls = [registry.decode(row.payload) for row in OrmQ.objects.order_by("id")]
    waiting = [call for call in calls if call.task.name == "checker.tasks.verify_run"]
    assert len(waiting) == 3
    assert waiting[0].task.function(*waiting[0].arguments)
    assert Proof.objects.get().ok


def test_unverified_runs_are_verified(replica: Replica) -> None:
    """A run whose task was lost is verified, once."""
    assert tasks.verify_new() == 3
    assert tasks.verify_new() == 0
    assert Proof.objects.filter(ok=True).count() == 3


def test_rotation_begins_with_the_least_recently_verified(replica: Replica, settings: Any) -> None:
    """The oldest proof is renewed first, and none is when the hourly budget is spent."""
    tasks.verify_new()
    old = timezone.now() - timedelta(days=1)
    for number, proof in enumerate(Proof.objects.order_by("run__sequence")):
        Proof.objects.filter(pk=proof.pk).update(checked_at=old + timedelta(hours=number))
    Run.objects.update(ingested_at=old - timedelta(days=1))
    settings.BACKUP_SYNCER_VERIFY_SECONDS_PER_HOUR = 0

    assert tasks.rotate() == 0

    settings.BACKUP_SYNCER_VERIFY_SECONDS_PER_HOUR = 300
    assert tasks.rotate() == 3
    assert not Proof.objects.filter(checked_at__lt=timezone.now() - timedelta(minutes=5)).exists()

    spent = queries.seconds_spent_on_rotation()
    assert 0 < spent < 300

    settings.BACKUP_SYNCER_VERIFY_SECONDS_PER_HOUR = spent / 2
    assert tasks.rotate() == 0


def test_an_upload_stays_until_its_run_was_proven_long_enough(replica: Replica, settings: Any) -> None:
    """The uploads of runs stay that were not proven, were proven only just now, or failed their verification."""
    tasks.verify_new()
    settings.BACKUP_SYNCER_KEEP_UPLOADED_DAYS = 7

    assert tasks.forget_uploads() == 0

    long_ago = timezone.now() - timedelta(days=8)
    Run.objects.update(ingested_at=long_ago)
    Proof.objects.filter(run__sequence__lt=3).update(proven_at=long_ago)
    Version.objects.filter(from_seq=1, path="a").update(mode=0)

    assert not tasks.verify_run(Run.objects.get(sequence=1).pk)
    assert tasks.forget_uploads() == 1

    uploads = dict(Run.objects.values_list("sequence", "upload"))
    assert uploads[1] and not uploads[2] and uploads[3]


def test_a_failed_verification_keeps_the_last_proven_moment(replica: Replica) -> None:
    """The proof says that the run is not proven now, and when it last was."""
    run = Run.objects.get(sequence=3)
    tasks.verify_run(run.pk)
    proven_at = Proof.objects.get(run=run).proven_at
    Version.objects.filter(path="b").update(size=8)

    assert not tasks.verify_run(run.pk)

    proof = Proof.objects.get(run=run)
    assert (proof.ok, proof.proven_at) == (False, proven_at)

    failed = [check for check in proof.statements if not check["ok"]]
    assert failed[0]["check"] == "records" and "Paths that differ: b" in failed[0]["text"]
