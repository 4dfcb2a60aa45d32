"""Signed reports that come as files: unknown identities need an operator's trust, known ones go the road of uploads."""

from __future__ import annotations

import gzip
import os
import uuid
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from scanner.ingest import worker
from scanner.models import Group, Replica, Run, Server, ServerKey
from tests.privileges import without_root
from tests.scanner.factories import (
    Report,
    Signer,
    file_row,
    make_bearer,
    make_key,
    make_replica,
    make_report,
    make_signer,
)

pytestmark = pytest.mark.django_db(transaction=True)


def foreign(signer: Signer) -> Report:
    """A report of a server that this central server has never heard of."""
    server = Server(uuid=uuid.uuid4(), name="elsewhere")
    group = Group(uuid=uuid.uuid4(), name="its group")
    replica = Replica(uuid=uuid.uuid4(), server=server, group=group, root="/srv/there")
    replica.pk = 0
    return make_report(replica, signer, [file_row("a")])


def run_import(*arguments: str) -> tuple[str, str]:
    """Return what the command writes on stdout and stderr."""
    out = StringIO()
    err = StringIO()
    try:
        call_command("import_report", *arguments, stdout=out, stderr=err)
    except CommandError as error:
        err.write(str(error))

    return out.getvalue(), err.getvalue()


@pytest.fixture
def signer() -> Signer:
    """A key that is not known here."""
    return make_signer()


@pytest.mark.parametrize("packed", [False, True])
def test_an_unknown_identity_needs_trust(tmp_path: Path, signer: Signer, packed: bool) -> None:
    """Without trust nothing is stored; with the public key server, key, group, replica and run are."""
    report = foreign(signer)
    path = tmp_path / "report"
    path.write_bytes(report.gzip if packed else report.data)

    assert "needs --trust" in run_import(str(path))[1]
    assert "its fingerprint alone" in run_import(str(path), "--trust", signer.keyid)[1]
    assert "unknown key" in run_import(str(path), "--trust", make_signer().public.hex())[1]
    assert not Server.objects.exists() and not Run.objects.exists()

    out, err = run_import(str(path), "--trust", signer.public.hex(), "--server", "nas", "--group", "photos")
    assert "run 1 of replica" in out and not err

    replica = Replica.objects.get()
    made = ("server", "named nas"), ("key", signer.keyid), ("group", "named photos"), ("replica", str(replica.uuid))

    assert all(f"made {kind} " in out and name in out for kind, name in made)
    assert not replica.enabled
    assert worker.ingest_waiting() == 1

    run = Run.objects.select_related("replica__server", "replica__group").get()
    assert (run.state, run.replica.server.name, run.replica.group.name) == ("ingested", "nas", "photos")
    assert "here already" in run_import(str(path))[0]


def test_files_of_an_older_key_may_come_later(tmp_path: Path, signer: Signer) -> None:
    """A server changed its key: when the files of one replica have brought both, those of another are taken, too."""

    def import_as_named(report: Report, key: Signer) -> None:
        path = tmp_path / "report"
        path.write_bytes(report.data)
        out, err = run_import(str(path), "--trust", key.public.hex(), "--server", "nas", "--group", "photos")
        assert "of replica" in out and not err, err

    import_as_named(foreign(signer), signer)
    replica = Replica.objects.get()
    newer = make_signer()
    import_as_named(make_report(replica, newer, [file_row("a")]), newer)

    sibling = Replica(uuid=uuid.uuid4(), server=replica.server, group=replica.group, root="/srv/sibling", pk=0)
    import_as_named(make_report(sibling, signer, [file_row("b")]), signer)
    assert Run.objects.count() == 3


def test_a_refused_report_leaves_no_identity(tmp_path: Path, signer: Signer) -> None:
    """Rows that were created for a report are deleted when its body is refused."""
    report = foreign(signer)
    path = tmp_path / "report.jsonl"
    path.write_bytes(report.line + report.body.replace(b"1573", b"1574"))

    assert "refused" in run_import(str(path), "--trust", signer.public.hex())[1]
    assert not (Server.objects.exists() or ServerKey.objects.exists() or Group.objects.exists() or Run.objects.exists())


def test_a_known_key_brings_a_new_replica_with_trust(tmp_path: Path) -> None:
    """A known key's fingerprint is enough to let a replica be made that it reports of."""
    known = make_replica()
    signer = make_key(known.server)
    other = Replica(uuid=uuid.uuid4(), server=known.server, group=known.group, root="/srv/other")
    other.pk = 0
    path = tmp_path / "report.jsonl"
    path.write_bytes(make_report(other, signer, [file_row("a")]).data)

    assert f"--trust {signer.keyid}" in run_import(str(path))[1]
    assert "run 1 of" in run_import(str(path), "--trust", signer.keyid)[0]
    assert Replica.objects.filter(uuid=other.uuid, root="/srv/other").exists()


