"""Open and explain findings of damage: the content changed, and no program wrote to the file."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checker.findings import candidates
from checker.findings.kinds.paths import PathsKind
from checker.findings.text import steps
from checker.models import Change, Comparison, Finding


@dataclass(frozen=True, kw_only=True)
class Corrupted(PathsKind):
    """Damaged files. Each has a finding of its own: damage is never folded."""

    def update_findings(self, comparison: Comparison) -> None:
        """Open or renew a finding for each damaged file."""
        # An earlier content that nobody wrote is damage, too: a write was lost, or a mirror fell behind.
        if comparison.counts.get(Change.Kind.REVERTED) and candidates.select_silent_returns(comparison):
            self.open_each(comparison, self.severity)

        if comparison.counts.get(self.change) and candidates.select_changes(comparison, self.change):
            # What was unreadable and came back with other content is the same damage, and goes on in its finding.
            candidates.take_over_unreadable(comparison)
            self.open_each(comparison, self.severity)

    def describe_notes(self, finding: Finding) -> list[str]:
        """Say first when the damage is an earlier content."""
        sentences = super().describe_notes(finding)
        if finding.latest_evidence.get("became") == Change.Kind.REVERTED:
            sentences.insert(0, _("The file has an earlier content again, although no program wrote it."))
        return sentences


CORRUPTED = Corrupted(
    value=Finding.Kind.CORRUPTED,
    change=Change.Kind.CORRUPTED,
    severity=Finding.Severity.CRITICAL,
    may_be_accepted_in_bulk=False,
    explanation=gettext_lazy(
        "The bytes changed below the file system: disk, controller, cable or memory. This copy is damaged, "
        "unless somebody wrote directly to the disk."
    ),
    steps=(steps.RESTORE_FILE, steps.CHECK_DISK),
)
