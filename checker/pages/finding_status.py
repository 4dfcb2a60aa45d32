"""Say which status an open finding of a replica gives it."""

from __future__ import annotations

from django.db.models import Case, Value, When

from checker.models import Finding
from checker.pages.status import Status


def status_expression() -> Case:
    """Return an expression of a finding of one replica: the status that it gives while it is open."""
    return Case(
        When(kind=Finding.Kind.MASS_CHANGE, then=Value(Status.HELD.value)),
        # Nothing is known of a root in which nothing was found, nor of what a mount hides: that is no damage.
        When(kind=Finding.Kind.EMPTY, then=Value(Status.UNKNOWN.value)),
        When(kind=Finding.Kind.MOUNTED_OVER, then=Value(Status.INCOMPLETE.value)),
        When(severity=Finding.Severity.CRITICAL, then=Value(Status.DAMAGED.value)),
        default=Value(Status.ATTENTION.value),
    )
