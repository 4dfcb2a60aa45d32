"""What open findings between replicas say, kept to what the newest comparison says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from checker.divergences import queries as divergences
from checker.divergences.evidence import ComparisonContext, build_evidence, build_spread_evidence, replica_name
from checker.divergences.queries import DivergenceRow, PathHistory
from checker.findings.replicas import store
from checker.findings.text import replicas
from checker.models import Divergence, Finding

Lives = dict[str, PathHistory]
BATCH = 500
RENEWED = ("concerns", "last_run", "severity", "evidence")


def follow(context: ComparisonContext) -> None:
    """Say anew of each path with a finding of its own what is not any more what it was."""
    if len(context.compared) < 2:
        return  # what is kept is of other replicas
    for findings, rows, lives in _batches(context, store.outdated(context.comparison)):
        for finding in findings:
            if finding.path in rows:
                say(context, finding, rows[finding.path], lives.get(finding.path, {}))
        Finding.objects.bulk_update(findings, RENEWED)
    store.count_lacking(context.comparison.pk, {at: replica_name(seat) for at, seat in context.participants.items()})


def follow_spread(context: ComparisonContext) -> None:
    """Say anew of damage that was copied over the good copies where it lies now: nothing diverges there."""
    there, runs = [side.replica_id for side in context.compared], [side.run_id for side in context.compared]
    for findings, rows, lives in _batches(context, store.spread(context.comparison, there, runs)):
        changed = []
        for finding in findings:
            facts = build_spread_evidence(
                context, rows.get(finding.path), lives.get(finding.path, {}), finding.evidence
            )
            told = {*finding.concerns, *facts["damaged"]}
            facts["names"] = context.replica_names(told)
            if _said(facts) != _said(finding.evidence):
                finding.concerns, finding.last_run, finding.evidence = sorted(told), context.newest_run, facts
                changed.append(finding)
        Finding.objects.bulk_update(changed, RENEWED)


def _said(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts but for the runs that say them: as long as these stay, nothing new is to be looked at."""
    return facts | {"copies": [one | {"run": None} for one in facts["copies"]]}


def _batches(
    context: ComparisonContext, found: list[tuple[int, str]]
) -> Iterator[tuple[list[Finding], dict[str, DivergenceRow], Lives]]:
    """These findings, as far as they are open, with the divergences and the lives of their paths."""
    for start in range(0, len(found), BATCH):
        keys, paths = zip(*found[start : start + BATCH], strict=True)
        locked = Finding.objects.select_for_update().filter(state=Finding.State.OPEN, pk__in=keys)
        rows, lives = (
            divergences.read_divergences(context.comparison.pk, paths),
            divergences.read_path_histories(context.compared, paths),
        )
        yield list(locked), rows, lives


def say(context: ComparisonContext, finding: Finding, row: DivergenceRow, life: PathHistory) -> None:
    """Make the finding of a path tell what is found there; it is not saved. Only damage is grave."""
    damaged = row.kind == Divergence.Kind.MISMATCH and row.verdict == Divergence.PathVerdict.DAMAGED
    told = {*finding.concerns, *context.replica_ids(concerned(row))}
    finding.concerns, finding.last_run = sorted(told), context.newest_run
    finding.severity = Finding.Severity.CRITICAL if damaged else Finding.Severity.WARNING
    finding.evidence = build_evidence(context, row, life) | {"names": context.replica_names(told)}


def concerned(row: DivergenceRow) -> list[int]:
    """The positions at which a path is not as it should be."""
    both = enumerate(zip(row.cells, row.judged.ljust(len(row.cells)), strict=True), 1)
    return [at for at, (cell, copy) in both if cell == Divergence.Cell.LOST or copy in replicas.ODD]
