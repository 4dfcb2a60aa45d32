"""Explain findings of contents that have another path now, in groups where they should have stayed."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checker.findings.kinds.paths import STEADY_POLICIES, PathsKind
from checker.findings.text import steps
from checker.models import Change, Finding
from scanner.formatting.names import short_text, visible_text


@dataclass(frozen=True, kw_only=True)
class Moved(PathsKind):
    """Moved paths. They are resolved when the content is where it was."""

    def describe_path(self, finding: Finding) -> list[str]:
        """Name both paths before all else."""
        sentences = super().describe_path(finding)
        other = finding.latest_evidence.get("other")
        if other:
            values = {"old": short_text(visible_text(other)), "new": short_text(visible_text(finding.path))}
            sentences.insert(0, _("The path was %(old)s and is now %(new)s.") % values)
        return sentences


MOVED = Moved(
    value=Finding.Kind.MOVED,
    change=Change.Kind.MOVED,
    policies=STEADY_POLICIES,
    explanation=gettext_lazy("The content is intact under another path; in this group it must stay in place."),
    steps=(steps.FIND_WHO_CHANGED_IT, steps.ACCEPT_IF_YOURS),
)
