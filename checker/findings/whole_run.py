"""Open and resolve findings that are not made of changes: findings about a whole run, a root or a mount point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from checker.findings import audit_log
from checker.models import AuditEntry, Comparison, Finding
from scanner.models import Run

UNRESOLVED = (Finding.State.OPEN, Finding.State.ACCEPTED)


def open_finding(
    comparison: Comparison,
    kind: Finding.Kind,
    severity: Finding.Severity,
    evidence: dict[str, Any],
    number: int = 0,
) -> None:
    """Open a finding about the run of a comparison, and log it. `number` is how many paths it stands for."""
    run = comparison.run
    finding = Finding.objects.create(
        group=run.replica.group,
        replica=run.replica,
        kind=kind,
        severity=severity,
        folded=True,
        number=number,
        first_run=run,
        last_run=run,
        evidence=evidence,
    )
    audit_log.log_action(finding, AuditEntry.Action.OPENED, run=run)


def lock_findings(run: Run, kind: Finding.Kind, states: Sequence[Finding.State] = UNRESOLVED) -> list[Finding]:
    """Return the findings of a replica in these states. They are locked, so that nobody decides about them meanwhile.

    Without `states`, the accepted ones are among them: what was accepted has ended as well.
    """
    findings = Finding.objects.filter(replica=run.replica_id, kind=kind, state__in=states)
    return list(findings.select_for_update())


def resolve(finding: Finding, run: Run) -> None:
    """Resolve a locked finding, because `run` has shown that it is over, and log it."""
    finding.state = Finding.State.RESOLVED
    finding.closed_at = timezone.now()
    finding.expires_at = None
    finding.last_run = run
    finding.save(update_fields=["state", "closed_at", "expires_at", "last_run"])
    audit_log.log_action(finding, AuditEntry.Action.RESOLVED, run=run)
