"""Ingest: runs become history in order, once, whatever happens to the process."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection

from scanner.db import entries, report_lines
from scanner.export import report
from scanner.format.records import Note as NoteRecord
from scanner.format.records import Record
from scanner.ingest import store, worker
from scanner.models import Note, Replica, Run, Version
from tests.scanner.factories import Signer, accept, error_row, file_row, link_row, make_key, make_replica, special_row

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def replica() -> Replica:
    """A replica of a server with a key."""
    return make_replica()


@pytest.fixture
def signer(replica: Replica) -> Signer:
    """The key of the replica's server."""
    return make_key(replica.server)


FIRST: list[Record] = [
    file_row("a/one", b"1"),
    file_row("a/two", b"2"),
    file_row("a/two2", b"2", detail="a/two"),
    error_row("b", "EACCES", "list"),
    link_row("l\\xff", "target\\\\x"),
    special_row("z", "socket"),
    NoteRecord("a/one", "misread", '{"reads":3}'),
    NoteRecord("b", "vanished"),
]


def state(replica: Replica) -> list[tuple[str, int, int | None]]:
    """Path and interval of each version, in order."""
    rows = Version.objects.filter(replica=replica).order_by("path", "from_seq")
    return list(rows.values_list("path", "from_seq", "until_seq"))


def test_a_run_becomes_rows_and_its_report_again(replica: Replica, signer: Signer) -> None:
    """Entries of all types and notes are stored; what is written again from them is the report, byte for byte."""
    run = accept(replica, signer, FIRST)
    with_upload = b"".join(report.export_report(run))

    assert worker.ingest_replica(replica.pk) == 1

    run.refresh_from_db()
    assert (run.state, run.opened, run.closed, run.attempts) == ("ingested", 6, 0, 1)
    assert Note.objects.filter(run=run).count() == 2
    assert b"".join(report.export_report(run)) == with_upload


def test_only_what_changed_is_written(replica: Replica, signer: Signer) -> None:
    """Gone and changed versions end, changed and new ones begin, the rest is not touched."""
    accept(replica, signer, FIRST)
    accept(replica, signer, [file_row("a/one", b"1"), file_row("a/two", b"two"), file_row("c")])

    assert worker.ingest_replica(replica.pk) == 2
    assert state(replica) == [
        ("a/one", 1, None),
        ("a/two", 1, 2),
        ("a/two", 2, None),
        ("a/two2", 1, 2),
        ("b", 1, 2),
        ("c", 2, None),
        ("l\\xff", 1, 2),
        ("z", 1, 2),
    ]
    assert list(Run.objects.filter(replica=replica).order_by("sequence").values_list("opened", "closed")) == [
        (6, 0),
        (2, 5),
    ]


def test_an_unchanged_run_adds_no_version(replica: Replica, signer: Signer) -> None:
    """The same records again: no version row, notes of its own; other notes alone change no version, either."""
    for notes in (FIRST, FIRST, FIRST[:-1]):
        accept(replica, signer, notes)
    worker.ingest_replica(replica.pk)
    runs = Run.objects.filter(replica=replica).order_by("sequence")

    assert list(runs.values_list("opened", "closed")) == [(6, 0), (0, 0), (0, 0)]
    assert Version.objects.count() == 6
    assert [Note.objects.filter(run=run).count() for run in runs] == [2, 2, 1]


def test_runs_without_a_state_are_stepped_over(replica: Replica, signer: Signer) -> None:
    """A failed run touches nothing; an empty complete one ends everything."""
    accept(replica, signer, FIRST)
    accept(replica, signer, outcome="failed")
    accept(replica, signer, [])
    accept(replica, signer, FIRST[:1])

    assert worker.ingest_replica(replica.pk) == 3
    assert [row for row in state(replica) if row[0] == "a/one"] == [("a/one", 1, 3), ("a/one", 4, None)]
    assert not Version.objects.filter(from_seq=2).exists()
    assert Run.objects.get(replica=replica, sequence=2).state == Run.State.FAILED
    assert list(report_lines.record_lines(Run.objects.get(replica=replica, sequence=3))) == []


def test_doing_it_twice_is_harmless(replica: Replica, signer: Signer) -> None:
    """There is nothing to do for a run that is in the history."""
    accept(replica, signer, FIRST)
    assert [worker.ingest_waiting(), worker.ingest_waiting()] == [1, 0]
    assert Version.objects.count() == 6


def test_replicas_keep_to_themselves(replica: Replica, signer: Signer) -> None:
    """The same paths of another replica are another history."""
    other = make_replica()
    accept(replica, signer, FIRST)
    accept(other, make_key(other.server), FIRST[:2])
    accept(replica, signer, FIRST[:1])

    assert worker.ingest_waiting() == 3
    assert state(other) == [("a/one", 1, None), ("a/two", 1, None)]


def test_a_replica_with_versions_cannot_be_deleted(replica: Replica, signer: Signer) -> None:
    """The database guards evidence also where no foreign key does."""
    accept(replica, signer, FIRST)
    worker.ingest_replica(replica.pk)
    with connection.cursor() as cursor, pytest.raises(IntegrityError, match="has versions"):
        cursor.execute("DELETE FROM scanner_replica WHERE id = %s", [replica.pk])


def test_one_path_has_its_whole_life(replica: Replica, signer: Signer) -> None:
    """All versions of a path, also of one that is longer than an index can hold."""
    long = "/".join(["x" * 200] * 20)
    for content in (b"1", b"2", b"2"):
        accept(replica, signer, [file_row(long, content), file_row(long + "y", content)])
    worker.ingest_replica(replica.pk)

    assert [(row.from_seq, row.until_seq) for row in entries.list_versions(replica, long)] == [(1, 2), (2, None)]
    assert store.find_queued_replicas() == []
