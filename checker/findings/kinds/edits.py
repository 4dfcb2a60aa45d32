"""Explain findings of ordinary changes where the data should not change: edits, other types, new paths, touches."""

from __future__ import annotations

from django.utils.translation import gettext_lazy

from checker.findings.kinds.base import Resolution
from checker.findings.kinds.paths import FIXED_POLICIES, STEADY_POLICIES, PathsKind
from checker.findings.text import steps
from checker.models import Change, Finding

MODIFIED = PathsKind(
    value=Finding.Kind.MODIFIED,
    change=Change.Kind.MODIFIED,
    policies=STEADY_POLICIES,
    explanation=gettext_lazy("In this group a file must not change once it exists."),
    steps=(steps.FIND_WHO_CHANGED_IT, steps.ACCEPT_IF_YOURS),
)
RETYPED = PathsKind(
    value=Finding.Kind.RETYPED,
    change=Change.Kind.RETYPED,
    policies=STEADY_POLICIES,
    explanation=gettext_lazy("Something of another type has this name now, or a link points elsewhere."),
    steps=(steps.FIND_WHO_CHANGED_IT, steps.ACCEPT_IF_YOURS),
)
ADDED = PathsKind(
    value=Finding.Kind.ADDED,
    change=Change.Kind.ADDED,
    policies=FIXED_POLICIES,
    resolution=Resolution.GONE,
    explanation=gettext_lazy("Files must not be added to this group."),
    steps=(steps.FIND_WHO_CHANGED_IT, steps.ACCEPT_IF_YOURS),
)
TOUCHED = PathsKind(
    value=Finding.Kind.TOUCHED,
    change=Change.Kind.TOUCHED,
    policies=FIXED_POLICIES,
    resolution=Resolution.SAME_ENTRY,
    explanation=gettext_lazy("The content is the same; time, mode or owner changed."),
    steps=(steps.FIND_WHO_CHANGED_IT, steps.ACCEPT_IF_YOURS),
)
