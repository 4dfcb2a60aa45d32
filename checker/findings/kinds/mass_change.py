"""Put a replica on hold whose run changed or removed too much, and explain it.

A person releases the replica, or a later run proves that the change was undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from checker.findings import audit_log, whole_run
from checker.findings.kinds.base import Resolution, RunFindingKind
from checker.findings.mass_change import check_mass_change, resolve_hold
from checker.findings.text import mass_change as text
from checker.findings.text import runs, steps
from checker.models import AuditEntry, Comparison, Finding


@dataclass(frozen=True, kw_only=True)
class MassChange(RunFindingKind):
    """A mass change. A replica has at most one that is open, however many runs add to it."""

    def update_findings(self, comparison: Comparison) -> None:
        """End the hold when the run proves that all is as before it, or put the replica on hold by a mass change."""
        if comparison.base is None:
            return

        # Locked, so that nobody releases it between this and its end.
        hold = self._open_holds(comparison).first()
        if hold is not None and resolve_hold(hold, comparison.run):
            return

        facts = check_mass_change(comparison)
        if facts is not None:
            self._hold(comparison, facts)

    def _open_holds(self, comparison: Comparison) -> QuerySet[Finding]:
        return Finding.objects.select_for_update().filter(
            replica=comparison.replica_id, kind=self.value, state=Finding.State.OPEN
        )

    def _hold(self, comparison: Comparison, facts: dict[str, Any]) -> None:
        run = comparison.run
        number = max(facts["changed"], facts["renamed"])
        finding = self._open_holds(comparison).first()
        if finding is not None:
            finding.last_run = run
            finding.number = number
            finding.evidence = {**finding.evidence, "latest": facts}
            finding.save(update_fields=["last_run", "number", "evidence"])
            audit_log.log_action(finding, AuditEntry.Action.SEEN_AGAIN, run=run)
            return

        whole_run.open_finding(comparison, self.value, self.severity, facts, number)

    def title(self, finding: Finding) -> str:
        """Return how much the change that put the replica on hold changed, whatever came since."""
        return text.title(finding.evidence)

    def reasons(self, finding: Finding) -> list[str]:
        """Return what made it a mass change, and, when several runs were one, the newest of them."""
        sentences = runs.describe_newest_run(finding)
        if sentences:
            latest = finding.latest_evidence
            values = {"run": latest["base"], "what": text.title(latest)}
            sentences.append(_("Since run %(run)d, %(what)s.") % values)
        return sentences + text.reasons(finding.evidence)

    def meaning(self, finding: Finding) -> str:
        """Return what it means while the replica is on hold, or once that is over."""
        return text.meaning(finding)

    def next_steps(self, finding: Finding) -> list[str]:
        """Return what to do while the replica is on hold, or once that is over."""
        if finding.state == Finding.State.RESOLVED:
            return [str(steps.PREVENT_REPETITION)]
        if finding.state == Finding.State.ACCEPTED:
            return [str(steps.UNDO_IF_WRONG)]
        return super().next_steps(finding)


MASS_CHANGE = MassChange(
    value=Finding.Kind.MASS_CHANGE,
    resolution=Resolution.SAME_RUN,
    concerns_whole_run=True,
    severity=Finding.Severity.CRITICAL,
    is_released=True,
    may_be_accepted_in_bulk=False,
    steps=(steps.STOP_COPYING, steps.RESTORE_IF_NOT_MEANT, steps.RELEASE_IF_MEANT),
)
