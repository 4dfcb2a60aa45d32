"""Divergences as a file: JSON Lines for programs, CSV for a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from checker.changes.export import TYPES
from checker.divergences import queries
from checker.divergences.queries import Row, Wish
from checker.models import Divergence, GroupComparison, Participant
from scanner.manifests.table import harmless

__all__ = ["TYPES", "file_name", "lines", "members"]
_PIECE = 500


def members(row: Row, seats: Sequence[Participant]) -> dict[str, Any]:
    """A divergence for a program. Paths are coded as in a report."""
    return {
        "kind": row.kind,
        "path": row.path,
        **({"verdict": row.verdict} if row.verdict else {}),
        "replicas": [_replica(row, seat) for seat in seats],
        "since": row.since.isoformat(),
        **({"alike": row.alike} if row.alike else {}),
    }


def lines(comparison: GroupComparison, wish: Wish, form: str) -> Iterator[bytes]:
    """The divergences that `wish` means, as the text of a file, piece by piece."""
    seats = list(comparison.participants.filter(run__isnull=False).select_related("replica__server", "run"))
    rows = queries.every(comparison.pk, wish)
    return _csv(rows, seats) if form == "csv" else _jsonl(rows, seats)


def file_name(comparison: GroupComparison, form: str) -> str:
    """A name made of ids alone."""
    return f"divergences-{comparison.group.uuid}.{form}"


def _replica(row: Row, seat: Participant) -> dict[str, Any]:
    at = seat.position
    judged = row.judged[at - 1 : at].strip()
    other = row.others.get(str(at))
    assert seat.run is not None
    return {
        "replica": str(seat.replica.uuid),
        "server": seat.replica.server.name,
        "run": seat.run.sequence,
        "is": Divergence.Cell(row.cells[at - 1]).name.lower(),
        **({"copy": Divergence.Copy(judged).name.lower()} if judged else {}),
        **({"other": other} if other is not None else {}),
    }


def _jsonl(rows: Iterator[Row], seats: Sequence[Participant]) -> Iterator[bytes]:
    piece: list[str] = []
    for row in rows:
        piece.append(json.dumps(members(row, seats), ensure_ascii=False) + "\n")
        if len(piece) >= _PIECE:
            yield "".join(piece).encode()
            piece.clear()
    yield "".join(piece).encode()


def _csv(rows: Iterator[Row], seats: Sequence[Participant]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    names = [harmless(f"{seat.replica.server.name}:{seat.replica.root}") for seat in seats]
    writer.writerow(["kind", "path", "verdict", *names])
    for number, row in enumerate(rows, 1):
        writer.writerow([row.kind, harmless(row.path), row.verdict, *(_cell(row, seat) for seat in seats)])
        if number % _PIECE == 0:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _cell(row: Row, seat: Participant) -> str:
    said = _replica(row, seat)
    words = [said["is"], *([said["copy"]] if "copy" in said else []), *([said["other"]] if "other" in said else [])]
    return harmless(" ".join(words))
