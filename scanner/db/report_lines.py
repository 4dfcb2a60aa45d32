"""Rebuild the lines of a report, byte for byte as they were signed, from the rows of history.

The state at run N is `from_seq <= N AND (until_seq IS NULL OR until_seq > N)`. The order of the lines is that of the
bytes of their paths; ordering by the first 512 characters, which the index version_path holds, and then by the whole
path is the same order.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from scanner.db.sql import fetch_batches, load_statements
from scanner.format.entry_type import EntryType
from scanner.models import Run

statement = load_statements(__file__)

ENTRY_LINE = statement("entry_line")
ENTRY_TYPES: dict[str, int] = {
    "file": EntryType.FILE.value,
    "error": EntryType.ERROR.value,
    "link": EntryType.LINK.value,
}
"""The parameters of ENTRY_LINE."""

RUN_ENTRY_LINES = statement("run_entry_lines", entry_line=ENTRY_LINE)
CURRENT_ENTRY_LINES = statement("current_entry_lines", entry_line=ENTRY_LINE)
RUN_NOTE_LINES = statement("run_note_lines")


def record_chunks(run: Run) -> Iterator[bytes]:
    """Yield the lines of the report of `run` below its envelope, many whole lines at a time. Memory stays flat."""
    parameters = {"replica": run.replica_id, "sequence": run.sequence, **ENTRY_TYPES}
    for rows in fetch_batches(RUN_ENTRY_LINES, parameters):
        yield b"".join([line for (line,) in rows])

    for rows in fetch_batches(RUN_NOTE_LINES, {"run": run.pk}):
        yield b"".join([line for (line,) in rows])


def record_lines(run: Run) -> Iterator[bytes]:
    """Yield the lines of `record_chunks` one by one."""
    for chunk in record_chunks(run):
        for line in chunk.split(b"\n")[:-1]:
            yield line + b"\n"


def current_entry_lines(replica_id: int) -> Generator[tuple[int, bytes], None, None]:
    """Yield the id and the line of each version that has not ended, in the order of a report."""
    for rows in fetch_batches(CURRENT_ENTRY_LINES, {"replica": replica_id, **ENTRY_TYPES}):
        yield from rows
