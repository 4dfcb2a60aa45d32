"""The lines of a report below its envelope, written in order to a file while they are counted and digested."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Iterable, List

from scanner.collector.system import durable
from scanner.collector.system.failpoint import reach
from scanner.format.digests import RecordTotals
from scanner.format.records import Record, encode_record

_LINES = 2000


def write_body(records: Iterable[Record], count: int, file: BinaryIO, path: Path) -> RecordTotals:
    """Write `records`, which are `count`, to `file`; what they come to. StorageError names `path` when it cannot be
    written."""
    tally = RecordTotals(count)
    lines: List[bytes] = []
    for record in records:
        line = encode_record(record)
        tally.add(record, line)
        lines.append(line)
        if len(lines) >= _LINES:
            _flush(lines, file, path)
    _flush(lines, file, path)
    return tally


def _flush(lines: List[bytes], file: BinaryIO, path: Path) -> None:
    with durable.storage_errors(path):
        reach("body:batch", disk=True)
        file.write(b"".join(lines))
    lines.clear()
