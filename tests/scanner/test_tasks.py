"""Tasks of scanner: wake-ups, sweeps, the schedule."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from scanner import tasks
from scanner.ingest import store
from scanner.models import Progress, Run
from scanner.queue import registry
from tests.scanner.factories import accept, file_row, make_key, make_replica

pytestmark = pytest.mark.django_db(transaction=True)


def functions() -> list[str]:
    """Return the functions of the queued tasks."""
    return [registry.decode(row.payload).task.name for row in OrmQ.objects.order_by("id")]


def test_an_arrival_wakes_ingest() -> None:
    """A received run leads to a task for its replica; a failed one, which has nothing to take in, does not."""
    replica = make_replica()
    signer = make_key(replica.server)
    accept(replica, signer, outcome="failed")

    assert "scanner.tasks.ingest_replica" not in functions()

    accept(replica, signer, [file_row("a")])
    assert "scanner.tasks.ingest_replica" in functions()
    assert tasks.ingest_replica(replica.pk) == 1
    assert tasks.ingest_replica(replica.pk) == 0


def test_the_sweep_finds_what_a_lost_wake_up_left() -> None:
    """Every replica with a waiting run is served, the journal before it."""
    for _ in range(3):
        replica = make_replica()
        accept(replica, make_key(replica.server), [file_row("a")])

    OrmQ.objects.all().delete()
    Run.objects.update(journaled_at=None)

    assert store.find_queued_replicas() == []
    assert tasks.sweep() == 3
    assert set(Run.objects.values_list("state", flat=True)) == {"ingested"}
    assert not Run.objects.filter(journaled_at=None).exists()
    assert tasks.sweep() == 0


def test_what_is_stale_goes() -> None:
    """Progress of a run that was not heard of for days is forgotten."""
    replica = make_replica()
    now = timezone.now()
    for number, age in enumerate([timedelta(0), tasks.KEEP_PROGRESS * 2]):
        Progress.objects.create(
            uuid=f"00000000-0000-4000-8000-00000000000{number}",
            replica=replica,
            phase="hash",
            started_at=now - age,
            updated_at=now - age,
        )
    tasks.tidy()

    assert Progress.objects.count() == 1


def test_the_schedule_is_a_list_in_code() -> None:
    """The cluster calls these functions by itself, so often."""
    schedule = {task.name: task.minutes for task in registry.scheduled_tasks()}

    assert schedule == {
        "backup_syncer.launcher.heartbeat.beat": 1,
        "checker.tasks.compare_groups": 1,
        "checker.tasks.compare_new": 1,
        "checker.tasks.forget_comparisons": 60,
        "checker.tasks.forget_uploads": 60,
        "checker.tasks.reopen_findings": 10,
        "checker.tasks.rotate": 10,
        "checker.tasks.verify_new": 1,
        "scanner.tasks.sweep": 1,
        "scanner.tasks.tidy": 60,
    }
