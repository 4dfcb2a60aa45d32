"""Write divergences as a file, JSON Lines for programs and CSV for a spreadsheet, and as text for a terminal."""

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

__all__ = ["CONTENT_TYPES", "export_bytes", "file_name", "text_lines"]

BATCH = 500
"""Divergences that are read and written at once: memory stays flat, however many there are."""
KINDS_WITH_REASONS = (Divergence.Kind.MISMATCH.value,)


def export_bytes(comparison: GroupComparison, divergence_filter: DivergenceFilter, file_format: str) -> Iterator[bytes]:
    """Yield the text of a file of the matching divergences, batch by batch. The format is a key of `CONTENT_TYPES`."""
    context = ComparisonContext(comparison)
    rows = queries.iterate_divergences(comparison.pk, divergence_filter)

    if file_format == "csv":
        return _csv_batches(rows, _participants(context))
    return _json_batches(context, rows)


def text_lines(comparison: GroupComparison, divergence_filter: DivergenceFilter) -> Iterator[str]:
    """Yield the matching divergences as lines for a terminal, with the reasons below a path of several contents."""
    context = ComparisonContext(comparison)
    rows = queries.iterate_divergences(comparison.pk, divergence_filter)

    for row, history in _with_histories(context, rows, KINDS_WITH_REASONS):
        yield f"{row.kind:9} {row.cells}  {visible_text(row.path)}{_remarks(row)}"
        if row.kind in KINDS_WITH_REASONS:
            for reason in _reasons(context, row, history):
                yield f"    {reason}"


def file_name(comparison: GroupComparison, file_format: str) -> str:
    """Return a file name made of ids alone."""
    return f"divergences-{comparison.group.uuid}.{file_format}"


def _with_histories(
    context: ComparisonContext, rows: Iterator[DivergenceRow], kinds: Iterable[str] = Divergence.Kind.values
) -> Iterator[tuple[DivergenceRow, PathHistory]]:
    """Yield divergences, those of these kinds with the history of their paths, in flat memory."""
    while batch := list(islice(rows, BATCH)):
        paths = [row.path for row in batch if row.kind in kinds]
        # Many batches have no path whose history matters, and then there is nothing to ask for.
        histories = queries.read_path_histories(context.compared, paths, context.comparison.moment) if paths else {}

        for row in batch:
            yield row, histories.get(row.path, queries.PathHistory())


def _participants(context: ComparisonContext) -> list[Participant]:
    """Return the compared replicas in the order of their columns."""
    return [participant for _position, participant in sorted(context.participants.items())]


def _json_members(context: ComparisonContext, row: DivergenceRow, history: PathHistory) -> dict[str, Any]:
    """Return a divergence for a program. Paths are coded as in a report; reasons are English."""
    members: dict[str, Any] = {"kind": row.kind, "path": row.path}
    if row.verdict:
        members["verdict"] = row.verdict

    members["replicas"] = [
        _replica_members(row, participant) | _content_members(participant, history)
        for participant in _participants(context)
    ]
    members["since"] = row.since.isoformat()
    members["current"] = row.current

    # Members that say nothing are left out: a file may have a million lines.
    if row.alike:
        members["alike"] = row.alike
    if row.kind in KINDS_WITH_REASONS:
        members["reasons"] = _reasons(context, row, history)
    return members


def _replica_members(row: DivergenceRow, participant: Participant) -> dict[str, Any]:
    """Return what a replica has at the path of a divergence."""
    # Only replicas with a run are compared, and only they have a column.
    assert participant.run is not None
    position = participant.position

    members: dict[str, Any] = {
        "replica": str(participant.replica.uuid),
        "server": participant.replica.server.name,
        "run": participant.run.sequence,
        "standing": participant.status,
        "is": Divergence.Cell(row.cells[position - 1]).name.lower(),
    }

    # A slice and no index: paths that were not judged have no verdicts at all.
    verdict = row.judged[position - 1 : position].strip()
    if verdict:
        members["copy"] = Divergence.CopyVerdict(verdict).name.lower()

    other_path = row.others.get(str(position))
    if other_path is not None:
        members["other"] = other_path
    return members


def _content_members(participant: Participant, history: PathHistory) -> dict[str, str]:
    version = current_version(participant, history.get(participant.position, []))
    if version is None or not version.sha256:
        return {}
    return {"sha256": version.sha256}


def _reasons(context: ComparisonContext, row: DivergenceRow, history: PathHistory) -> list[str]:
    # A program reads the file, whatever the language of the person who asks for it.
    with translation.override("en"):
        return replicas.describe_copies(row.kind, build_evidence(context, row, history))


def _remarks(row: DivergenceRow) -> str:
    """Return what a line says after the path, in brackets; empty where there is nothing to say."""
    remarks = []
    for position, verdict in enumerate(row.judged, 1):
        if verdict.strip():
            remarks.append(f"{position} {Divergence.CopyVerdict(verdict).name.lower()}")

    for position_text, other_path in sorted(row.others.items()):
        remarks.append(f"{position_text} has {visible_text(other_path)}")

    if row.alike:
        remarks.append(f"alike but for {row.alike}")
    if not row.current:
        remarks.append("differs only on replicas without a vote")

    if not remarks:
        return ""
    return f"  [{'; '.join(remarks)}]"


def _json_batches(context: ComparisonContext, rows: Iterator[DivergenceRow]) -> Iterator[bytes]:
    lines: list[str] = []
    for row, history in _with_histories(context, rows):
        lines.append(json.dumps(_json_members(context, row, history), ensure_ascii=False) + "\n")
        if len(lines) >= BATCH:
            yield "".join(lines).encode()
            lines.clear()

    yield "".join(lines).encode()


def _csv_batches(rows: Iterator[DivergenceRow], participants: Sequence[Participant]) -> Iterator[bytes]:
    table = io.StringIO()
    # RFC 4180 ends each line with CR LF.
    writer = csv.writer(table, lineterminator="\r\n")
    heads = [_csv_head(participant) for participant in participants]
    writer.writerow(["kind", "path", "verdict", *heads, "alike", "current"])

    for row_number, row in enumerate(rows, 1):
        cells = [_csv_cell(row, participant) for participant in participants]
        current = "yes" if row.current else "no"
        writer.writerow([row.kind, escape_formula(row.path), row.verdict, *cells, row.alike, current])

        if row_number % BATCH == 0:
            yield table.getvalue().encode()
            table.seek(0)
            table.truncate()

    yield table.getvalue().encode()


def _csv_head(participant: Participant) -> str:
    """Return the head of a column: the replica and, unless it shows the present state, why it has no vote."""
    name = replica_name(participant)
    if participant.status != Participant.Status.CURRENT:
        name = f"{name} ({participant.status}: no vote)"
    return escape_formula(name)


def _csv_cell(row: DivergenceRow, participant: Participant) -> str:
    members = _replica_members(row, participant)
    parts = [members[name] for name in ("is", "copy", "other") if name in members]
    return escape_formula(" ".join(parts))
