"""Open and explain findings of changed paths. Each stands for one path, or for all paths below a directory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from checker.findings import candidates, opening
from checker.findings.candidates import Branch
from checker.findings.kinds.base import Resolution, RunFindingKind
from checker.findings.text import contents, notes, runs
from checker.models import Change, Comparison, Finding
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import number
from scanner.models import Group

EVERY_POLICY = frozenset(Group.Policy)
"""Damage, and what may be damage, is a finding whatever the data is."""
STEADY_POLICIES = frozenset({Group.Policy.APPEND_ONLY, Group.Policy.IMMUTABLE})
"""Data that should not change once it is there."""
FIXED_POLICIES = frozenset({Group.Policy.IMMUTABLE})
"""Data to which nothing should be added either."""


@dataclass(frozen=True, kw_only=True)
class PathsKind(RunFindingKind):
    """A kind of finding that stands for changes of one kind."""

    change: Change.Kind
    """The kind of change."""
    policies: frozenset[Group.Policy] = field(default=EVERY_POLICY)
    """The policies under which such a change is a finding."""
    resolution: Resolution = Resolution.SAME_CONTENT

    def opens_under(self, group: Group) -> bool:
        """Return whether the policy of a group makes such a change a finding."""
        return Group.Policy(group.policy) in self.policies

    def update_findings(self, comparison: Comparison) -> None:
        """Open or renew folded findings of the changes that the policy does not allow."""
        if not comparison.counts.get(self.change) or not self.opens_under(comparison.run.replica.group):
            return
        if self.select_candidates(comparison):
            self.open_folded(comparison)

    def select_candidates(self, comparison: Comparison) -> int:
        """Select the changes that become findings. Return how many there are."""
        return candidates.select_changes(comparison, self.change)

    def open_each(self, comparison: Comparison, severity: Finding.Severity) -> None:
        """Open or renew a finding for each selected path."""
        opening.open_each(comparison, self.value, severity, self.change)

    def open_folded(self, comparison: Comparison) -> None:
        """Open or renew a finding for each directory of the selected paths."""
        opening.open_folded(comparison, self.value, self.severity, self.change, self.complete_facts)

    def complete_facts(self, comparison: Comparison, branch: Branch, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the facts of a new or renewed finding with what this kind adds to them."""
        return facts

    def title(self, finding: Finding) -> str:
        """Return the kind with the path, or with the number of paths below a directory."""
        path = visible_text(finding.path)
        if finding.folded:
            values = {"kind": self.label, "n": number(finding.number), "place": path or "/"}
            return _("%(kind)s: %(n)s paths below %(place)s") % values
        return _("%(kind)s: %(path)s") % {"kind": self.label, "path": path}

    def reasons(self, finding: Finding) -> list[str]:
        """Return which runs found it, and all that is known of the path."""
        sentences = runs.describe_runs(finding)
        if not finding.folded:
            return sentences + self.describe_path(finding)

        # What a directory hides may have been said at first only.
        facts = finding.latest_evidence
        if not facts.get("hidden"):
            facts = finding.evidence
        return [*sentences, *contents.describe_hidden_paths(facts), runs.list_follows()]

    def describe_path(self, finding: Finding) -> list[str]:
        """Return what is known of the one path of a finding."""
        facts = finding.latest_evidence
        return [
            *contents.describe_move(facts, finding.path),
            *contents.describe_content(facts),
            *contents.describe_attributes(facts),
            *self.describe_notes(finding),
            *contents.describe_error(facts),
            *contents.describe_hidden_paths(facts),
        ]

    def describe_notes(self, finding: Finding) -> list[str]:
        """Return what the notes of the newest run prove."""
        run_notes = finding.latest_evidence.get("notes") or {}
        return notes.describe_notes(run_notes, notes.ctime_proves_damage())
