"""Divergences as a file: JSON Lines for programs, CSV for a table; and as text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from django.utils import translation

from checker.changes.export import TYPES
from checker.divergences import queries
from checker.divergences.evidence import Witness, evidence, held, name
from checker.divergences.queries import Life, Row, Wish
from checker.findings.text import replicas
from checker.models import Divergence, GroupComparison, Participant
from scanner.export.csv import harmless
from scanner.formatting.names import plain_shown

__all__ = ["TYPES", "file_name", "lines", "members", "text"]
_PIECE = 500
_MISMATCH = (Divergence.Kind.MISMATCH.value,)


def members(witness: Witness, row: Row, life: Life) -> dict[str, Any]:
    """A divergence for a program. Paths are coded as in a report; reasons are English."""
    return {
        "kind": row.kind,
        "path": row.path,
        **({"verdict": row.verdict} if row.verdict else {}),
        "replicas": [_replica(row, seat) | _content(seat, life) for seat in _seats(witness)],
        "since": row.since.isoformat(),
        "current": row.current,
        **({"alike": row.alike} if row.alike else {}),
        **({"reasons": _reasons(witness, row, life)} if row.kind in _MISMATCH else {}),
    }


def lines(comparison: GroupComparison, wish: Wish, form: str) -> Iterator[bytes]:
    """The divergences that `wish` means, as the text of a file, piece by piece."""
    witness, rows = Witness(comparison), queries.every(comparison.pk, wish)
    return _csv(rows, _seats(witness)) if form == "csv" else _jsonl(witness, rows)


def text(comparison: GroupComparison, wish: Wish) -> Iterator[str]:
    """The same in lines for a terminal: below a path of which there are several contents what speaks for which."""
    witness = Witness(comparison)
    for row, life in _with_lives(witness, queries.every(comparison.pk, wish), _MISMATCH):
        yield f"{row.kind:9} {row.cells}  {plain_shown(row.path)}{_how(row)}"
        if row.kind in _MISMATCH:
            yield from (f"    {reason}" for reason in _reasons(witness, row, life))


def file_name(comparison: GroupComparison, form: str) -> str:
    """A name made of ids alone."""
    return f"divergences-{comparison.group.uuid}.{form}"


def _with_lives(
    witness: Witness, rows: Iterator[Row], kinds: Iterable[str] = Divergence.Kind.values
) -> Iterator[tuple[Row, Life]]:
    """Divergences, those of these kinds with what was under their paths, in flat memory."""
    while some := list(islice(rows, _PIECE)):
        paths = [row.path for row in some if row.kind in kinds]
        lives = queries.lives(witness.sides, paths) if paths else {}
        yield from ((row, lives.get(row.path, {})) for row in some)


def _seats(witness: Witness) -> list[Participant]:
    return [seat for _at, seat in sorted(witness.seats.items())]


def _replica(row: Row, seat: Participant) -> dict[str, Any]:
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
        **({"copy": Divergence.Copy(judged).name.lower()} if judged else {}),
        **({"other": other} if other is not None else {}),
    }


def _content(seat: Participant, life: Life) -> dict[str, str]:
    now = held(seat, life.get(seat.position, []))
    return {"sha256": now.sha256} if now is not None and now.sha256 else {}


def _reasons(witness: Witness, row: Row, life: Life) -> list[str]:
    with translation.override("en"):
        return replicas.describe_copies(row.kind, evidence(witness, row, life))


def _how(row: Row) -> str:
    said = [f"{at} {Divergence.Copy(copy).name.lower()}" for at, copy in enumerate(row.judged, 1) if copy.strip()]
    said += [f"{at} has {plain_shown(other)}" for at, other in sorted(row.others.items())]
    said += [f"alike but for {row.alike}"] if row.alike else []
    said += [] if row.current else ["only who has no vote differs"]
    return f"  [{'; '.join(said)}]" if said else ""


def _jsonl(witness: Witness, rows: Iterator[Row]) -> Iterator[bytes]:
    piece: list[str] = []
    for row, life in _with_lives(witness, rows):
        piece.append(json.dumps(members(witness, row, life), ensure_ascii=False) + "\n")
        if len(piece) >= _PIECE:
            yield "".join(piece).encode()
            piece.clear()
    yield "".join(piece).encode()


def _csv(rows: Iterator[Row], seats: Sequence[Participant]) -> Iterator[bytes]:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\r\n")
    writer.writerow(["kind", "path", "verdict", *map(_head, seats), "alike", "current"])
    for number, row in enumerate(rows, 1):
        cells = (_cell(row, seat) for seat in seats)
        current = "yes" if row.current else "no"
        writer.writerow([row.kind, harmless(row.path), row.verdict, *cells, row.alike, current])
        if number % _PIECE == 0:
            yield table.getvalue().encode()
            table.seek(0)
            table.truncate()
    yield table.getvalue().encode()


def _head(seat: Participant) -> str:
    """Over a column: who stands there, and, unless he stands for what is there now, why not."""
    said = "" if seat.standing == Participant.Standing.CURRENT else f" ({seat.standing}: no vote)"
    return harmless(f"{name(seat)}{said}")


def _cell(row: Row, seat: Participant) -> str:
    said = _replica(row, seat)
    parts = [said["is"], *([said["copy"]] if "copy" in said else []), *([said["other"]] if "other" in said else [])]
    return harmless(" ".join(parts))
