"""Open, resolve and explain findings of rotating data that got no new file in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checker.findings import audit_log, rotation
from checker.findings.kinds.base import Resolution, RunFindingKind
from checker.findings.text import steps
from checker.models import AuditEntry, Comparison, Finding
from scanner.formatting.numbers import local_time
from scanner.models import Group


@dataclass(frozen=True, kw_only=True)
class NoNewFile(RunFindingKind):
    """A new file that did not come."""

    def update_findings(self, comparison: Comparison) -> None:
        """Resolve the finding when a new file came, or open one when it is overdue."""
        run = comparison.run
        if comparison.base is None or run.replica.group.policy != Group.Policy.ROTATING:
            return

        findings = Finding.objects.filter(replica=run.replica, kind=self.value)
        if rotation.brings_new_file(comparison):
            self._resolve(comparison, findings)
        else:
            self._open_when_overdue(comparison, findings)

    def _resolve(self, comparison: Comparison, findings: QuerySet[Finding]) -> None:
        for finding in findings.select_for_update().filter(state=Finding.State.OPEN):
            finding.state = Finding.State.RESOLVED
            finding.closed_at = timezone.now()
            finding.last_run = comparison.run
            finding.save(update_fields=["state", "closed_at", "last_run"])
            audit_log.log_action(finding, AuditEntry.Action.RESOLVED, run=comparison.run)

    def _open_when_overdue(self, comparison: Comparison, findings: QuerySet[Finding]) -> None:
        run = comparison.run
        last_run = rotation.last_run_with_new_file(comparison)
        if last_run is None or run.finished_at <= rotation.new_file_due(run.replica.group, last_run.finished_at):
            return

        # It is a finding already, open or accepted, and nothing has come since that could resolve it.
        if findings.filter(first_run__sequence__gt=last_run.sequence).exists():
            return

        finding = Finding.objects.create(
            group=run.replica.group,
            replica=run.replica,
            kind=self.value,
            severity=self.severity,
            folded=True,
            number=0,
            first_run=run,
            last_run=run,
            evidence={"last": last_run.sequence, "last_at": last_run.finished_at.isoformat()},
        )
        audit_log.log_action(finding, AuditEntry.Action.OPENED, run=run)

    def title(self, finding: Finding) -> str:
        """Return since which run no new file has come."""
        return _("No new file has arrived since run %(last)s.") % {"last": finding.evidence.get("last")}

    def reasons(self, finding: Finding) -> list[str]:
        """Return when the newest file came."""
        facts = finding.latest_evidence
        values = {"run": facts["last"], "when": local_time(datetime.fromisoformat(facts["last_at"]))}
        return [_("The newest file arrived in run %(run)s, %(when)s.") % values]


NO_NEW_FILE = NoNewFile(
    value=Finding.Kind.NO_NEW_FILE,
    resolution=Resolution.NEW_FILE,
    concerns_whole_run=True,
    explanation=gettext_lazy("New files are expected here in every interval; none arrived."),
    steps=(steps.CHECK_PRODUCER, steps.ACCEPT_IF_YOURS),
)
