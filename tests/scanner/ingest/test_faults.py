"""Ingest under faults: killed workers, lost databases, rotten bytes, many workers at once. Nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from scanner.db.errors import translate_database_errors
from scanner.errors import PermanentError, RetryableError
from scanner.export import report as export
from scanner.format.records import Record
from scanner.ingest import inbox, store
from scanner.ingest import worker as ingest
from scanner.models import Note, Replica, Run, Version
from tests.parameters import usual_first
from tests.scanner.factories import Signer, accept, file_row, make_key, make_replica
from tests.scanner.ingest.test_worker import FIRST
from tests.scanner.ingest.workers import killed_worker

pytestmark = pytest.mark.django_db(transaction=True)

# A worker that is killed at one point of its first run. Only the moment is made up: rows, locks and death are real.
WORKER = """
import os, signal, sys, time, django
django.setup()
from django.db import connection
from scanner.db import attempts, binary_copy
from scanner.ingest import store, worker
from scanner.signals import run_ingested

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def after(module, name):
    real = getattr(module, name)
    setattr(module, name, lambda *given: (real(*given), die()))

point, replica = sys.argv[1], int(sys.argv[2])
store.COPY_PIECE_BYTES = 1000
if point == "begun":
    after(attempts, "_count_attempt")
elif point == "copying":
    real = binary_copy.version_packer
    def packer(*given):
        pack, count = real(*given), iter(range(100))
        return lambda row: (pack(row), next(count, None) is None and die())[0]
    binary_copy.version_packer = packer
elif point == "written":
    store.mark_ingested = die
elif point == "finished":
    after(store, "mark_ingested")
elif point == "committed":
    run_ingested.receivers = []
    run_ingested.connect(die)
worker.ingest_replica(replica)
"""


@pytest.fixture
def replica() -> Replica:
    """A replica of a server with a key."""
    return make_replica()


@pytest.fixture
def signer(replica: Replica) -> Signer:
    """The key of the replica's server."""
    return make_key(replica.server)


def files(number: int, content: bytes = b"x") -> list[Record]:
    """Return the entries of `number` files."""
    return [file_row(f"file {index:06d}", content) for index in range(number)]


def kill_worker(point: str, replica: Replica) -> None:
    """Run a worker that kills itself at `point`."""
    killed_worker(WORKER, point, str(replica.pk))


def ingested_at_last(replica: Replica) -> int:
    """Runs that are dealt with once the database has seen that the worker died."""
    until = time.monotonic() + 20
    done = 0
    while store.find_queued_replicas() and time.monotonic() < until:
        done += ingest.ingest_replica(replica.pk)
    return done


@pytest.mark.parametrize("point", usual_first(["copying", "committed", "begun", "written", "finished"], 2))
def test_a_killed_worker_loses_nothing(replica: Replica, signer: Signer, point: str) -> None:
    """The next worker finishes wherever one died: each run is in the history once, as it was sent."""
    first = accept(replica, signer, files(300))
    second = accept(replica, signer, files(250, b"y"))
    sent = [b"".join(export.export_report(run)) for run in (first, second)]
    kill_worker(point, replica)
    first.refresh_from_db()

    assert first.state == ("ingested" if point == "committed" else "received")
    assert first.attempts == 1
    assert Version.objects.count() == (300 if point == "committed" else 0)
    assert ingested_at_last(replica) == (1 if point == "committed" else 2)

    for run, data in zip((first, second), sent, strict=True):
        run.refresh_from_db()
        assert run.state == "ingested"
        assert b"".join(export.export_report(run)) == data

    assert (second.opened, second.closed) == (250, 300)
    assert ingest.ingest_waiting() == 0


def test_a_report_that_kills_its_worker_is_set_aside(replica: Replica, signer: Signer) -> None:
    """After three tries history goes on without it, with the reason; its bytes are kept."""
    accept(replica, signer, files(3))
    ingest.ingest_replica(replica.pk)
    poison = accept(replica, signer, files(200, b"poison"))
    after = accept(replica, signer, files(2))
    for _ in range(3):
        kill_worker("copying", replica)

    assert ingested_at_last(replica) == 2

    poison.refresh_from_db()
    after.refresh_from_db()

    assert (poison.state, after.state) == ("set_aside", "ingested")
    assert "started 3 times and never finished" in poison.reason
    assert poison.upload and b"".join(export.export_report(poison))
    assert (after.opened, after.closed) == (0, 1)
    assert not store.requeue(poison)


def rot(run: Run, data: bytes) -> None:
    """Put other bytes in the place of the kept ones."""
    Path(inbox.report_storage().path(run.upload)).write_bytes(data)


