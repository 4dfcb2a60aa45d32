"""Open and explain findings of unreadable paths: by an error of the medium, which is damage, or by any other one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checker.changes.kinds import MEDIUM_ERRORS
from checker.findings import candidates
from checker.findings.candidates import Branch
from checker.findings.kinds.base import Resolution
from checker.findings.kinds.paths import PathsKind
from checker.findings.text import steps
from checker.models import Change, Comparison, Finding
from scanner.format.entry_type import EntryType
from scanner.formatting.names import visible_text

RIGHTS_ERRORS = ("EACCES", "EPERM")
"""Errors of a collector that may not read the path."""


@dataclass(frozen=True, kw_only=True)
class Unreadable(PathsKind):
    """Paths that cannot be read. Errors of the medium have a finding each, all others are folded."""

    def update_findings(self, comparison: Comparison) -> None:
        """Open or renew findings. Files that only change while they are read have a kind of their own."""
        # What the medium gave back is not what it was given. Whoever wrote since, only a person ends that.
        if candidates.select_altered_returns(comparison, MEDIUM_ERRORS):
            self.open_each(comparison, Finding.Severity.CRITICAL)

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

    def title(self, finding: Finding) -> str:
        """Return what cannot be read, or what could be read again and is not what it was."""
        if _is_altered(finding):
            return _("read again with other content: %(path)s") % {"path": visible_text(finding.path)}
        return super().title(finding)

    def meaning(self, finding: Finding) -> str:
        """Return what it means, as long as it cannot be read or once it can."""
        if _is_altered(finding):
            return _("The file can be read again, but its content is not the one that was last read.")
        return super().meaning(finding)

    def next_steps(self, finding: Finding) -> list[str]:
        """Send nobody to the disk who lacks a right, and nobody to the rights whose disk is bad."""
        if _is_altered(finding):
            return [str(steps.RESTORE_FILE), str(steps.ACCEPT_IF_YOURS), str(steps.CHECK_DISK)]

        error = (finding.latest_evidence.get("new") or {}).get("detail")
        if error in MEDIUM_ERRORS:
            return [str(steps.RESTORE_FILE), str(steps.CHECK_DISK)]
        if error in RIGHTS_ERRORS:
            return [str(steps.CHECK_RIGHTS)]
        return super().next_steps(finding)


def _is_altered(finding: Finding) -> bool:
    """Return whether the path of a finding could be read again, with other content."""
    new = finding.latest_evidence.get("new") or {}
    return bool(new) and new.get("type") != EntryType.ERROR


UNREADABLE = Unreadable(
    value=Finding.Kind.UNREADABLE,
    change=Change.Kind.UNREADABLE,
    resolution=Resolution.READ,
    explanation=gettext_lazy("The content is unknown until it can be read again; it is not proven."),
    steps=(steps.CHECK_RIGHTS, steps.CHECK_DISK),
)
