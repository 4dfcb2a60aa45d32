"""The audit trail: each thing that happens to a finding is a row that nobody changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import User

from checker.models import Act, Finding
from scanner.models import Run


def note_each(findings: Iterable[Finding], what: Act.What, run: Run) -> None:
    """Write down what the program did with each of these, by `run`."""
    Act.objects.bulk_create(Act(finding=finding, what=what, run=run) for finding in findings)


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