def test_an_unknown_key_does_not_speak_for_what_is_here(tmp_path: Path, signer: Signer) -> None:
    """A trusted key that is unknown is refused for a server, group or replica that is here; a named server gets it."""
    known = make_replica()
    path = tmp_path / "report.jsonl"
    trust = ["--trust", signer.public.hex()]
    path.write_bytes(make_report(known, signer, [file_row("a")]).data)
    for more in ([], ["--server", "another"]):
        assert "its server is here already" in run_import(str(path), *trust, *more)[1]
    elsewhere = Server(uuid=uuid.uuid4(), name="elsewhere")
    group = Group(uuid=uuid.uuid4(), name="its group")
    for replica, why in (
        (Replica(uuid=uuid.uuid4(), server=elsewhere, group=known.group, root="/srv"), "group"),
        (Replica(uuid=known.uuid, server=elsewhere, group=group, root="/srv"), "replica"),
    ):
        replica.pk = 0
        path.write_bytes(make_report(replica, signer, [file_row("a")]).data)
        assert f"unknown, and {why} " in run_import(str(path), *trust)[1]

    assert not ServerKey.objects.exists() and Server.objects.count() == 1

    path.write_bytes(make_report(known, signer, [file_row("a")]).data)
    assert f"made key {signer.keyid}" in run_import(str(path), *trust, "--server", known.server.name)[0]


def test_an_enrolled_server_gets_its_keys_by_enrolment(tmp_path: Path, signer: Signer) -> None:
    """Naming a server that was enrolled gives no unknown key a voice for it."""
    known = make_replica()
    path = tmp_path / "report.jsonl"
    make_bearer(known.server)
    path.write_bytes(make_report(known, signer, [file_row("a")]).data)
    out, err = run_import(str(path), "--trust", signer.public.hex(), "--server", known.server.name)

    assert "by enrolment alone" in err and not out
    assert not (ServerKey.objects.exists() or Run.objects.exists())


@pytest.mark.parametrize("seekable", [True, False])
def test_a_report_comes_through_stdin(tmp_path: Path, seekable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` takes a file, or a pipe, that the shell has opened."""
    replica = make_replica()
    path = tmp_path / "report.jsonl"
    path.write_bytes(make_report(replica, make_key(replica.server), [file_row("a")]).data)
    reading, writing = os.pipe()
    os.write(writing, path.read_bytes())
    os.close(writing)
    with open(reading) as pipe, open(path) as file, monkeypatch.context() as patched:
        patched.setattr("sys.stdin", file if seekable else pipe)
        assert "run 1 of replica" in run_import("-")[0]


BAD = {
    "empty": b"",
    "nonsense": b"nonsense\n",
    "no envelope": b'{"a":1}\n',
    "damaged gzip": gzip.compress(b"x" * 100)[:-9],
    "long": b"x" * 200_000,
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, kind: str) -> None:
    """A file that is no report gets one line, and the others are imported all the same."""
    bad = tmp_path / "bad"
    good = tmp_path / "good"
    bad.write_bytes(BAD[kind])
    replica = make_replica()
    good.write_bytes(make_report(replica, make_key(replica.server), [file_row("a")]).data)
    out, err = run_import(str(bad), str(good))

    assert "run 1 of replica" in out
    assert err.startswith(f"{bad}: ") and err.count("\n") == 1
    assert "1 of 2 files were not imported" in err


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    """A name without a file is told as the system tells it."""
    assert "No such file" in run_import(str(tmp_path / "none"))[1]


def exit_code(path: Path) -> tuple[int, str]:
    """With what the command ends, and what it says."""
    with pytest.raises(CommandError) as raised:
        call_command("import_report", str(path), stderr=StringIO())
    return raised.value.returncode, str(raised.value)


def test_what_cannot_be_looked_at_is_exit_code_2(tmp_path: Path) -> None:
    """A file that is not there, and a database that cannot be used, are one line and exit code 2; a bad file is 1."""
    bad = tmp_path / "bad"
    bad.write_bytes(b"nonsense\n")
    report = tmp_path / "report"
    replica = make_replica()
    report.write_bytes(make_report(replica, make_key(replica.server), [file_row("a")]).data)

    assert (exit_code(bad)[0], exit_code(tmp_path / "none")[0]) == (1, 2)

    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE scanner_serverkey RENAME TO hidden")
        try:
            code, text = exit_code(report)
        finally:
            cursor.execute("ALTER TABLE hidden RENAME TO scanner_serverkey")

    assert code == 2 and "database cannot be used" in text and "\n" not in text


def test_a_forbidden_file_says_what_to_do(tmp_path: Path) -> None:
    """Who may not read a file hears how the shell can."""
    path = tmp_path / "report"
    path.touch(mode=0o000)
    with without_root():
        message = run_import(str(path))[1]

    assert "import_report - < FILE" in message
