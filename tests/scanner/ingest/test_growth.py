"""One server adds no more to the database in a day than it may; what did not change costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from scanner.errors import FinalRefusal
from scanner.format.records import Note, Record
from scanner.ingest import store, worker
from scanner.models import Replica, Run, Server, Usage, Version
from tests.checker import stage
from tests.scanner import factories as make
from tests.scanner.factories import Signer

pytestmark = pytest.mark.django_db(transaction=True)

REASON = "more than the 10 new entries and notes that its server may add in a day"


@pytest.fixture
def replica(settings: Any) -> Replica:
    settings.BACKUP_SYNCER_ENTRIES_PER_DAY = 10
    return make.make_replica()


@pytest.fixture
def signer(replica: Replica) -> Signer:
    return make.make_key(replica.server)


def files(number: int, content: bytes = b"x") -> list[Record]:
    """Return entries of some files."""
    return [make.file_row(f"{index:03}", content) for index in range(number)]


def ingest(replica: Replica, signer: Signer, records: Sequence[Record]) -> Run:
    """Receive and ingest a report, and return its run."""
    run = make.accept(replica, signer, records)
    worker.ingest_replica(replica.pk)
    run.refresh_from_db()
    return run


def test_growth_is_bounded_and_reports_are_not(replica: Replica, signer: Signer, settings: Any) -> None:
    """A report that adds too much is set aside and adds nothing; one that fits goes on, however large it is."""
    assert ingest(replica, signer, files(8)).state == "ingested"
    assert ingest(replica, signer, files(8)).state == "ingested", "what is there already is not new"

    # 300 bytes on the wire that would begin 500 versions.
    too_much = ingest(replica, signer, files(500, b"y"))
    assert (too_much.state, too_much.reason) == ("set_aside", REASON)
    assert Version.objects.filter(replica=replica).count() == 8
    assert ingest(replica, signer, files(9)).state == "ingested"

    client = Client()
    client.force_login(stage.make_user("operator"))
    another_too_much = ingest(replica, signer, files(40, b"z"))
    assert another_too_much.state == "set_aside"
    assert REASON in client.get(reverse("server", args=[replica.server.uuid])).content.decode()

    # An honest server that needs more has a limit of its own; the run is then ingested again.
    Server.objects.filter(pk=replica.server.pk).update(entries_per_day=1000)
    assert store.requeue(another_too_much)
    worker.ingest_replica(replica.pk)
    assert Run.objects.get(pk=another_too_much.pk).state == "ingested"


def test_notes_count_and_servers_do_not_share(replica: Replica, signer: Signer) -> None:
    """Notes are rows as well, also when a report is repeated; another server has its own day."""
    notes = [Note(f"{index:03}", "vanished") for index in range(4)]
    assert ingest(replica, signer, [*files(1), *notes]).state == "ingested"
    assert ingest(replica, signer, [*files(1), *notes]).state == "ingested"
    assert Usage.objects.get(subject=f"entries:{replica.server.pk}").used == 9
    assert ingest(replica, signer, [*files(1), *notes]).reason == REASON

    other = make.make_replica()
    assert ingest(other, make.make_key(other.server), files(8)).state == "ingested"


def test_a_report_of_too_many_records_is_refused(replica: Replica, signer: Signer, settings: Any) -> None:
    """It has its place in the chain, is not read, and the next report goes on behind it."""
    settings.BACKUP_SYNCER_RECORDS = 5
    with pytest.raises(FinalRefusal, match="6 records are more than this central server takes"):
        make.accept(replica, signer, files(6))
    assert Run.objects.get().state == "refused"
    assert ingest(replica, signer, files(5)).state == "ingested"
