"""The audit trail: each thing that happens to a finding is a row that nobody changes."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User

from checker.models import Act, Finding
from scanner.models import Run


def note(
    finding: Finding,
    what: Act.What,
    *,
    by: User | None = None,
    reason: str = "",
    run: Run | None = None,
    expires_at: datetime | None = None,
) -> Act:
    """Write down what happened; without `by` the program did it, by `run` where it rests on one."""
    name = by.get_username() if by is not None else ""
    return Act.objects.create(
        finding=finding, what=what, by=by, name=name, reason=reason, run=run, expires_at=expires_at
    )
