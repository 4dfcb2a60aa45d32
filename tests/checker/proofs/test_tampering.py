"""Find each way of tampering with the database by SQL, and name it."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from checker.proofs.verifier import RunVerifier
from scanner.errors import FinalRefusal
from scanner.format.envelope import RUN_TYPE, open_envelope, seal_envelope
from scanner.format.records import Note
from scanner.ingest import inbox, worker
from scanner.models import Replica, Run
from tests.scanner.factories import accept, file_row, make_key, make_replica, make_report, make_signer, receive

pytestmark = pytest.mark.django_db(transaction=True)

RUNS = 4
Tamper = Callable[[Replica], None]


@pytest.fixture
def replica() -> Replica:
    """Return a replica with four runs: some files stay, one changes in each, one is removed and one is added."""
    replica = make_replica()
    signer = make_key(replica.server)
    for number in range(1, RUNS + 1):
        records = [file_row(f"stays/{name:02d}", b"same %d" % name) for name in range(20)]
        records.append(file_row("changes", b"content %d" % number))
        records += [file_row("goes")] if number < 3 else [file_row("comes")]
        accept(replica, signer, [*records, Note("changes", "misread", f'{{"reads":{number + 1}}}')])
    worker.ingest_replica(replica.pk)
    return replica


def execute(statement: str, **parameters: Any) -> None:
    """Execute a statement as an intruder would, and make sure that it changed something."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        assert cursor.rowcount > 0


def change_version(change: str) -> Tamper:
    """Return a tampering that changes versions of the replica."""
    return lambda replica: execute(f"UPDATE scanner_version SET {change}" + " AND replica_id = %(r)s", r=replica.pk)


def delete_version(replica: Replica) -> None:
    execute("DELETE FROM scanner_version WHERE path = 'stays/07' AND replica_id = %(r)s", r=replica.pk)


COPIED = "size, mtime_ns, uid, gid, mode, type, sha256, md5"


def insert_version(replica: Replica) -> None:
    execute(
        f"INSERT INTO scanner_version (replica_id, from_seq, path, {COPIED}) "
        f"SELECT replica_id, 1, 'stays/07b', {COPIED} FROM scanner_version "
        "WHERE path = 'stays/07' AND replica_id = %(r)s",
        r=replica.pk,
    )


def swap_versions(replica: Replica) -> None:
    execute(
        "UPDATE scanner_version SET sha256 = other.sha256, md5 = other.md5 FROM scanner_version AS other "
        "WHERE other.replica_id = %(r)s AND scanner_version.replica_id = %(r)s "
        "AND (scanner_version.path, other.path) IN (('stays/03', 'stays/04'), ('stays/04', 'stays/03'))",
        r=replica.pk,
    )


def split_version(replica: Replica) -> None:
    execute("UPDATE scanner_version SET until_seq = 3 WHERE path = 'stays/05' AND replica_id = %(r)s", r=replica.pk)
    execute(
        f"INSERT INTO scanner_version (replica_id, from_seq, path, {COPIED}) "
        f"SELECT replica_id, 3, path, {COPIED} FROM scanner_version WHERE path = 'stays/05' AND replica_id = %(r)s",
        r=replica.pk,
    )
    execute(
        "UPDATE scanner_run SET opened = opened + 1, closed = closed + 1 WHERE sequence = 3 AND replica_id = %(r)s",
        r=replica.pk,
    )


def drop_run(sequence: int) -> Tamper:
    """Return a tampering that deletes a run with its rows, and changes the other rows so that they do not name it."""

    def drop(replica: Replica) -> None:
        parameters = {"r": replica.pk, "n": sequence}
        execute(
            "DELETE FROM scanner_note USING scanner_run AS run "
            "WHERE run.id = run_id AND run.sequence = %(n)s AND run.replica_id = %(r)s",
            **parameters,
        )
        execute("DELETE FROM scanner_run WHERE sequence = %(n)s AND replica_id = %(r)s", **parameters)
        execute("DELETE FROM scanner_version WHERE from_seq = %(n)s AND replica_id = %(r)s", **parameters)
        execute(
            "UPDATE scanner_version SET until_seq = CASE WHEN %(n)s = 4 THEN NULL ELSE 4 END "
            "WHERE until_seq = %(n)s AND replica_id = %(r)s",
            **parameters,
        )

    return drop


def sign_again(replica: Replica) -> None:
    """Give the server another key and sign all statements with it."""
    other_key = make_signer()
    execute(
        "UPDATE scanner_serverkey SET keyid = %(k)s, public = %(p)s WHERE server_id = %(s)s",
        k=other_key.keyid,
        p=other_key.public,
        s=replica.server_id,
    )
    for run in Run.objects.filter(replica=replica):
        payload = open_envelope(bytes(run.envelope or b"")).payload
        envelope = seal_envelope(RUN_TYPE, payload, other_key.sign, other_key.keyid)
        execute("UPDATE scanner_run SET envelope = %(e)s WHERE id = %(i)s", e=envelope, i=run.pk)


def change_note(replica: Replica) -> None:
    execute(
        "UPDATE scanner_note SET detail = '{\"reads\":99}' FROM scanner_run AS run "
        "WHERE run.id = run_id AND run.sequence = 4 AND run.replica_id = %(r)s",
        r=replica.pk,
    )


