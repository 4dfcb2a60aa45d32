"""Open, resolve and explain findings of rotating data that got no new file in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checker.findings import rotation, whole_run
from checker.findings.kinds.base import Resolution, RunFindingKind
from checker.findings.text import steps
from checker.models import Comparison, Finding
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

        if rotation.brings_new_file(comparison):
            # An acceptance stays: it says that the pause before this file was intended.
            for finding in whole_run.lock_findings(run, self.value, [Finding.State.OPEN]):
                whole_run.resolve(finding, run)
        else:
            self._open_when_overdue(comparison)

    def _open_when_overdue(self, comparison: Comparison) -> None:
        run = comparison.run
        last_run = rotation.last_run_with_new_file(comparison)
        if last_run is None or run.ended_at <= rotation.new_file_due(run.replica.group, last_run.ended_at):
            return

        # It is a finding already, open or accepted, and nothing has come since that could resolve it.
        findings = Finding.objects.filter(replica=run.replica, kind=self.value)
        if findings.filter(first_run__sequence__gt=last_run.sequence).exists():
            return

        evidence = {"last": last_run.sequence, "last_at": last_run.ended_at.isoformat()}
        whole_run.open_finding(comparison, self.value, self.severity, evidence)

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
