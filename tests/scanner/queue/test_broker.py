"""The cluster's broker hands out listed tasks and nothing that a row made up."""

from __future__ import annotations

import logging
import os
import pickle
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core import signing
from django.db import connections
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import PickleSerializer, SignedPackage
from django_q.tasks import async_task

from checker import tasks as checker_tasks
from scanner import tasks
from scanner.db.locks import LOCK, UNLOCK, LockClass, advisory_lock
from scanner.errors import RefusedTask
from scanner.queue import broker, judging, registry

pytestmark = pytest.mark.django_db(transaction=True)


class Bomb:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        """Name the call that unpickling makes."""
        return os.mkdir, (str(self.path),)


@pytest.fixture
def cluster() -> broker.ListedTaskBroker:
    """Return the broker that a cluster has once its scheduled tasks are under way."""
    task_broker: broker.ListedTaskBroker = get_broker()
    assert isinstance(task_broker, broker.ListedTaskBroker)
    while task_broker._take_due():
        pass
    return task_broker


def unpack(packages: list[tuple[int | None, str]]) -> list[dict[str, Any]]:
    """Return the tasks as the cluster's pusher unpacks them."""
    return [SignedPackage.loads(package) for _key, package in packages]


def store(payload: str) -> OrmQ:
    """Write a row as somebody who can write to the database would."""
    return OrmQ.objects.create(key=Conf.CLUSTER_NAME, payload=payload, lock=timezone.now())


def test_a_row_becomes_a_call(cluster: broker.ListedTaskBroker) -> None:
    """The function itself is handed on, with its arguments; the row goes when it is acknowledged."""
    broker.enqueue("scanner.tasks.ingest_replica", 7)
    packages = cluster.dequeue()

    task = unpack(packages)[0]
    assert (task["func"], task["args"], task["kwargs"]) == (tasks.ingest_replica, (7,), {})

    cluster.acknowledge(packages[0][0])
    assert not OrmQ.objects.exists()


