"""Reports as they were signed: from the rows, or from the kept bytes where there are no rows."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from scanner.errors import ExportError
from scanner.export import report as export
from scanner.ingest import worker
from scanner.models import Run, Version
from tests.privileges import without_root
from tests.scanner.factories import Report, make_key, make_replica, make_report, receive
from tests.scanner.ingest.test_worker import FIRST

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def report() -> Report:
    """The report of a run that is in the history, and whose upload is deleted."""
    replica = make_replica()
    report = make_report(replica, make_key(replica.server), FIRST)
    receive(replica.server, report.gzip)
    worker.ingest_replica(replica.pk)
    Run.objects.update(upload="")
    return report


def test_the_command_writes_the_file_as_it_was(report: Report, tmp_path: Path) -> None:
    """By uuid or by replica and number, plain or packed: always the signed bytes."""
    run = Run.objects.select_related("replica").get()
    plain = tmp_path / "plain"
    packed = tmp_path / "packed"
    call_command("export_report", str(run.uuid), "--output", str(plain))
    call_command("export_report", f"{run.replica.uuid}:1", "--output", str(packed), "--gzip")

    assert plain.read_bytes() == gzip.decompress(packed.read_bytes()) == report.data


def test_stdout_gets_the_bytes(report: Report, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Without --output the report goes to stdout, and nothing else does."""
    call_command("export_report", str(Run.objects.get().uuid))
    assert capfdbinary.readouterr().out == report.data


def test_changed_rows_are_no_report(report: Report, tmp_path: Path) -> None:
    """Changed rows end in an error, and leave no file that could be taken for a report."""
    Version.objects.filter(path="a/one").update(size=77)
    with pytest.raises(CommandError, match="not what was signed"):
        call_command("export_report", str(Run.objects.get().uuid), "--output", str(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_a_refused_run_has_nothing_to_give(report: Report) -> None:
    """A report whose body was refused cannot be exported: only its statement is kept."""
    Run.objects.update(state="refused")
    with pytest.raises(ExportError, match="refused"):
        export.export_report(Run.objects.select_related("replica").get())


@pytest.mark.parametrize(
    "name", ["x", "00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000000:1"]
)
def test_an_unknown_run_is_one_clear_line(name: str) -> None:
    """A name that means no run is an error of the command."""
    with pytest.raises(CommandError, match="run"):
        call_command("export_report", name)


def test_a_forbidden_directory_says_what_to_do(report: Report, tmp_path: Path) -> None:
    """Who may not write a file there hears how the shell can."""
    tmp_path.chmod(0o500)
    run = str(Run.objects.get().uuid)
    with without_root(), pytest.raises(CommandError, match="export_report RUN > FILE"):
        call_command("export_report", run, "--output", str(tmp_path / "out"))
