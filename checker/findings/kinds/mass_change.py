"""Put a replica on hold whose run changed or removed too much, and explain it until a person releases the replica."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from checker.findings import audit_log
from checker.findings.kinds.base import Resolution, RunFindingKind
from checker.findings.mass_change import check_mass_change
from checker.findings.text import mass_change as text
from checker.findings.text import runs, steps
from checker.models import AuditEntry, Comparison, Finding


@dataclass(frozen=True, kw_only=True)
class MassChange(RunFindingKind):
    """A mass change. A replica has at most one that is open, however many runs add to it."""

    def update_findings(self, comparison: Comparison) -> None:
        """Put the replica on hold when the run is a mass change."""
        if comparison.base is None:
            return

        facts = check_mass_change(comparison)
        if facts is not None:
            self._hold(comparison, facts)

    def _hold(self, comparison: Comparison, facts: dict[str, Any]) -> None:
        run = comparison.run
        number = max(facts["changed"], facts["renamed"])
        # Locked, so that nobody releases it between this and its renewal.
        holds = Finding.objects.select_for_update().filter(
            replica=run.replica, kind=self.value, state=Finding.State.OPEN
        )

        finding = holds.first()
        if finding is not None:
            finding.last_run = run
            finding.number = number
            finding.evidence = {**finding.evidence, "latest": facts}
            finding.save(update_fields=["last_run", "number", "evidence"])
            audit_log.log_action(finding, AuditEntry.Action.SEEN_AGAIN, run=run)
            return

        finding = Finding.objects.create(
            group=run.replica.group,
            replica=run.replica,
            kind=self.value,
            severity=self.severity,
            folded=True,
            number=number,
            first_run=run,
            last_run=run,
            evidence=facts,
        )
        audit_log.log_action(finding, AuditEntry.Action.OPENED, run=run)

    def title(self, finding: Finding) -> str:
        """Return how much the newest mass change changed."""
        return text.title(finding.latest_evidence)

    def reasons(self, finding: Finding) -> list[str]:
        """Return what made it a mass change, and, when several runs did, which ones."""
        sentences = []
        newest_run = runs.describe_newest_run(finding)
        if newest_run:
            values = {"run": finding.first_run.sequence, "what": text.title(finding.evidence)}
            sentences = [_("Run %(run)d found this first: %(what)s.") % values, *newest_run]
        return sentences + text.reasons(finding.latest_evidence)

    def meaning(self, finding: Finding) -> str:
        """Return what it means while the replica is on hold, or once it was released."""
        return text.meaning(finding.latest_evidence, is_held=finding.state == Finding.State.OPEN)

    def next_steps(self, finding: Finding) -> list[str]:
        """Return what to do while the replica is on hold, or once it was released."""
        if finding.state != Finding.State.OPEN:
            return [str(steps.UNDO_IF_WRONG)]
        return super().next_steps(finding)


MASS_CHANGE = MassChange(
    value=Finding.Kind.MASS_CHANGE,
    resolution=Resolution.BY_PERSON,
    concerns_whole_run=True,
    severity=Finding.Severity.CRITICAL,
    is_released=True,
    may_be_accepted_in_bulk=False,
    steps=(steps.STOP_COPYING, steps.FIND_WHO_CHANGED_IT, steps.RELEASE_IF_MEANT),
)
