"""All reports of a replica as files."""

from __future__ import annotations

import gzip
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from scanner.export import report as export
from scanner.ingest import inbox, worker
from scanner.models import Replica, Run, Version
from tests.scanner.factories import (
    Report,
    accept,
    file_row,
    make_key,
    make_replica,
    make_report,
    make_report_with_body,
    receive,
)
from tests.scanner.ingest.test_legacy import document

pytestmark = pytest.mark.django_db(transaction=True)


def make_chain() -> tuple[Replica, list[Report]]:
    """A replica with a complete, a failed, a refused, a set-aside and a waiting run, and their reports."""
    replica = make_replica()
    key = make_key(replica.server)
    reports = list[Report]()

    def take(report: Report) -> None:
        reports.append(report)
        receive(replica.server, report.gzip)

    take(make_report(replica, key, [file_row("a"), file_row("b")]))

    assert worker.ingest_replica(replica.pk) == 1

    Run.objects.update(upload="")
    take(make_report(replica, key, outcome="failed"))
    reports.append(refused := make_report_with_body(replica, key, b"rubbish\n"))

    with pytest.raises(Exception, match="refused"):
        receive(replica.server, refused.gzip)

    take(make_report(replica, key, [file_row("a"), file_row("c")]))
    take(make_report(replica, key, [file_row("d")]))
    Run.objects.filter(sequence=4).update(state=Run.State.SET_ASIDE)
    return replica, reports


def export_chain(*arguments: str) -> tuple[int, str]:
    """Exit code and stderr of the command."""
    output = StringIO()
    try:
        call_command("export_report", *arguments, stderr=output)
    except SystemExit as ended:
        return int(ended.code or 0), output.getvalue()

    return 0, output.getvalue()


def test_a_chain_with_everything_in_it(tmp_path: Path) -> None:
    """Each run is a file; of a refused one line 1 is there, and that is said; the exit code tells that one lacks."""
    replica, reports = make_chain()
    code, output = export_chain("--replica", str(replica.uuid), "--output", str(tmp_path / "out"))
    files = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    expected = {f"{replica.uuid}-{number}.jsonl": report.data for number, report in enumerate(reports, 1)}
    expected[f"{replica.uuid}-3.jsonl"] = reports[2].line

    assert files == expected
    assert code == 1
    assert output == (
        f"run 3 was refused: nothing but its statement is kept: {replica.uuid}-3.jsonl holds its line 1 alone\n"
        f"5 runs, of which 4 are whole, are in {tmp_path / 'out'}\n"
    )


def test_a_whole_chain_packed(tmp_path: Path) -> None:
    """With nothing missing the exit code is 0; packed files are packed reports; doing it again changes nothing."""
    replica = make_replica()
    key = make_key(replica.server)
    reports = []
    for content in (b"1", b"2"):
        reports.append(make_report(replica, key, [file_row("a", content)]))
        receive(replica.server, reports[-1].gzip)
        worker.ingest_replica(replica.pk)

    for _ in range(2):
        assert export_chain("--replica", str(replica.uuid), "--output", str(tmp_path), "--gzip")[0] == 0
        packed = [tmp_path / f"{replica.uuid}-{number}.jsonl.gz" for number in (1, 2)]
        assert sorted(tmp_path.iterdir()) == packed
        assert [gzip.decompress(path.read_bytes()) for path in packed] == [report.data for report in reports]


def test_a_failed_run_is_its_first_line() -> None:
    """The report of a failed run has no lines, whatever the run before it found."""
    replica = make_replica()
    key = make_key(replica.server)
    accept(replica, key, [file_row("a")])
    worker.ingest_replica(replica.pk)
    failed = make_report(replica, key, outcome="failed")
    run = receive(replica.server, failed.gzip).run

    assert run.state == Run.State.FAILED
    assert b"".join(export.export_report(run)) == failed.data == failed.line


def test_what_is_lost_is_said(tmp_path: Path) -> None:
    """Changed rows and deleted bytes leave line 1, which carries the chain on; each is told."""
    replica = make_replica()
    key = make_key(replica.server)
    accept(replica, key, [file_row("a")])
    worker.ingest_replica(replica.pk)
    waiting = accept(replica, key, [file_row("b")])
    inbox.report_storage().delete(waiting.upload)
    Version.objects.update(size=1)
    code, output = export_chain("--replica", str(replica.uuid), "--output", str(tmp_path))

    assert code == 1
    assert (
        "not what was signed" in output
        and "stored upload of run 2 cannot be read" in output
        and "which 0 are whole" in output
    )
    assert [path.read_bytes().count(b"\n") for path in tmp_path.iterdir()] == [1, 1]


def test_unsigned_reports_are_given_as_they_came(tmp_path: Path) -> None:
    """Old forms have no line 1: each is its document, and nothing is written for one whose bytes are lost."""
    (tmp_path / "old").write_bytes(document())
    call_command("import_report", str(tmp_path / "old"), "--server", "nas", stdout=StringIO())
    replica = Replica.objects.get()
    run = Run.objects.get()
    arguments = ("--replica", str(replica.uuid), "--output", str(tmp_path / "out"))

    assert export_chain(*arguments)[0] == 0
    assert (tmp_path / "out" / f"{replica.uuid}-1.json").read_bytes() == document()

    inbox.report_storage().delete(run.upload)
    code, output = export_chain(*arguments)

    assert code == 1 and "nothing is written" in output
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--replica", "x", "--output", "y"),
        ("--replica", "00000000-0000-4000-8000-000000000000", "--output", "y"),
        ("--replica", "00000000-0000-4000-8000-000000000000"),
        ("x", "--replica", "y"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...]) -> None:
    """Neither or both of run and replica, no such replica, and no directory are errors of the command."""
    with pytest.raises(CommandError):
        call_command("export_report", *arguments)
