"""Reports in the project's first form: read, taken as unsigned runs, given back byte for byte."""

from __future__ import annotations

import gzip
import hashlib
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from checker.models import Proof
from checker.proofs.verifier import verify_run
from checker.tasks import forget_uploads, verify_new
from scanner.db import report_lines
from scanner.errors import LegacyFormatError
from scanner.export import report as export
from scanner.format.entry_type import EntryType
from scanner.ingest import inbox, legacy, worker
from scanner.models import Replica, Run, Server, Version

SHA = hashlib.sha256(b"x").hexdigest()
MD5 = hashlib.md5(b"x").hexdigest()


def document(**changes: Any) -> bytes:
    """A report in the old form; a change of None leaves a key out."""
    data: dict[str, Any] = {
        "checksums": {
            "/srv/data/a/one": {"sha256": SHA, "md5": MD5},
            "/srv/data/back\\slash\n": {"sha256": "\\" + SHA, "md5": "\\" + MD5},
            "/srv/data/raw\udcff": {"sha256": SHA, "md5": MD5},
        },
        "errors": {"/srv/data/locked": {"error": "[Errno 13] Permission denied: 'locked'"}},
        "files": ["/srv/data/a/one", "/srv/data/locked", "/srv/data/forgotten"],
        "start_timestamp": "1573000000.25",
        "work_time": 12.5,
        "group": "photos",
        "root_data": "/srv/data/",
    }
    text = json.dumps({key: value for key, value in (data | changes).items() if value is not None})
    return json.dumps({"data": text, "signature": hashlib.sha3_512(text.encode()).hexdigest()}).encode()


def test_everything_is_read() -> None:
    """Paths become relative and coded, a digest loses the tool's backslash, what is only listed becomes an error."""
    report = legacy.parse_report(document())
    assert (report.group, report.root, report.work_time_ns) == ("photos", "/srv/data", 12_500_000_000)
    assert report.started_at.isoformat() == "2019-11-06T00:26:40.250000+00:00"
    assert [(row.path, row.type) for row in report.rows] == [
        ("a/one", EntryType.FILE),
        ("back\\\\slash\n", EntryType.FILE),
        ("forgotten", EntryType.ERROR),
        ("locked", EntryType.ERROR),
        ("raw\\xff", EntryType.FILE),
    ]
    assert all(row.sha256 == bytes.fromhex(SHA) for row in report.rows if row.type == EntryType.FILE)


BAD: dict[str, tuple[bytes, str]] = {
    "no JSON": (b'{"data": ', "not JSON"),
    "no document": (b"[1]", "has data and signature"),
    "another sum": (document().replace(b"12.5", b"13.5"), "digest of the data"),
    "a key is missing": (document(group=None), "lacks one of"),
    "a path outside": (document(files=["/etc/passwd"]), "is not below the root"),
    "a path upwards": (document(files=["/srv/data/../x"]), "not a relative path"),
    "no digest": (document(checksums={"/srv/data/a": {"sha256": "x", "md5": MD5}}), "invalid digest"),
    "no time": (document(start_timestamp="soon"), "start_timestamp"),
    "a far time": (document(start_timestamp="99999999999"), "start_timestamp"),
    "no duration": (document(work_time=-1), "work_time"),
    "no root": (document(root_data="data"), "root_data"),
    "not UTF-8": (b'{"data": "\xff"}', "not UTF-8"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_document_is_refused_with_its_reason(kind: str) -> None:
    """One sentence says what is wrong with a document."""
    data, words = BAD[kind]
    with pytest.raises(LegacyFormatError, match=words):
        legacy.parse_report(data)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("packed", [False, True])
def test_an_old_report_becomes_an_unsigned_run(tmp_path: Path, packed: bool) -> None:
    """Imported, ingested, exported as it was; its replica is of its own kind, and nothing ever calls it proven."""
    path = tmp_path / "old.json"
    data = document()
    path.write_bytes(gzip.compress(data) if packed else data)
    out = StringIO()
    call_command("import_report", str(path), "--server", "nas", stdout=out)

    assert "run 1 of replica" in out.getvalue()
    assert worker.ingest_waiting() == 1

    run = Run.objects.select_related("replica__server").get()
    assert (run.state, run.files, run.errors, run.bytes, run.envelope) == ("ingested", 3, 2, 0, None)
    assert (run.replica.origin, run.replica.enabled, run.replica.server.name) == ("unsigned", False, "nas")
    assert not Version.objects.exclude(size=None).exists()
    assert b"".join(export.export_report(run)) == data
    assert b"".join(report_lines.record_lines(run)) == b"".join(legacy.record_lines(run))

    verdict = verify_run(run)
    assert [check.name for check in verdict.checks if not check.ok] == ["signature"]
    assert verify_new() == 0 and not Proof.objects.exists()

    forget_uploads()
    run.refresh_from_db()

    assert run.upload


@pytest.mark.django_db(transaction=True)
def test_old_reports_make_one_history(tmp_path: Path) -> None:
    """A later report of the same root follows; the same one again is no new run; an older one is refused."""
    later = document(start_timestamp="1573100000", checksums={"/srv/data/a/one": {"sha256": SHA, "md5": MD5}})
    early = document(start_timestamp="1500000000")
    for number, data in enumerate([document(), later, later, early]):
        (tmp_path / f"{number}.json").write_bytes(data)
    err = StringIO()

    with pytest.raises(CommandError, match="1 of 4 files"):
        call_command(
            "import_report", *sorted(map(str, tmp_path.iterdir())), "--server", "nas", stdout=StringIO(), stderr=err
        )

    assert "3.json: It is older than run 2" in err.getvalue()
    assert worker.ingest_waiting() == 2
    assert list(Run.objects.order_by("sequence").values_list("opened", "closed")) == [(5, 0), (0, 2)]
    assert Replica.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_bad_file_leaves_nothing(tmp_path: Path) -> None:
    """Nothing of a refused file is stored: no server, no run, no bytes."""
    path = tmp_path / "bad.json"
    before = set(inbox.report_storage().names())
    path.write_bytes(document().replace(b"12.5", b"13.5"))

    with pytest.raises(CommandError):
        call_command("import_report", str(path), "--server", "nas", stderr=StringIO())
    assert not Server.objects.exists() and not Run.objects.exists()
    assert set(inbox.report_storage().names()) == before
    with pytest.raises(CommandError):
        err = StringIO()
        path.write_bytes(document())
        call_command("import_report", str(path), stderr=err)

    assert "give --server NAME" in err.getvalue()
