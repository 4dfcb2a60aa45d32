"""Ingest: runs become history in order, once, whatever happens to the process."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connection

from scanner import export, ingest, store
from scanner.models import Note, Replica, Run, Version
from scanner.records import Note as NoteRecord
from scanner.records import Record
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
    with_upload = b"".join(export.report(run))
    assert ingest.ingest_replica(replica.pk) == 1
    run.refresh_from_db()
    assert (run.state, run.opened, run.closed, run.attempts) == ("ingested", 6, 0, 1)
    assert Note.objects.filter(run=run).count() == 2
    assert b"".join(export.report(run)) == with_upload


def test_only_what_changed_is_written(replica: Replica, signer: Signer) -> None:
    """Gone and changed versions end, changed and new ones begin, the rest is not touched."""
    accept(replica, signer, FIRST)
    accept(replica, signer, [file_row("a/one", b"1"), file_row("a/two", b"two"), file_row("c")])
    assert ingest.ingest_replica(replica.pk) == 2
    assert state(replica) == [
        ("a/one", 1, None), ("a/two", 1, 2), ("a/two", 2, None), ("a/two2", 1, 2), ("b", 1, 2), ("c", 2, None),
        ("l\\xff", 1, 2), ("z", 1, 2),
    ]  # fmt: skip
    assert list(Run.objects.filter(replica=replica).order_by("sequence").values_list("opened", "closed")) == [
        (6, 0), (2, 5),
    ]  # fmt: skip
