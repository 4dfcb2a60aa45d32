"""What open findings between replicas say, kept to what the newest comparison says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from checker.divergences import queries as divergences
from checker.divergences.evidence import Witness, evidence, name, spread
from checker.divergences.queries import Life, Row
from checker.findings.replicas import store
from checker.findings.text import replicas
from checker.models import Divergence, Finding

Lives = dict[str, Life]
BATCH = 500
RENEWED = ("concerns", "last_run", "severity", "evidence")


def follow(witness: Witness) -> None:
    """Say anew of each path with a finding of its own what is not any more what it was."""
    if len(witness.sides) < 2:
        return  # what is kept is of other replicas
    for findings, rows, lives in _batches(witness, store.outdated(witness.comparison)):
        for finding in findings:
            if finding.path in rows:
                say(witness, finding, rows[finding.path], lives.get(finding.path, {}))
        Finding.objects.bulk_update(findings, RENEWED)
    store.count_lacking(witness.comparison.pk, {at: name(seat) for at, seat in witness.seats.items()})


def follow_spread(witness: Witness) -> None:
    """Say anew of damage that was copied over the good copies where it lies now: nothing diverges there."""
    there, runs = [side.replica for side in witness.sides], [side.run for side in witness.sides]
    for findings, rows, lives in _batches(witness, store.spread(witness.comparison, there, runs)):
        changed = []
        for finding in findings:
            facts = spread(witness, rows.get(finding.path), lives.get(finding.path, {}), finding.evidence)
            told = {*finding.concerns, *facts["damaged"]}
            facts["names"] = witness.names(told)
            if _said(facts) != _said(finding.evidence):
                finding.concerns, finding.last_run, finding.evidence = sorted(told), witness.run, facts
                changed.append(finding)
        Finding.objects.bulk_update(changed, RENEWED)


def _said(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts but for the runs that say them: as long as these stay, nothing new is to be looked at."""
    return facts | {"copies": [one | {"run": None} for one in facts["copies"]]}


def _batches(witness: Witness, found: list[tuple[int, str]]) -> Iterator[tuple[list[Finding], dict[str, Row], Lives]]:
    """These findings, as far as they are open, with the divergences and the lives of their paths."""
    for start in range(0, len(found), BATCH):
        keys, paths = zip(*found[start : start + BATCH], strict=True)
        locked = Finding.objects.select_for_update().filter(state=Finding.State.OPEN, pk__in=keys)
        rows, lives = divergences.among(witness.comparison.pk, paths), divergences.lives(witness.sides, paths)
        yield list(locked), rows, lives


def say(witness: Witness, finding: Finding, row: Row, life: Life) -> None:
    """Make the finding of a path tell what is found there; it is not saved. Only damage is grave."""
    damaged = row.kind == Divergence.Kind.MISMATCH and row.verdict == Divergence.Verdict.DAMAGED
    told = {*finding.concerns, *witness.replicas(concerned(row))}
    finding.concerns, finding.last_run = sorted(told), witness.run
    finding.severity = Finding.Severity.CRITICAL if damaged else Finding.Severity.WARNING
    finding.evidence = evidence(witness, row, life) | {"names": witness.names(told)}


def concerned(row: Row) -> list[int]:
    """The positions at which a path is not as it should be."""
    both = enumerate(zip(row.cells, row.judged.ljust(len(row.cells)), strict=True), 1)
    return [at for at, (cell, copy) in both if cell == Divergence.Cell.LOST or copy in replicas.ODD]
