"""All reports of a replica as files, so that its chain can be checked elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scanner.export import report
from scanner.export.atomic_file import whole
from scanner.models import Replica, Run


class Given(NamedTuple):
    """A run that was written: under which name (empty: not at all), and what its file lacks (empty: nothing)."""

    run: Run
    name: str
    lacks: str


def give(replica: Replica, folder: Path, packed: bool) -> Iterator[Given]:
    """Write each run into `folder`, made where it is missing, in the order of the chain. OSError.

    A failed run is its line 1 alone, which is all that there ever was. Of a refused one, of one whose kept bytes are
    gone and of one whose rows were changed, line 1 is given: it carries the chain on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for run in replica.runs.select_related("replica").order_by("sequence").iterator(chunk_size=50):
        path = folder / (report.file_name(run) + (".gz" if packed else ""))
        try:
            with whole(path, packed) as file:
                file.writelines(report.report(run))
            yield Given(run, path.name, "")
        except report.ExportError as error:
            yield _line_1(run, path, packed, str(error))


def _line_1(run: Run, path: Path, packed: bool, lacks: str) -> Given:
    try:
        line = report.envelope(run)
    except report.ExportError:
        path.unlink(missing_ok=True)  # from an earlier export, perhaps: it is not what is here now
        return Given(run, "", lacks)
    with whole(path, packed) as file:
        file.write(line)
    return Given(run, path.name, lacks)
