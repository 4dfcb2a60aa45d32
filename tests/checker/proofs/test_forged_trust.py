"""Forge keys, tokens and runs as a writer of the database would; nothing of it is believed."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from checker.jobs import run_comparisons
from checker.pages.replica_facts import all_replicas, collect_facts
from checker.pages.status import Status, assess
from checker.proofs.verifier import RunVerifier
from scanner import enrolment
from scanner.errors import Forbidden, Unauthorised
from scanner.format import signing
from scanner.format.records import Entry
from scanner.format.timestamps import parse_timestamp
from scanner.ingest import journal, worker
from scanner.models import EnrolmentToken, Replica, Run, ServerKey
from tests.scanner import factories as make
from tests.scanner.factories import Report, Signer

pytestmark = pytest.mark.django_db(transaction=True)

RECORDS: list[Entry] = [make.file_row("a"), make.file_row("b", b"other")]


@pytest.fixture
def replica(settings: Any, tmp_path: Path) -> Replica:
    """Return a replica with one honest run. Its journal is that of this test alone."""
    settings.BACKUP_SYNCER_JOURNAL = tmp_path / "journal"
    replica = make.make_replica()
    make.accept(replica, make.make_key(replica.server), RECORDS)
    settle(replica)
    return replica


def settle(replica: Replica) -> None:
    """Do what the workers do each minute: complete the journal, ingest, verify and compare."""
    journal.journal_pending()
    worker.ingest_replica(replica.pk)
    call_command("verify_run", "--replica", str(replica.uuid), stdout=StringIO(), stderr=StringIO())
    run_comparisons.catch_up(replica.pk)


def verify_all() -> tuple[int, str]:
    """Return the exit code and the output of `verify_run --all`."""
    out = StringIO()
    try:
        call_command("verify_run", "--all", stdout=out)
    except SystemExit as exited:
        assert isinstance(exited.code, int)
        return exited.code, out.getvalue()
    return 0, out.getvalue()


def page_status(replica: Replica) -> Status:
    (facts,) = collect_facts(all_replicas().filter(pk=replica.pk), timezone.now())
    return assess(facts).status


def insert_key(replica: Replica) -> Signer:
    """Insert a key's row alone: all that a writer of the database can."""
    signer = make.make_signer()
    ServerKey.objects.create(server=replica.server, keyid=signer.keyid, public=signer.public)
    return signer


def insert_run(replica: Replica, report: Report, signer: Signer, **fields: Any) -> Run:
    """Insert the row of a run that changes nothing, as acceptance and ingest would have left it."""
    statement = report.statement
    values: dict[str, Any] = {
        "uuid": UUID(statement.run),
        "replica": replica,
        "sequence": statement.sequence,
        "state": Run.State.INGESTED,
        "envelope": report.line,
        "statement": bytes.fromhex(report.digest),
        "previous": bytes.fromhex(statement.previous or ""),
        "key": ServerKey.objects.get(keyid=signer.keyid),
        "started_at": parse_timestamp(statement.started_at),
        "finished_at": parse_timestamp(statement.finished_at),
        "work_time_ns": statement.work_time_ns,
        "engine": statement.engine["name"],
        "files": statement.files,
        "bytes": statement.bytes_,
        "errors": statement.errors,
        "content": bytes.fromhex(statement.content),
        "records_count": statement.records.line_count,
        "records_bytes": statement.records.byte_count,
        "records_digest": bytes.fromhex(statement.records.sha3_512),
        "ingested_at": timezone.now(),
        "opened": 0,
        "closed": 0,
    }
    return Run.objects.create(**values | fields)


def forge_run(replica: Replica) -> Run:
    signer = insert_key(replica)
    return insert_run(replica, make.make_report(replica, signer, RECORDS), signer)


def failed_checks(run: Run) -> dict[str, str]:
    return {check.name: check.text for check in RunVerifier(run.replica).verify(run).checks if not check.ok}


def trust_file() -> Path:
    return Path(django_settings.BACKUP_SYNCER_JOURNAL) / "trust.jsonl"


def test_a_forged_key_and_run_are_named(replica: Replica) -> None:
    """A key and a run that somebody inserted are never journaled, never proven, and the replica is not green."""
    control = make.make_replica()
    make.accept(control, make.make_key(control.server), RECORDS)
    settle(control)
    assert verify_all()[0] == 0
    assert (page_status(replica), page_status(control)) == (Status.PROVEN, Status.PROVEN)

    run = forge_run(replica)
    assert journal.journal_pending() == 0
    code, output = verify_all()

    assert code == 1
    assert f"Run 2 of {replica.uuid}: NOT PROVEN" in output
    assert "no trust record of the central server names its key" in output
    assert "Run 2 is not in the journal" in output
    assert page_status(replica) == Status.DAMAGED
    # All else that the intruder wrote holds: key and journal alone give him away.
    assert failed_checks(run).keys() == {"signature", "journal"}
    assert page_status(control) == Status.PROVEN
    assert f"Run 1 of {control.uuid}: PROVEN" in output


