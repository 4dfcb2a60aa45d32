"""Write the records of a report to a file, in order, and count and digest them on the way."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Iterable, List

from scanner.collector.system import durable
from scanner.collector.system.fail_points import fail_point
from scanner.format.digests import RecordTotals
from scanner.format.records import Record, encode_record

_BATCH_LINES = 2000


def write_body(records: Iterable[Record], count: int, file: BinaryIO, path: Path) -> RecordTotals:
    """Write `count` records to `file` and return their sums and digests.

    Raises StorageError that names `path` when the file cannot be written.
    """
    totals = RecordTotals(count)
    lines: List[bytes] = []
    for record in records:
        line = encode_record(record)
        totals.add(record, line)
        lines.append(line)
        # One write for many lines: a call for each would cost more than the encoding.
        if len(lines) >= _BATCH_LINES:
            _write_lines(lines, file, path)
            lines.clear()

    _write_lines(lines, file, path)
    return totals


def _write_lines(lines: List[bytes], file: BinaryIO, path: Path) -> None:
    with durable.storage_errors(path):
        fail_point("body:batch", disk=True)
        file.write(b"".join(lines))
