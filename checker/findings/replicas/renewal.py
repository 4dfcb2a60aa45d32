"""Keep what open findings between replicas say to what the newest comparison says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from checker.divergences import queries as divergences
from checker.divergences.evidence import ComparisonContext, build_evidence, build_spread_evidence, replica_name
from checker.divergences.queries import DivergenceRow, PathHistory
from checker.findings.replicas import store
from checker.findings.text.replicas import DEVIATING_COPIES
from checker.models import Divergence, Finding

BATCH = 500
"""Findings that are renewed at once: they come by the hundreds when a disk fails."""
RENEWED_FIELDS = ("concerns", "last_run", "severity", "evidence")


class Batch(NamedTuple):
    """Open findings of one path each, locked, with what is known of their paths."""

    findings: list[Finding]
    divergences: dict[str, DivergenceRow]
    histories: dict[str, PathHistory]


def renew_outdated(context: ComparisonContext) -> None:
    """Renew the findings of one path of which the comparison says something else than they do."""
    # With fewer than two replicas nothing was compared: what is stored is of other replicas.
    if len(context.compared) < 2:
        return

    for batch in _read_batches(context, store.find_outdated(context.comparison)):
        for finding in batch.findings:
            divergence = batch.divergences.get(finding.path)
            if divergence is not None:
                renew(context, finding, divergence, batch.histories.get(finding.path, PathHistory()))
        Finding.objects.bulk_update(batch.findings, RENEWED_FIELDS)

    names = {position: replica_name(participant) for position, participant in context.participants.items()}
    store.name_lacking_replicas(context.comparison.pk, names)


def renew_spread_damage(context: ComparisonContext) -> list[int]:
    """Renew the findings of damage beside which there is no other content any more, and return their keys.

    That copies are equal proves nothing while they are damaged, or were made of what was.
    """
    unproven = []
    for batch in _read_batches(context, store.find_spread_damage(context)):
        renewed = []
        for finding in batch.findings:
            facts = build_spread_evidence(
                context,
                batch.divergences.get(finding.path),
                batch.histories.get(finding.path, PathHistory()),
                finding.evidence,
            )
            if not facts["damaged"] and not facts["suspicious"]:
                # What a person declared good is over, and the finding says why.
                if facts["declared_good"]:
                    finding.evidence = facts | {"was_damage": True, "names": finding.evidence.get("names", [])}
                    renewed.append(finding)
                continue
            unproven.append(finding.pk)

            concerned = {*finding.concerns, *facts["damaged"]}
            facts["was_damage"] = True
            facts["names"] = context.replica_names(concerned)

            if _without_runs(facts) != _without_runs(finding.evidence):
                finding.concerns = sorted(concerned)
                finding.last_run = context.newest_run
                finding.evidence = facts
                renewed.append(finding)
        Finding.objects.bulk_update(renewed, RENEWED_FIELDS)
    return unproven


def renew(context: ComparisonContext, finding: Finding, divergence: DivergenceRow, history: PathHistory) -> None:
    """Make the finding of a path say what the comparison says of it. It is not saved.

    Only damage is critical, and what was damage once stays so while a copy is in doubt: that a replica has lost its
    vote, or that the damaged copy was edited, mends nothing.
    """
    is_damage = divergence.kind == Divergence.Kind.MISMATCH and divergence.verdict == Divergence.PathVerdict.DAMAGED
    concerned = {*finding.concerns, *context.replica_ids(_deviating_positions(divergence))}

    finding.concerns = sorted(concerned)
    finding.last_run = context.newest_run
    was_damage = is_damage or bool(finding.evidence.get("was_damage") or finding.evidence.get("damaged"))
    evidence = build_evidence(context, divergence, history)
    is_critical = is_damage or (was_damage and evidence["suspicious"])
    finding.severity = Finding.Severity.CRITICAL if is_critical else Finding.Severity.WARNING
    finding.evidence = evidence | {"names": context.replica_names(concerned), "was_damage": was_damage}


def _deviating_positions(divergence: DivergenceRow) -> list[int]:
    """Return the positions at which a path is missing, or its copy is not as it should be."""
    judged = divergence.judged.ljust(len(divergence.cells))
    return [
        position
        for position, (cell, copy) in enumerate(zip(divergence.cells, judged, strict=True), 1)
        if cell == Divergence.Cell.LOST or copy in DEVIATING_COPIES
    ]


def _without_runs(facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts without the runs that they rest on: as long as the rest stays, there is nothing new to look at."""
    return facts | {"copies": [copy | {"run": None} for copy in facts["copies"]]}


def _read_batches(context: ComparisonContext, keys_and_paths: list[tuple[int, str]]) -> Iterator[Batch]:
    for start in range(0, len(keys_and_paths), BATCH):
        part = keys_and_paths[start : start + BATCH]
        keys = [key for key, _path in part]
        paths = [path for _key, path in part]

        # Locked, so that nobody accepts a finding between this and its renewal.
        findings = Finding.objects.select_for_update().filter(state=Finding.State.OPEN, pk__in=keys)
        yield Batch(
            list(findings),
            divergences.read_divergences(context.comparison.pk, paths),
            divergences.read_path_histories(context.compared, paths, context.comparison.moment),
        )