def test_a_forged_run_is_not_journaled_by_an_honest_one(replica: Replica) -> None:
    """The next report of the server does not write what somebody put before it."""
    honest = make.make_key(replica.server)
    forge_run(replica)
    make.accept(replica, honest, RECORDS)

    assert [entry.sequence for entry in journal.read_journal(replica)] == [1, 3]


def test_a_marked_row_is_not_in_the_journal(replica: Replica) -> None:
    """The column that says that a run is in the journal proves nothing."""
    signer = insert_key(replica)
    run = insert_run(replica, make.make_report(replica, signer, RECORDS), signer, journaled_at=timezone.now())
    journal.journal_pending()

    assert failed_checks(run).keys() == {"signature", "journal"}


def test_a_forged_key_cannot_upload(replica: Replica) -> None:
    """A key that no record names is refused, and its server is not held: an honest report is accepted after it."""
    signer = insert_key(replica)
    with pytest.raises(Forbidden, match="no record of this key"):
        make.accept(replica, signer, RECORDS)

    assert make.accept(replica, make.make_key(replica.server), RECORDS).sequence == 2


def test_a_forged_token_registers_no_key(replica: Replica) -> None:
    """A token's row that somebody inserted registers nothing; a token that was created does, once."""
    text = enrolment.create_token(replica.server)
    created = EnrolmentToken.objects.get(server=replica.server)
    forged = text.split(".")[2][::-1]
    EnrolmentToken.objects.create(
        server=replica.server, digest=enrolment._digest(forged), expires_at=timezone.now() + timedelta(hours=1)
    )
    forged_text = text.replace(text.split(".")[2], forged)

    with pytest.raises(Unauthorised):
        enrolment.redeem_token(make.make_enrolment(forged_text, make.make_signer()))

    enrolment.redeem_token(make.make_enrolment(text, make.make_signer()))
    # The intruder has seen the token and makes its row look unused.
    EnrolmentToken.objects.filter(pk=created.pk).update(used_at=None, key=None)
    with pytest.raises(Unauthorised):
        enrolment.redeem_token(make.make_enrolment(text, make.make_signer()))


def test_a_revocation_cannot_be_undone(replica: Replica) -> None:
    """A key whose revocation was deleted from its row stays revoked."""
    signer = make.make_key(replica.server)
    make.accept(replica, signer, RECORDS)
    enrolment.revoke_key(ServerKey.objects.get(keyid=signer.keyid))
    ServerKey.objects.update(revoked_at=None)

    with pytest.raises(Forbidden, match="revoked"):
        make.accept(replica, signer, RECORDS)


def test_a_trust_record_that_is_missing_is_named(replica: Replica) -> None:
    """A record that was taken out between others makes nothing proven, until it is back."""
    run = Run.objects.get(replica=replica)
    make.make_key(replica.server)
    make.make_key(replica.server)
    whole = trust_file().read_bytes()
    lines = whole.splitlines(keepends=True)
    assert not failed_checks(run)

    trust_file().write_bytes(lines[0] + lines[2])
    assert "trust record of the central server is missing" in failed_checks(run)["signature"]

    # Neither a line that a crash tore nor one that another key signed is a missing one.
    trust_file().write_bytes(lines[0] + lines[1][:50] + b"\n" + lines[1] + lines[2])
    assert not failed_checks(run)


def test_keys_of_an_older_version_are_adopted(replica: Replica) -> None:
    """After an update nothing is proven before an operator adopts the keys; what he does not name stays unknown."""
    trust_file().unlink()
    run = Run.objects.get(replica=replica)
    forged = insert_key(replica)
    known = ServerKey.objects.exclude(keyid=forged.keyid).get()
    assert failed_checks(run).keys() == {"signature"}

    out = StringIO()
    with pytest.raises(CommandError, match="2 keys have no trust record"):
        call_command("adopt_keys", stdout=out)
    assert known.keyid in out.getvalue()
    with pytest.raises(CommandError, match="no key without a record"):
        call_command("adopt_keys", "--key", "00")
    assert failed_checks(run).keys() == {"signature"}

    with pytest.raises(CommandError, match="1 keys have no trust record"):
        call_command("adopt_keys", "--key", known.keyid, stdout=out)
    assert not failed_checks(run)
    assert signing.keyid(forged.public) in out.getvalue()
    with pytest.raises(Forbidden):
        make.accept(replica, forged, RECORDS)
