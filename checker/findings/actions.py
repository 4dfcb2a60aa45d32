"""What a person does about a finding: accept it, undo that, release a replica that is held. Each act has a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from checker.findings import audit_log, description, store
from checker.findings.replicas import update
from checker.models import AuditEntry, Comparison, Finding
from scanner.formatting.names import brief_plain


class ActionRefused(Exception):
    """The act cannot be done; the text says why, in the language of the page."""


def revision(finding: Finding) -> str:
    """What a page shows of a finding, as a word: who acts there says by it what he has looked at."""
    return f"{finding.last_run_id}.{finding.number}.{finding.severity}"


def accept(
    finding: Finding, user: User, reason: str, expires_at: datetime | None = None, seen_revision: str | None = None
) -> None:
    """Close an open finding until `expires_at`, or for good. ActionRefused, in words, where that cannot be.

    `seen_revision` is its `revision` then: a finding that grew or got graver since is not accepted unseen.
    """
    reason = _checked(reason)
    if expires_at is not None and expires_at <= timezone.now():
        raise ActionRefused(_("The expiry date is in the past."))
    with transaction.atomic():
        row = _locked(finding, seen_revision)
        if row.kind == Finding.Kind.MASS_CHANGE:
            raise ActionRefused(_("A mass change cannot be accepted. Release the replica instead."))
        if row.state != Finding.State.OPEN:
            raise ActionRefused(_("This finding is no longer open."))
        _close(row, user, reason, expires_at)
        audit_log.log_action(row, AuditEntry.Action.ACCEPTED, user=user, reason=reason, expires_at=expires_at)
    finding.refresh_from_db()


def accept_all(
    findings: Sequence[Finding], user: User, reason: str, seen_revisions: Mapping[UUID, str] | None = None
) -> int:
    """Accept several findings for one reason, all or none; how many. Damage is looked at one by one: ActionRefused."""
    grave = [one for one in findings if not may_accept_in_bulk(one)]
    if grave:
        raise ActionRefused(_("Decide about damage and mass changes one at a time, each with its own reason."))
    with transaction.atomic():
        for one in sorted(findings, key=lambda one: one.pk):
            accept(
                one, user, reason, seen_revision=None if seen_revisions is None else seen_revisions.get(one.uuid, "")
            )
    return len(findings)


def may_accept_in_bulk(finding: Finding) -> bool:
    """Whether it may be accepted together with others."""
    return finding.severity != Finding.Severity.CRITICAL and finding.kind != Finding.Kind.CORRUPTED


def release(finding: Finding, user: User, reason: str, seen_revision: str | None = None) -> None:
    """Let a replica go that a mass change holds: what it is now is what it should be. ActionRefused in words."""
    reason = _checked(reason)
    with transaction.atomic():
        row = _locked(finding, seen_revision)
        if row.kind != Finding.Kind.MASS_CHANGE:
            raise ActionRefused(_("Only a replica on hold after a mass change can be released."))
        if row.state != Finding.State.OPEN:
            raise ActionRefused(_("This finding is no longer open."))
        _close(row, user, reason, None)
        audit_log.log_action(row, AuditEntry.Action.RELEASED, user=user, reason=reason)
    finding.refresh_from_db()


def undo(finding: Finding, user: User, reason: str) -> None:
    """Open an accepted or released finding again. ActionRefused in words."""
    reason = _checked(reason)
    with transaction.atomic():
        row = _locked(finding)
        if row.state != Finding.State.ACCEPTED:
            raise ActionRefused(_("Only an acceptance or a release can be undone."))
        _reopen(row)
        audit_log.log_action(row, AuditEntry.Action.UNDONE, user=user, reason=reason)
        _look_again(row)
    finding.refresh_from_db()


def reopen_expired() -> int:
    """Open again what was accepted until a moment that has passed; how many."""
    done = 0
    over = Finding.objects.filter(state=Finding.State.ACCEPTED, expires_at__lte=timezone.now())
    for pk in over.values_list("pk", flat=True)[:1000]:
        with transaction.atomic():
            row = Finding.objects.select_for_update().get(pk=pk)
            if row.state == Finding.State.ACCEPTED and row.expires_at and row.expires_at <= timezone.now():
                _reopen(row)
                audit_log.log_action(row, AuditEntry.Action.EXPIRED)
                _look_again(row)
                done += 1
    return done


def _checked(reason: str) -> str:
    if not reason.strip():
        raise ActionRefused(_("Enter a reason. It stays in the audit log."))
    return reason.strip()[:1000].replace("\0", "")


def _locked(finding: Finding, seen_revision: str | None = None) -> Finding:
    """The row as it is now. ActionRefused when that is not what was looked at any more."""
    row = Finding.objects.select_for_update().get(pk=finding.pk)
    if row.state == Finding.State.OPEN and seen_revision not in (None, revision(row)):
        text = _("Nothing was done: the finding has changed since the page was shown. Check it again: %(finding)s")
        raise ActionRefused(text % {"finding": brief_plain(description.title(row))})
    return row


def _close(row: Finding, user: User, reason: str, expires_at: datetime | None) -> None:
    row.state, row.closed_at, row.accepted_by, row.reason = Finding.State.ACCEPTED, timezone.now(), user, reason
    row.expires_at = expires_at
    row.save(update_fields=["state", "closed_at", "accepted_by", "reason", "expires_at"])


def _reopen(row: Finding) -> None:
    row.state, row.closed_at, row.accepted_by, row.reason, row.expires_at = Finding.State.OPEN, None, None, "", None
    row.save(update_fields=["state", "closed_at", "accepted_by", "reason", "expires_at"])


def _look_again(row: Finding) -> None:
    """Close it at once when the newest run proves that all is again what it was: that may have come meanwhile."""
    if row.replica_id is None:
        update.resolve_now(row.group_id)
        return
    made = Comparison.objects.filter(replica=row.replica_id, adjacent=True, state=Comparison.State.DONE)
    newest = made.select_related("base", "run").order_by("-run__sequence").first()
    if newest is not None:
        store.resolve_at(newest, row)
