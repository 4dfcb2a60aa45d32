"""Accept findings, undo that, release replicas. Each action needs a reason, which stays in the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from checker.findings import audit_log, description, mass_change, resolution
from checker.findings.kinds.registry import kind_of
from checker.findings.replicas import update
from checker.models import AuditEntry, Comparison, Finding
from scanner.formatting.names import short_text

LONGEST_REASON = 1000
"""Characters of a reason that are kept."""
REOPENED_AT_ONCE = 1000
"""Expired acceptances that one call ends; the next call takes the rest."""


class ActionRefused(Exception):
    """The action is not possible. The message says why, in the language of the reader."""


def revision(finding: Finding) -> str:
    """Return a word for what a page shows of a finding: it changes when there is something new to look at."""
    return f"{finding.last_run_id}.{finding.number}.{finding.severity}"


def accept(
    finding: Finding,
    user: User,
    reason: str,
    expires_at: datetime | None = None,
    seen_revision: str | None = None,
) -> None:
    """Accept an open finding until `expires_at`, or for good.

    Raise ActionRefused when that is not possible, or when the finding has another revision than the one that the user
    has seen: what grew or became more severe since must be looked at first.
    """
    reason = clean_reason(reason)
    if expires_at is not None and expires_at <= timezone.now():
        raise ActionRefused(_("The expiry date is in the past."))

    with transaction.atomic():
        row = _lock(finding, seen_revision)
        if kind_of(row).is_released:
            raise ActionRefused(_("A mass change cannot be accepted. Release the replica instead."))
        if row.state != Finding.State.OPEN:
            raise ActionRefused(_("This finding is no longer open."))

        for linked in [row, *_lock_linked(row, Finding.State.OPEN)]:
            _close(linked, user, reason, expires_at)
            audit_log.log_action(linked, AuditEntry.Action.ACCEPTED, user=user, reason=reason, expires_at=expires_at)
    finding.refresh_from_db()


def accept_all(
    findings: Sequence[Finding], user: User, reason: str, seen_revisions: Mapping[UUID, str] | None = None
) -> int:
    """Accept several findings for one reason, all or none. Return how many.

    Raise ActionRefused when one of them must be decided by itself, or may not be accepted.
    """
    if not all(may_accept_in_bulk(finding) for finding in findings):
        raise ActionRefused(_("Decide about damage and mass changes one at a time, each with its own reason."))

    with transaction.atomic():
        # In the order of their keys, so that two people who accept the same findings do not block each other.
        for finding in sorted(findings, key=lambda finding: finding.pk):
            seen_revision = None if seen_revisions is None else seen_revisions.get(finding.uuid, "")
            accept(finding, user, reason, seen_revision=seen_revision)
    return len(findings)


def may_accept_in_bulk(finding: Finding) -> bool:
    """Return whether a finding may be accepted together with others."""
    return finding.severity != Finding.Severity.CRITICAL and kind_of(finding).may_be_accepted_in_bulk


def release(finding: Finding, user: User, reason: str, seen_revision: str | None = None) -> None:
    """Release the replica that a mass change holds: what it is now is what it should be.

    Raise ActionRefused as `accept` does.
    """
    reason = clean_reason(reason)
    with transaction.atomic():
        row = _lock(finding, seen_revision)
        if not kind_of(row).is_released:
            raise ActionRefused(_("Only a replica on hold after a mass change can be released."))
        if row.state != Finding.State.OPEN:
            raise ActionRefused(_("This finding is no longer open."))

        _close(row, user, reason, None)
        audit_log.log_action(row, AuditEntry.Action.RELEASED, user=user, reason=reason)
    finding.refresh_from_db()


def undo(finding: Finding, user: User, reason: str) -> None:
    """Open an accepted or released finding again. Raise ActionRefused when it is neither."""
    reason = clean_reason(reason)
    with transaction.atomic():
        row = _lock(finding)
        if row.state != Finding.State.ACCEPTED:
            raise ActionRefused(_("Only an acceptance or a release can be undone."))

        for linked in [row, *_lock_linked(row, Finding.State.ACCEPTED)]:
            _reopen(linked)
            audit_log.log_action(linked, AuditEntry.Action.UNDONE, user=user, reason=reason)
            _resolve_if_over(linked)
    finding.refresh_from_db()


def reopen_expired() -> int:
    """Open again what was accepted until a moment that has passed. Return how many findings."""
    expired = Finding.objects.filter(state=Finding.State.ACCEPTED, expires_at__lte=timezone.now())
    reopened = 0
    for pk in expired.values_list("pk", flat=True)[:REOPENED_AT_ONCE]:
        with transaction.atomic():
            row = _lock_with_linked(pk)
            # A person may have undone or extended it since the list was read.
            if row.state != Finding.State.ACCEPTED or row.expires_at is None or row.expires_at > timezone.now():
                continue

            for linked in [row, *_lock_linked(row, Finding.State.ACCEPTED)]:
                _reopen(linked)
                audit_log.log_action(linked, AuditEntry.Action.EXPIRED)
                _resolve_if_over(linked)
                reopened += 1
    return reopened


def clean_reason(reason: str) -> str:
    """Return a reason as it is kept. Raise ActionRefused for an empty one."""
    if not reason.strip():
        raise ActionRefused(_("Enter a reason. It stays in the audit log."))
    # PostgreSQL stores no NUL characters.
    return reason.strip()[:LONGEST_REASON].replace("\0", "")


def _lock(finding: Finding, seen_revision: str | None = None) -> Finding:
    """Lock a finding with those linked to it, and return it.

    Raise ActionRefused when it is open and not as the user has seen it.
    """
    row = _lock_with_linked(finding.pk)
    if row.state == Finding.State.OPEN and seen_revision is not None and seen_revision != revision(row):
        text = _("Nothing was done: the finding has changed since the page was shown. Check it again: %(finding)s")
        raise ActionRefused(text % {"finding": short_text(description.title(row))})
    return row


def _lock_with_linked(pk: int) -> Finding:
    """Lock a finding with those linked to it, and return it."""
    row = Finding.objects.get(pk=pk)
    keys = [pk] if row.group_finding_id is None else [pk, row.group_finding_id]

    # In the order of their keys: two people may decide about both of a pair at once.
    locked = Finding.objects.select_for_update().filter(Q(pk__in=keys) | Q(group_finding=pk)).order_by("pk")
    return next(candidate for candidate in locked if candidate.pk == pk)


def _lock_linked(row: Finding, state: Finding.State) -> list[Finding]:
    """Lock and return the findings in a state that are decided with `row`, since they say the same of its path.

    With a finding between the replicas go those of its replicas. With one of a replica goes that between the replicas,
    unless it concerns another replica as well.
    """
    if row.replica_id is None:
        linked = Finding.objects.filter(group_finding=row)
    else:
        linked = Finding.objects.filter(replica_findings=row, concerns=[row.replica_id])

    # What is graver is decided by itself.
    linked = linked.filter(state=state, severity__lte=row.severity)
    return list(linked.select_for_update().order_by("pk"))


def _close(row: Finding, user: User, reason: str, expires_at: datetime | None) -> None:
    row.state = Finding.State.ACCEPTED
    row.closed_at = timezone.now()
    row.accepted_by = user
    row.reason = reason
    row.expires_at = expires_at
    row.save(update_fields=["state", "closed_at", "accepted_by", "reason", "expires_at"])


def _reopen(row: Finding) -> None:
    row.state = Finding.State.OPEN
    row.closed_at = None
    row.accepted_by = None
    row.reason = ""
    row.expires_at = None
    row.save(update_fields=["state", "closed_at", "accepted_by", "reason", "expires_at"])


def _resolve_if_over(row: Finding) -> None:
    """Resolve a reopened finding at once when the newest run proves that it is over: it may have ended meanwhile."""
    if row.replica_id is None:
        update.resolve_now(row.group_id)
        return

    done = Comparison.objects.filter(replica=row.replica_id, adjacent=True, state=Comparison.State.DONE)
    newest = done.select_related("base", "run").order_by("-run__sequence").first()
    if newest is None:
        return
    if kind_of(row).is_released:
        mass_change.resolve_hold(row, newest.run)
    else:
        resolution.resolve_finding(newest, row)