def edit_run(replica: Replica) -> None:
    execute("UPDATE scanner_run SET errors = 1 WHERE sequence = 4 AND replica_id = %(r)s", r=replica.pk)


def rewrite_history(replica: Replica) -> None:
    """Sign again with another key, and change a time of the newest run."""
    sign_again(replica)
    run = Run.objects.get(replica=replica, sequence=RUNS)
    execute("UPDATE scanner_run SET finished_at = finished_at + interval '1 second' WHERE id = %(i)s", i=run.pk)


TAMPERINGS: dict[str, tuple[Tamper, str, str]] = {
    "edit a digest": (change_version("sha256 = sha256(sha256) WHERE path = 'stays/09'"), "records", "stays/09"),
    "edit a size": (change_version("size = size + 1 WHERE path = 'stays/09'"), "records", "stays/09"),
    "edit a path": (change_version("path = 'stays/0x' WHERE path = 'stays/09'"), "records", "stays/09"),
    "delete a version": (delete_version, "records", "stays/07"),
    "insert a version": (insert_version, "records", "stays/07b"),
    "swap two versions": (swap_versions, "records", "stays/03, stays/04"),
    "split a version": (split_version, "structure", "stays/05"),
    "move from_seq": (change_version("from_seq = 2 WHERE path = 'stays/09'"), "structure", "Run 1"),
    "drop a middle run": (drop_run(3), "chain", "Runs 3 to 3 are missing"),
    "cut the tail": (drop_run(4), "journal", "the newest runs are missing from the database"),
    "replace the key and sign again": (sign_again, "journal", "different statement or key"),
    "change a note": (change_note, "records", "changes"),
    "edit a row of a run": (edit_run, "statement", "errors"),
    "edit a statement": (rewrite_history, "statement", "finished_at"),
}
"""Each way with the check that fails, and words that its text has."""


def failed_checks(replica: Replica) -> dict[str, str]:
    """Return the checks that fail for the newest run: the text of each by its name."""
    run = Run.objects.filter(replica=replica).order_by("-sequence")[0]
    verification = RunVerifier(replica).verify(run)
    return {check.name: check.text for check in verification.checks if not check.ok}


def test_the_untouched_history_is_proven(replica: Replica) -> None:
    """Every run is proven before somebody touches the database."""
    verifier = RunVerifier(replica)
    for run in Run.objects.filter(replica=replica):
        assert verifier.verify(run).ok


@pytest.mark.parametrize("way", TAMPERINGS)
def test_tampering_is_found_and_named(replica: Replica, way: str) -> None:
    """Verification of the newest run fails in the check that watches over this, and says what is wrong where."""
    tamper, check, words = TAMPERINGS[way]
    tamper(replica)

    failed = failed_checks(replica)

    assert check in failed
    assert words in failed[check]

    with pytest.raises(SystemExit) as exited:
        call_command("verify_run", "--replica", str(replica.uuid), stdout=StringIO())
    assert exited.value.code == 1


def test_without_the_upload_the_block_is_named(replica: Replica) -> None:
    """Once the uploaded bytes are deleted, the first block that differs and its range of paths are still named."""
    inbox.delete_upload(Run.objects.get(replica=replica, sequence=RUNS))
    change_version("sha256 = sha256(sha256) WHERE path = 'stays/09'")(replica)
    text = failed_checks(replica)["records"]

    assert "The first block that differs is 12 of 23: from stays/09 to stays/09" in text


def test_the_command_speaks_json(replica: Replica) -> None:
    """`--json` gives one object a run, with every check."""
    out = StringIO()
    call_command("verify_run", f"{replica.uuid}:2", "--json", stdout=out)
    (line,) = out.getvalue().splitlines()
    printed = json.loads(line)

    assert printed["proven"] and printed["sequence"] == 2
    assert [check["check"] for check in printed["checks"]] == [
        "signature",
        "statement",
        "chain",
        "journal",
        "records",
        "counts",
        "structure",
    ]


def test_a_refused_report_is_no_fault_of_the_history(replica: Replica) -> None:
    """A refused run is told apart from a wrong one: all runs together exit with 0, it alone with 1."""
    signer = make_key(replica.server)
    with pytest.raises(FinalRefusal):
        receive(replica.server, make_report(replica, signer, [file_row("a")], files=0).gzip)
    accept(replica, signer, [file_row("a")])
    worker.ingest_replica(replica.pk)

    out = StringIO()
    call_command("verify_run", "--all", "--json", stdout=out)
    outcomes = [json.loads(line)["outcome"] for line in out.getvalue().splitlines()]
    assert outcomes == ["proven"] * RUNS + ["refused", "proven"]
    with pytest.raises(SystemExit) as exited:
        call_command("verify_run", f"{replica.uuid}:{RUNS + 1}", stdout=StringIO())
    assert exited.value.code == 1

    # Its statement is still checked.
    execute("UPDATE scanner_run SET files = 7 WHERE state = 'refused'")
    with pytest.raises(SystemExit):
        call_command("verify_run", "--all", stdout=StringIO())


def test_an_unknown_run_is_an_error() -> None:
    """An unknown name is one clear line and exit code 2."""
    with pytest.raises(CommandError, match="names no run") as raised:
        call_command("verify_run", "nonsense")
    assert raised.value.returncode == 2
