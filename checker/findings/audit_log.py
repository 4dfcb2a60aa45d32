"""Log what happens to findings. Rows of the audit log are never changed or deleted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import User

from checker.models import AuditEntry, Finding
from scanner.models import Run


def log_actions(findings: Iterable[Finding], action: AuditEntry.Action, run: Run) -> None:
    """Log what the program did with each finding because of `run`."""
    AuditEntry.objects.bulk_create(AuditEntry(finding=finding, action=action, run=run) for finding in findings)


def log_action(
    finding: Finding,
    action: AuditEntry.Action,
    *,
    user: User | None = None,
    reason: str = "",
    run: Run | None = None,
    expires_at: datetime | None = None,
    sha256: bytes | None = None,
) -> AuditEntry:
    """Log one action. Without `user` the program did it.

    `run` is the run that it rests on, and `sha256` the content that it is about, if any.
    """
    # The name is kept as text as well: the account may be renamed later.
    username = user.get_username() if user is not None else ""

    return AuditEntry.objects.create(
        finding=finding,
        action=action,
        user=user,
        username=username,
        reason=reason,
        run=run,
        expires_at=expires_at,
        sha256=sha256,
    )
