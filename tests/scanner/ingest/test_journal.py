"""The journal beside the database."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection

from scanner.errors import Busy
from scanner.ingest import accept, journal
from scanner.models import Replica, Run
from tests.scanner import factories as make
from tests.scanner.factories import Signer

pytestmark = pytest.mark.django_db


@pytest.fixture
def replica() -> Replica:
    return make.make_replica()


@pytest.fixture
def signer(replica: Replica) -> Signer:
    return make.make_key(replica.server)


def path_of(replica: Replica) -> Path:
    return Path(django_settings.BACKUP_SYNCER_JOURNAL) / f"{replica.uuid}.jsonl"


def sequences(replica: Replica) -> list[int]:
    return [entry.sequence for entry in journal.read_journal(replica)]


def forget_marks(*runs: Run) -> None:
    """Undo the marks, as if the process had been killed between the journal's fsync and the mark."""
    Run.objects.filter(pk__in=[run.pk for run in runs]).update(journaled_at=None)


def test_a_line_for_each_statement(replica: Replica, signer: Signer) -> None:
    """Every run leaves its statement's digest, in order, in a file that the service alone can read."""
    runs = [make.accept(replica, signer, outcome=outcome) for outcome in ("complete", "failed", "complete")]
    entries = journal.read_journal(replica)

    assert [entry.statement for entry in entries] == [bytes(run.statement).hex() for run in runs]
    assert {(entry.replica, entry.keyid) for entry in entries} == {(str(replica.uuid), signer.keyid)}
    assert [(entry.sequence, entry.run) for entry in entries] == [(n, str(run.uuid)) for n, run in enumerate(runs, 1)]
    assert stat.S_IMODE(path_of(replica).stat().st_mode) == 0o600


def test_no_journal_yet(replica: Replica) -> None:
    """A replica without a run has an empty journal."""
    assert journal.read_journal(replica) == []


def test_a_crash_after_the_line(replica: Replica, signer: Signer) -> None:
    """A line that was written but not marked is not written twice."""
    runs = [make.accept(replica, signer) for _ in range(3)]
    forget_marks(*runs[1:])

    assert journal.journal_pending() == 1
    assert sequences(replica) == [1, 2, 3]
    assert journal.journal_pending() == 0
    assert not Run.objects.filter(journaled_at=None).exists()


@pytest.mark.parametrize("cut", [1, 2, 50, 300])
def test_a_torn_line(replica: Replica, signer: Signer, cut: int) -> None:
    """A line that a crash tore is skipped, and its run is written again behind it."""
    runs = [make.accept(replica, signer) for _ in range(3)]
    data = path_of(replica).read_bytes()
    path_of(replica).write_bytes(data[:-cut])
    forget_marks(runs[2])

    assert sequences(replica) == [1, 2]

    journal.append(runs[2])
    assert sequences(replica) == [1, 2, 3]
    assert runs[2].journaled_at is not None
    assert make.accept(replica, signer).sequence == 4
    assert sequences(replica) == [1, 2, 3, 4]


def test_what_waits_is_written_first(replica: Replica, signer: Signer) -> None:
    """A run that could not be written comes before the next one all the same."""
    runs = [make.accept(replica, signer) for _ in range(2)]
    path_of(replica).unlink()
    forget_marks(*runs)
    for run in runs:
        journal.note_acceptance(run)
    make.accept(replica, signer)

    assert sequences(replica) == [1, 2, 3]


def test_another_statement_of_a_known_number_is_written(replica: Replica, signer: Signer) -> None:
    """A line is known by number and digest: a number alone hides nothing."""
    run = make.accept(replica, signer)
    lines = path_of(replica).read_text().splitlines()
    path_of(replica).write_text(json.dumps(json.loads(lines[0]) | {"statement": "00"}) + "\n")
    forget_marks(run)
    journal.append(run)

    assert [entry.statement for entry in journal.read_journal(replica)] == ["00", bytes(run.statement).hex()]


def test_a_journal_that_cannot_be_written(replica: Replica, signer: Signer) -> None:
    """No receipt without a journal: the run waits, the collector is told to come again, and gets its receipt then."""
    report = make.make_report(replica, signer)
    path_of(replica).mkdir()

    with pytest.raises(Busy, match="journal"):
        make.receive(replica.server, report.gzip)

    path_of(replica).rmdir()
    assert Run.objects.get().journaled_at is None
    assert make.receive(replica.server, report.gzip) == accept.Receipt(Run.objects.get(), new=False)
    assert sequences(replica) == [1]


def test_no_trust_records_no_receipt(replica: Replica, signer: Signer, settings: Any, tmp_path: Path) -> None:
    """A directory that cannot be read is no answer on a key: the collector is told to come again."""
    report = make.make_report(replica, signer)
    (tmp_path / "file").touch()
    settings.BACKUP_SYNCER_JOURNAL = tmp_path / "file" / "journal"

    with pytest.raises(Busy, match="journal"):
        make.receive(replica.server, report.gzip)
    assert not Run.objects.exists()


def test_the_sweep_writes_only_what_was_accepted(replica: Replica, signer: Signer) -> None:
    """A run with the note of its acceptance is written after a crash; a copy of it that has no note never is."""
    run = make.accept(replica, signer)
    accepted = make.accept(replica, signer)
    path_of(replica).write_bytes(path_of(replica).read_bytes().split(b"\n")[0] + b"\n")
    forget_marks(accepted)
    journal.note_acceptance(accepted)
    note = next((path_of(replica).parent / "pending").glob(f"{accepted.uuid}.json"))

    # The same row with another statement, as an intruder would change it.
    Run.objects.filter(pk=accepted.pk).update(statement=bytes(run.statement))
    assert journal.journal_pending() == 0
    assert sequences(replica) == [1]

    Run.objects.filter(pk=accepted.pk).update(statement=bytes(accepted.statement))
    assert journal.journal_pending() == 1
    assert sequences(replica) == [1, 2]
    assert not note.exists()


@pytest.mark.django_db(transaction=True)
def test_many_writers_at_once(replica: Replica, signer: Signer) -> None:
    """Processes that write the same journal at once write each line once, in order."""
    runs = [make.accept(replica, signer) for _ in range(12)]
    path_of(replica).unlink()
    forget_marks(*runs)
    for run in runs:
        journal.note_acceptance(run)
    barrier = threading.Barrier(8)

    def write(run: Run) -> None:
        barrier.wait()
        try:
            journal.append(run)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(run,)) for run in runs[:8]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sequences(replica) == list(range(1, 13))
