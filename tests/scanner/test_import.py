"""Signed reports that come as files: unknown identities need an operator's trust, known ones go the road of uploads."""

from __future__ import annotations

import gzip
import uuid
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from scanner import ingest
from scanner.models import Group, Replica, Run, Server, ServerKey
from tests.scanner.factories import Report, Signer, file_row, make_key, make_replica, make_report, make_signer

pytestmark = pytest.mark.django_db(transaction=True)


def foreign(signer: Signer) -> Report:
    """A report of a server that this central server has never heard of."""
    server = Server(uuid=uuid.uuid4(), name="elsewhere")
    group = Group(uuid=uuid.uuid4(), name="its group")
    replica = Replica(uuid=uuid.uuid4(), server=server, group=group, root="/srv/there")
    replica.pk = 0
    return make_report(replica, signer, [file_row("a")])


def run_import(*arguments: str) -> tuple[str, str]:
    """What the command says on stdout and stderr."""
    out, err = StringIO(), StringIO()
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
    assert ingest.ingest_waiting() == 1
    run = Run.objects.select_related("replica__server", "replica__group").get()
    assert (run.state, run.replica.server.name, run.replica.group.name) == ("ingested", "nas", "photos")
    assert "here already" in run_import(str(path))[0]


def test_a_refused_report_leaves_no_identity(tmp_path: Path, signer: Signer) -> None:
    """What was made for a report goes with it when its body is refused."""
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


BAD = {
    "empty": b"",
    "nonsense": b"nonsense\n",
    "no envelope": b'{"a":1}\n',
    "damaged gzip": gzip.compress(b"x" * 100)[:-9],
    "long": b"x" * 200_000,
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, kind: str) -> None:
    """What is no report is told in one line, and the others are taken all the same."""
    bad, good = tmp_path / "bad", tmp_path / "good"
    bad.write_bytes(BAD[kind])
    replica = make_replica()
    good.write_bytes(make_report(replica, make_key(replica.server), [file_row("a")]).data)
    out, err = run_import(str(bad), str(good))
    assert "run 1 of replica" in out
    assert err.startswith(f"{bad}: ") and err.count("\n") == 1
    assert "1 of 2 files were not taken" in err


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    """A name without a file is told as the system tells it."""
    assert "No such file" in run_import(str(tmp_path / "none"))[1]
