"""What open findings between replicas say, kept to what the newest comparison says."""

from __future__ import annotations

from checker.divergences import queries as divergences
from checker.divergences.evidence import Witness, evidence
from checker.divergences.queries import Life, Row
from checker.findings.between import store
from checker.models import Divergence, Finding

BATCH = 500
RENEWED = ("concerns", "last_run", "severity", "evidence")


def follow(witness: Witness) -> None:
    """Say anew of each path with a finding of its own what is not any more what it was."""
    if len(witness.sides) < 2:
        return  # what is kept is of other replicas
    found = store.outdated(witness.comparison)
    for start in range(0, len(found), BATCH):
        batch = found[start : start + BATCH]
        paths = [path for _pk, path in batch]
        rows = divergences.among(witness.comparison.pk, paths)
        lives = divergences.lives(witness.sides, paths)
        locked = Finding.objects.select_for_update().filter(state=Finding.State.OPEN)
        findings = list(locked.filter(pk__in=[pk for pk, _path in batch]))
        for finding in findings:
            if finding.path in rows:
                say(witness, finding, rows[finding.path], lives[finding.path])
        Finding.objects.bulk_update(findings, RENEWED)


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
    return [at for at, (cell, copy) in both if cell == Divergence.Cell.LOST or copy in store.ODD]