def test_scheduled_tasks_are_due_at_the_start_and_then_by_the_clock(
    cluster: broker.ListedTaskBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new cluster does everything at once; later each task comes when its minutes have passed. No row is needed."""
    every = {task.name for task in registry.scheduled_tasks()}
    begun = get_broker()
    assert {task["name"] for task in unpack(begun.dequeue())} == every
    assert begun.dequeue() == []

    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 9 * 60)
    assert {task["name"] for task in unpack(begun.dequeue())} == {
        task.name for task in registry.scheduled_tasks() if task.minutes == 1
    }
    assert not OrmQ.objects.exists()


def bomb_payloads(path: Path) -> dict[str, str]:
    """Return payloads whose unpickling makes the directory `path`, made in every way that an attacker has."""
    bomb = Bomb(path)
    package = {"id": "0" * 32, "name": "x", "func": "os.mkdir", "args": (str(path),), "kwargs": {}, "bomb": bomb}
    ours = {"key": settings.SECRET_KEY, "salt": Conf.PREFIX, "serializer": PickleSerializer}
    return {
        "unsigned": signing.b64_encode(pickle.dumps(package)).decode(),
        "signed with another key": signing.dumps(package, **(ours | {"key": "another"})),
        # What an older version wrote, or whoever learned the key.
        "signed with our key": signing.dumps(package, **ours),
        "compressed": signing.dumps(package, compress=True, **ours),
    }


@pytest.mark.parametrize("way", ["unsigned", "signed with another key", "signed with our key", "compressed"])
def test_a_forged_package_is_not_unpickled(
    cluster: broker.ListedTaskBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    """A pickle in a row is deleted unread, whoever signed it, and the calls beside it are served."""
    target = tmp_path / "touched"
    store(bomb_payloads(target)[way])

    with caplog.at_level(logging.ERROR):
        assert cluster.dequeue() == []
    assert not target.exists() and not OrmQ.objects.exists()
    assert "was refused" in caplog.text

    broker.enqueue("scanner.tasks.ingest_replica", 7)
    assert len(cluster.dequeue()) == 1


def test_the_bomb_is_live(tmp_path: Path) -> None:
    """The control: django-q2's own reading of such a row does what the attacker wants."""
    target = tmp_path / "touched"
    SignedPackage.loads(bomb_payloads(target)["signed with our key"])
    assert target.exists()


def test_a_replayed_row_calls_the_same_function_again(cluster: broker.ListedTaskBroker) -> None:
    """A copied row is one more wake-up, which finds nothing to do."""
    broker.enqueue("scanner.tasks.ingest_replica", 7)
    payload = OrmQ.objects.get().payload
    calls = unpack(cluster.dequeue())
    store(payload)
    calls += unpack(cluster.dequeue())

    assert [(call["func"], call["args"]) for call in calls] == [(tasks.ingest_replica, (7,))] * 2
    assert tasks.ingest_replica(7) == 0


@pytest.mark.parametrize("function", ["os.system", "scanner.tasks.on_run_received", "subprocess.call"])
def test_a_row_cannot_name_another_function(cluster: broker.ListedTaskBroker, function: str) -> None:
    """JSON in the right shape with a function that is not listed is deleted; listed ones take no other arguments."""
    store(f'{{"task": "{function}", "arguments": ["true"]}}')
    store('{"task": "scanner.tasks.tidy", "arguments": ["true"]}')
    assert cluster.dequeue() + cluster.dequeue() == []
    assert not OrmQ.objects.exists()


def test_django_q2s_own_way_in_is_closed() -> None:
    """`async_task` would take any function, and write a pickle."""
    with pytest.raises(RefusedTask):
        async_task("scanner.tasks.tidy")
    assert not OrmQ.objects.exists()


def test_no_result_is_kept(cluster: broker.ListedTaskBroker, caplog: pytest.LogCaptureFixture) -> None:
    """A task that failed leaves no row; the cluster's monitor logs it and forgets it."""
    from django_q import monitor

    broker.enqueue("scanner.tasks.ingest_replica", 7)
    task = unpack(cluster.dequeue())[0] | {"success": False, "result": "it broke", "stopped": timezone.now()}

    class Results:
        """Stands for the queue of results, which ends."""

        def __init__(self) -> None:
            self.left = [task, "STOP"]

        def get(self) -> Any:
            """Return the next result."""
            return self.left.pop(0)

    monitor.logger.addHandler(caplog.handler)
    monitor.monitor(Results(), cluster)
    monitor.logger.removeHandler(caplog.handler)

    assert "it broke" in caplog.text and "Could not save" not in caplog.text


def waiting() -> list[tuple[str, str]]:
    """Return key and task of each row that waits."""
    return [(row.key, registry.decode(row.payload).task.name) for row in OrmQ.objects.order_by("id")]


def test_one_wake_up_waits(cluster: broker.ListedTaskBroker) -> None:
    """The same call is queued once while it waits, and again once it was handed out."""
    for replica_id in (7, 7, 8, 7):
        broker.enqueue("scanner.tasks.ingest_replica", replica_id)
    assert len(waiting()) == 2

    assert unpack(cluster.dequeue())[0]["args"] == (7,)
    broker.enqueue("scanner.tasks.ingest_replica", 7)
    assert len(waiting()) == 3


def test_a_slow_comparison_holds_up_no_report(cluster: broker.ListedTaskBroker) -> None:
    """While all slots are taken nothing that judges is handed out, and reports are; afterwards both are."""
    for number in range(3):
        broker.enqueue("checker.tasks.catch_up", number)
    broker.enqueue("scanner.tasks.ingest_replica", 7)

    other = connections.create_connection("default")
    key = {"lock_class": int(LockClass.JUDGING), "key": 0}
    try:
        with other.cursor() as cursor:
            cursor.execute(LOCK, key)
            assert [task["func"] for task in unpack(cluster.dequeue())] == [tasks.ingest_replica]
            assert cluster.dequeue() == []

            # One that was handed out before the slot was taken goes back, and waits for its turn.
            assert checker_tasks.verify_run(7) is None
            assert waiting()[-1] == ("judging", "checker.tasks.verify_run")
            assert checker_tasks.compare_new() is None, "a scheduled task comes again by itself"
            assert len(waiting()) == 5
            cursor.execute(UNLOCK, key)  # a lock dies with its session, but not before close() returns
    finally:
        other.close()

    assert [task["args"] for task in unpack(cluster.dequeue())] == [(0,)]
    assert checker_tasks.compare_new() == 0


@pytest.mark.parametrize(("workers", "slots"), [(1, 1), (2, 1), (3, 2)])
def test_one_worker_is_left(monkeypatch: pytest.MonkeyPatch, workers: int, slots: int) -> None:
    """There is a slot less than there are workers, where there are several; a slot is free again when its task ends."""
    monkeypatch.setattr(settings, "Q_CLUSTER", {"workers": workers})
    with ExitStack() as stack:
        # The locks of one session do not exclude each other, so the first one stands for another worker's.
        taken = [stack.enter_context(advisory_lock(LockClass.JUDGING, number)) for number in range(slots)]
        assert all(taken) and not judging.is_slot_free()
    assert judging.is_slot_free()
    with judging.take_slot() as has_slot:
        assert has_slot
