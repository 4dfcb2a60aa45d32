"""Divergences as a file: JSON Lines for programs, CSV for a table; and as text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from django.utils import translation

from checker.changes.export import CONTENT_TYPES
from checker.divergences import queries
from checker.divergences.evidence import ComparisonContext, build_evidence, current_version, replica_name
from checker.divergences.queries import DivergenceFilter, DivergenceRow, PathHistory
from checker.findings.text import replicas
from checker.models import Divergence, GroupComparison, Participant
from scanner.export.csv import escape_formula
from scanner.formatting.names import visible_text

__all__ = ["CONTENT_TYPES", "export_bytes", "file_name", "members", "text_lines"]
_PIECE = 500
_MISMATCH = (Divergence.Kind.MISMATCH.value,)


def members(context: ComparisonContext, row: DivergenceRow, life: PathHistory) -> dict[str, Any]:
    """A divergence for a program. Paths are coded as in a report; reasons are English."""
    return {
        "kind": row.kind,
        "path": row.path,
        **({"verdict": row.verdict} if row.verdict else {}),
        "replicas": [_replica(row, seat) | _content(seat, life) for seat in _seats(context)],
        "since": row.since.isoformat(),
        "current": row.current,
        **({"alike": row.alike} if row.alike else {}),
        **({"reasons": _reasons(context, row, life)} if row.kind in _MISMATCH else {}),
    }


def export_bytes(comparison: GroupComparison, wish: DivergenceFilter, form: str) -> Iterator[bytes]:
    """The divergences that `wish` means, as the text of a file, piece by piece."""
    context, rows = ComparisonContext(comparison), queries.iterate_divergences(comparison.pk, wish)
    return _csv(rows, _seats(context)) if form == "csv" else _jsonl(context, rows)


def text_lines(comparison: GroupComparison, wish: DivergenceFilter) -> Iterator[str]:
    """The same in lines for a terminal: below a path of which there are several contents what speaks for which."""
    context = ComparisonContext(comparison)
    for row, life in _with_lives(context, queries.iterate_divergences(comparison.pk, wish), _MISMATCH):
        yield f"{row.kind:9} {row.cells}  {visible_text(row.path)}{_how(row)}"
        if row.kind in _MISMATCH:
            yield from (f"    {reason}" for reason in _reasons(context, row, life))


def file_name(comparison: GroupComparison, form: str) -> str:
    """A name made of ids alone."""
    return f"divergences-{comparison.group.uuid}.{form}"


def _with_lives(
    context: ComparisonContext, rows: Iterator[DivergenceRow], kinds: Iterable[str] = Divergence.Kind.values
) -> Iterator[tuple[DivergenceRow, PathHistory]]:
    """Divergences, those of these kinds with what was under their paths, in flat memory."""
    while some := list(islice(rows, _PIECE)):
        paths = [row.path for row in some if row.kind in kinds]
        lives = queries.read_path_histories(context.compared, paths) if paths else {}
        yield from ((row, lives.get(row.path, {})) for row in some)


def _seats(context: ComparisonContext) -> list[Participant]:
    return [seat for _at, seat in sorted(context.participants.items())]


def _replica(row: DivergenceRow, seat: Participant) -> dict[str, Any]:
    at = seat.position
    judged = row.judged[at - 1 : at].strip()
    other = row.others.get(str(at))
    assert seat.run is not None
    return {
        "replica": str(seat.replica.uuid),
        "server": seat.replica.server.name,
        "run": seat.run.sequence,
        "standing": seat.standing,
        "is": Divergence.Cell(row.cells[at - 1]).name.lower(),
        **({"copy": Divergence.CopyVerdict(judged).name.lower()} if judged else {}),
        **({"other": other} if other is not None else {}),
    }


def _content(seat: Participant, life: PathHistory) -> dict[str, str]:
    now = current_version(seat, life.get(seat.position, []))
    return {"sha256": now.sha256} if now is not None and now.sha256 else {}


def _reasons(context: ComparisonContext, row: DivergenceRow, life: PathHistory) -> list[str]:
    with translation.override("en"):
        return replicas.describe_copies(row.kind, build_evidence(context, row, life))


def _how(row: DivergenceRow) -> str:
    said = [
        f"{at} {Divergence.CopyVerdict(copy).name.lower()}" for at, copy in enumerate(row.judged, 1) if copy.strip()
    ]
    said += [f"{at} has {visible_text(other)}" for at, other in sorted(row.others.items())]
    said += [f"alike but for {row.alike}"] if row.alike else []
    said += [] if row.current else ["only who has no vote differs"]
    return f"  [{'; '.join(said)}]" if said else ""


def _jsonl(context: ComparisonContext, rows: Iterator[DivergenceRow]) -> Iterator[bytes]:
    piece: list[str] = []
    for row, life in _with_lives(context, rows):
        piece.append(json.dumps(members(context, row, life), ensure_ascii=False) + "\n")
        if len(piece) >= _PIECE:
            yield "".join(piece).encode()
            piece.clear()
    yield "".join(piece).encode()


def _csv(rows: Iterator[DivergenceRow], seats: Sequence[Participant]) -> Iterator[bytes]:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\r\n")
    writer.writerow(["kind", "path", "verdict", *map(_head, seats), "alike", "current"])
    for number, row in enumerate(rows, 1):
        cells = (_cell(row, seat) for seat in seats)
        current = "yes" if row.current else "no"
        writer.writerow([row.kind, escape_formula(row.path), row.verdict, *cells, row.alike, current])
        if number % _PIECE == 0:
            yield table.getvalue().encode()
            table.seek(0)
            table.truncate()
    yield table.getvalue().encode()


def _head(seat: Participant) -> str:
    """Over a column: who stands there, and, unless he stands for what is there now, why not."""
    said = "" if seat.standing == Participant.Standing.CURRENT else f" ({seat.standing}: no vote)"
    return escape_formula(f"{replica_name(seat)}{said}")


def _cell(row: DivergenceRow, seat: Participant) -> str:
    said = _replica(row, seat)
    parts = [said["is"], *([said["copy"]] if "copy" in said else []), *([said["other"]] if "other" in said else [])]
    return escape_formula(" ".join(parts))
