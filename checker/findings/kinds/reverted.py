"""Open and explain findings of files that have earlier content again: restored, rolled back, or damaged once more."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checker.findings import candidates
from checker.findings.kinds.paths import STEADY_POLICIES, PathsKind
from checker.findings.text import steps
from checker.models import Change, Comparison, Finding


@dataclass(frozen=True, kw_only=True)
class Reverted(PathsKind):
    """Files that hold an earlier content again. It is damage when it was damage the first time."""

    def update_findings(self, comparison: Comparison) -> None:
        """Open or renew a finding for each relapse into damage, whatever the policy, and folded ones for the rest."""
        if comparison.counts.get(self.change) and candidates.select_relapses(comparison):
            self.open_each(comparison, Finding.Severity.CRITICAL)
        super().update_findings(comparison)

    def describe_notes(self, finding: Finding) -> list[str]:
        """Say first when the content was damage before."""
        sentences = super().describe_notes(finding)
        if _is_relapse(finding):
            sentences.insert(0, _("The file had this content before, and it was damage then."))
        return sentences

    def next_steps(self, finding: Finding) -> list[str]:
        """Return what to do about damage, or about an unexpected change."""
        if _is_relapse(finding):
            return [str(steps.RESTORE_FILE), str(steps.CHECK_DISK)]
        return super().next_steps(finding)


def _is_relapse(finding: Finding) -> bool:
    return finding.severity == Finding.Severity.CRITICAL


REVERTED = Reverted(
    value=Finding.Kind.REVERTED,
    change=Change.Kind.REVERTED,
    policies=STEADY_POLICIES,
    explanation=gettext_lazy("The file has earlier content again: it was restored or rolled back."),
    steps=(steps.FIND_WHO_CHANGED_IT, steps.ACCEPT_IF_YOURS),
)