ROTTEN: dict[str, Callable[[bytes], bytes]] = {
    "another content": lambda data: data.replace(b'"size":1', b'"size":2'),
    "cut short": lambda data: data[:-40],
    "a line less": lambda data: data[: data.rstrip(b"\n").rindex(b"\n") + 1],
    "no report": lambda data: data[:0] + b"\n",
}


@pytest.mark.parametrize("way", ROTTEN)
def test_bytes_that_rotted_are_not_taken_in(replica: Replica, signer: Signer, way: str) -> None:
    """An upload that is not, to the last byte, what was accepted is set aside at once; history has nothing of it."""
    report = accept(replica, signer, files(50))
    data = b"".join(export.export_report(report))
    Run.objects.filter(pk=report.pk).update(upload=report.upload.replace(".gz", ""))
    report.refresh_from_db()
    rot(report, ROTTEN[way](data))

    assert ingest.ingest_replica(replica.pk) == 1

    report.refresh_from_db()
    assert report.state == "set_aside"
    assert "not the one that was accepted" in report.reason
    assert not Version.objects.exists()

    rot(report, data)
    assert store.requeue(report)
    assert ingest.ingest_replica(replica.pk) == 1

    report.refresh_from_db()
    assert (report.state, report.reason, report.attempts) == ("ingested", "", 1)


def test_bytes_that_are_gone_are_named(replica: Replica, signer: Signer) -> None:
    """A run without its bytes is set aside for that reason."""
    run = accept(replica, signer, files(2))
    inbox.report_storage().delete(run.upload)
    ingest.ingest_replica(replica.pk)
    run.refresh_from_db()

    assert (run.state, run.reason) == ("set_aside", "the stored upload is missing")


def test_a_lost_connection_spends_no_try(replica: Replica, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database ends the session in the middle: nothing is stored, the try is given back, the next time it works."""
    run = accept(replica, signer, files(2000))
    real = inbox.record_lines
    ended = list[bool]()

    def ending(of: Run) -> object:
        for number, line in enumerate(real(of)):
            if number == 1000 and not ended:
                ended.append(True)
                with psycopg.connect(**{**connection.get_connection_params(), "cursor_factory": None}) as other:
                    assert connection.connection is not None
                    other.execute("SELECT pg_terminate_backend(%s)", (connection.connection.info.backend_pid,))

                time.sleep(0.5)
            yield line

    monkeypatch.setattr(inbox, "record_lines", ending)
    monkeypatch.setattr(store, "COPY_PIECE_BYTES", 1000)

    with pytest.raises(RetryableError):
        ingest.ingest_replica(replica.pk)

    run.refresh_from_db()
    assert (run.state, run.attempts) == ("received", 0)
    assert ingest.ingest_replica(replica.pk) == 1
    assert Version.objects.count() == 2000


PASSING_STATES = ["53100", "40P01", "40001", "53300", "57P01", "08006", "55P03"]
DATA_STATES = ["22021", "23505", "23514"]


@pytest.mark.parametrize(
    ("state", "kind"),
    [*((state, RetryableError) for state in PASSING_STATES), *((state, PermanentError) for state in DATA_STATES)],
)
def test_database_errors_are_told_apart(state: str, kind: type[Exception]) -> None:
    """Errors that may pass are tried again later; errors that the data cause never pass."""
    with pytest.raises(kind), translate_database_errors(), connection.cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'so' USING ERRCODE = '{state}'; END $$")


def test_an_unforeseen_error_is_the_reason_after_three_tries(
    replica: Replica, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody foresaw stops the task, spends a try, and is shown; the third one sets the run aside."""
    run = accept(replica, signer, files(2))
    next_one = accept(replica, signer, files(1))
    broken = Path(inbox.report_storage().path(run.upload))
    broken.unlink()
    broken.mkdir()
    for number in (1, 2):
        with pytest.raises(IsADirectoryError):
            ingest.ingest_replica(replica.pk)

        run.refresh_from_db()
        assert (run.state, run.attempts) == ("received", number)
        assert f"attempt {number} of 3 failed: IsADirectoryError" in run.reason

    assert ingest.ingest_replica(replica.pk) == 2

    run.refresh_from_db()
    next_one.refresh_from_db()

    assert (run.state, next_one.state) == ("set_aside", "ingested")

    broken.rmdir()


def test_workers_at_once_do_everything_once(replica: Replica, signer: Signer) -> None:
    """Four workers at the same replica: every run is taken in once, in order."""
    for number in range(5):
        accept(replica, signer, [*files(20, b"%d" % number), *FIRST])
    done: list[int] = []

    def work() -> None:
        try:
            done.append(ingest.ingest_replica(replica.pk))
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert sum(done) == 5

    runs = Run.objects.filter(replica=replica).order_by("sequence")
    assert list(runs.values_list("opened", "closed", "attempts")) == [(26, 0, 1), *[(20, 20, 1)] * 4]
    assert Note.objects.count() == 10
