"""Open and explain findings of unreadable paths: by an error of the medium, which is damage, or by any other one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy

from checker.findings import candidates
from checker.findings.candidates import Branch
from checker.findings.kinds.base import Resolution
from checker.findings.kinds.paths import PathsKind
from checker.findings.text import steps
from checker.models import Change, Comparison, Finding

MEDIUM_ERRORS = ("EBADMSG", "EIO", "EUCLEAN", "EUNSTABLE")
"""Errors of a damaged medium, or of the way to it. EBADMSG and EUCLEAN are what file systems say when their own
checksums do not match."""
RIGHTS_ERRORS = ("EACCES", "EPERM")
"""Errors of a collector that may not read the path."""


@dataclass(frozen=True, kw_only=True)
class Unreadable(PathsKind):
    """Paths that cannot be read. Errors of the medium have a finding each, all others are folded."""

    def update_findings(self, comparison: Comparison) -> None:
        """Open or renew findings. Files that only change while they are read have a kind of their own."""
        if not comparison.counts.get(self.change):
            return

        if candidates.select_unreadable(comparison, MEDIUM_ERRORS, by_medium=True):
            self.open_each(comparison, Finding.Severity.CRITICAL)
        if candidates.select_unreadable(comparison, MEDIUM_ERRORS, by_medium=False):
            self.open_folded(comparison)

    def complete_facts(self, comparison: Comparison, branch: Branch, facts: dict[str, Any]) -> dict[str, Any]:
        """Count what the unreadable directories of a branch hide."""
        if not branch.folded or not comparison.counts.get(Change.Kind.UNKNOWN):
            return facts
        return facts | {"hidden": candidates.count_hidden_paths(comparison, branch.path)}

    def next_steps(self, finding: Finding) -> list[str]:
        """Send nobody to the disk who lacks a right, and nobody to the rights whose disk is bad."""
        error = (finding.latest_evidence.get("new") or {}).get("detail")
        if error in MEDIUM_ERRORS:
            return [str(steps.RESTORE_FILE), str(steps.CHECK_DISK)]
        if error in RIGHTS_ERRORS:
            return [str(steps.CHECK_RIGHTS)]
        return super().next_steps(finding)


UNREADABLE = Unreadable(
    value=Finding.Kind.UNREADABLE,
    change=Change.Kind.UNREADABLE,
    resolution=Resolution.READ,
    explanation=gettext_lazy("The content is unknown until it can be read again; it is not proven."),
    steps=(steps.CHECK_RIGHTS, steps.CHECK_DISK),
)
