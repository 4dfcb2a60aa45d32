"""Explain findings of contents that have another path now, in groups where they should have stayed."""

from __future__ import annotations

from django.utils.translation import gettext_lazy

from checker.findings.kinds.paths import STEADY_POLICIES, PathsKind
from checker.findings.text import steps
from checker.models import Change, Finding

MOVED = PathsKind(
    value=Finding.Kind.MOVED,
    change=Change.Kind.MOVED,
    policies=STEADY_POLICIES,
    explanation=gettext_lazy("The content is intact under another path; in this group it must stay in place."),
    steps=(steps.FIND_WHO_CHANGED_IT, steps.ACCEPT_IF_YOURS),
)
