"""Export all reports of a replica as files, so that its chain can be checked elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scanner.errors import ExportError
from scanner.export import report
from scanner.export.output import open_output
from scanner.models import Replica, Run

RUNS_AT_A_TIME = 50
"""Runs that are fetched together: their envelopes may have 128 KiB each."""


class ExportedRun(NamedTuple):
    """Result of exporting one run of a chain."""

    run: Run
    name: str
    """Name of the file; empty when nothing is written."""
    problem: str
    """Why the file is not the whole report; empty when it is."""


def export_chain(replica: Replica, directory: Path, compressed: bool) -> Iterator[ExportedRun]:
    """Write each run into `directory`, which is made where it is missing, in the order of the chain. Raise OSError.

    A failed run is its line 1 alone, which is all that there ever was. When a run was refused, when its stored upload
    is gone, or when its rows were changed, line 1 is written: it carries the chain on.
    """
    directory.mkdir(parents=True, exist_ok=True)
    suffix = ""
    if compressed:
        suffix = ".gz"

    runs = replica.runs.select_related("replica").order_by("sequence")
    for run in runs.iterator(chunk_size=RUNS_AT_A_TIME):
        path = directory / (report.file_name(run) + suffix)
        try:
            with open_output(path, compressed) as file:
                file.writelines(report.export_report(run))
            yield ExportedRun(run, path.name, problem="")
        except ExportError as error:
            yield _export_line_1(run, path, compressed, problem=str(error))


def _export_line_1(run: Run, path: Path, compressed: bool, problem: str) -> ExportedRun:
    try:
        line = report.export_envelope(run)
    except ExportError:
        # A file of an earlier export is not what the database holds now.
        path.unlink(missing_ok=True)
        return ExportedRun(run, "", problem)

    with open_output(path, compressed) as file:
        file.write(line)
    return ExportedRun(run, path.name, problem)
