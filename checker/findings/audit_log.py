"""The audit trail: each thing that happens to a finding is a row that nobody changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import User

from checker.models import AuditEntry, Finding
from scanner.models import Run


def log_actions(findings: Iterable[Finding], action: AuditEntry.Action, run: Run) -> None:
    """Write down what the program did with each of these, by `run`."""
    AuditEntry.objects.bulk_create(AuditEntry(finding=finding, action=action, run=run) for finding in findings)


def log_action(
    finding: Finding,
    action: AuditEntry.Action,
    *,
    user: User | None = None,
    reason: str = "",
    run: Run | None = None,
    expires_at: datetime | None = None,
) -> AuditEntry:
    """Write down what happened; without `user` the program did it, by `run` where it rests on one."""
    username = user.get_username() if user is not None else ""
    return AuditEntry.objects.create(
        finding=finding, action=action, user=user, username=username, reason=reason, run=run, expires_at=expires_at
    )
