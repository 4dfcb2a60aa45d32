"""Let a person declare good what a comparison called damaged, and withdraw that. Each needs a reason.

A declaration ends the known damage of one content of one path. It says nothing of any other content.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Left
from django.utils import timezone
from django.utils.translation import gettext as _

from checker.findings import audit_log
from checker.findings.actions import ActionRefused, clean_reason
from checker.findings.text.replicas import describe_reason
from checker.models import AuditEntry, Finding, KnownDamage
from scanner.db import entries
from scanner.format.entry_type import EntryType
from scanner.models import Group, Replica

ABOUT_CONTENT = (Finding.Kind.CORRUPTED, Finding.Kind.REWRITTEN, Finding.Kind.REVERTED)
"""Kinds of findings of one replica that a declaration about the content closes."""


@dataclass(frozen=True)
class DamagedContent:
    """A content of a path that a comparison found damaged, and the declaration of a person about it, if any."""

    sha256: str
    ground: str
    """What spoke for damage, in the language of the reader."""
    judged_at: datetime
    holders: tuple[Replica, ...]
    """The replicas in use that have it at the path now."""
    declared_at: datetime | None
    """When a person declared it good; None while it counts as damaged."""
    declared_by: str
    reason: str


def read_damaged_contents(group: Group, path: str) -> list[DamagedContent]:
    """Return the contents of a path that some replica has now, or that were declared good, in the order of judging."""
    rows: dict[str, list[KnownDamage]] = {}
    for row in _known_damage(group, path).select_related("ended_by").order_by("pk"):
        rows.setdefault(bytes(row.sha256).hex(), []).append(row)
    if not rows:
        return []

    holders = _holders(group, path)
    contents = []
    for sha256, known in rows.items():
        ended = next((row for row in known if row.ended_at is not None), None)
        if ended is None and sha256 not in holders:
            continue
        declared_by = ended.ended_by.get_username() if ended and ended.ended_by else ""
        contents.append(
            DamagedContent(
                sha256=sha256,
                ground=describe_reason(known[0].ground),
                judged_at=known[0].judged_at,
                holders=tuple(holders.get(sha256, ())),
                declared_at=ended.ended_at if ended else None,
                declared_by=declared_by,
                reason=ended.reason if ended else "",
            )
        )
    return contents


def declare_good(group: Group, path: str, sha256: str, user: User, reason: str) -> None:
    """End the known damage of a content, and close the findings of single replicas that have it.

    Raise ActionRefused when the content is not known as damaged, or no finding is about the path: without one the audit
    log could not say who did it.
    """
    reason = clean_reason(reason)
    with transaction.atomic():
        known = _lock_known_damage(group, path, sha256)
        if any(row.ended_at is not None for row in known):
            raise ActionRefused(_("This content has been declared good already."))
        findings = _lock_findings(group, path)
        if not findings:
            raise ActionRefused(_("No finding is about this path yet."))

        for row in known:
            row.ended_at = timezone.now()
            row.ended_by = user
            row.reason = reason
        KnownDamage.objects.bulk_update(known, ["ended_at", "ended_by", "reason"])

        content = bytes.fromhex(sha256)
        holders = {replica.pk for replica in _holders(group, path).get(sha256, ())}
        for finding in findings:
            if _is_answered(finding, holders):
                finding.state = Finding.State.ACCEPTED
                finding.closed_at = timezone.now()
                finding.accepted_by = user
                finding.reason = reason
                finding.save(update_fields=["state", "closed_at", "accepted_by", "reason"])
            audit_log.log_action(finding, AuditEntry.Action.DECLARED, user=user, reason=reason, sha256=content)


def withdraw(group: Group, path: str, sha256: str, user: User, reason: str) -> None:
    """Take back a declaration: the content counts as damaged again, and what the declaration closed opens again.

    Raise ActionRefused when there is no declaration.
    """
    reason = clean_reason(reason)
    with transaction.atomic():
        known = _lock_known_damage(group, path, sha256)
        if all(row.ended_at is None for row in known):
            raise ActionRefused(_("Nobody has declared this content good."))

        for row in known:
            row.ended_at = None
            row.ended_by = None
            row.reason = ""
        KnownDamage.objects.bulk_update(known, ["ended_at", "ended_by", "reason"])

        content = bytes.fromhex(sha256)
        findings = _lock_findings(group, path)
        for finding in findings:
            if _was_closed_by_declaration(finding, content, findings):
                finding.state = Finding.State.OPEN
                # The comparison made it less severe when it resolved it.
                if finding.replica_id is None:
                    finding.severity = Finding.Severity.CRITICAL
                finding.closed_at = None
                finding.accepted_by = None
                finding.reason = ""
                finding.save(update_fields=["state", "severity", "closed_at", "accepted_by", "reason"])
            audit_log.log_action(finding, AuditEntry.Action.WITHDRAWN, user=user, reason=reason, sha256=content)


def _known_damage(group: Group, path: str) -> QuerySet[KnownDamage]:
    # The index holds the beginning of the path.
    rows = KnownDamage.objects.annotate(beginning=Left("path", 512))
    return rows.filter(group=group, beginning=path[:512], path=path)


def _lock_known_damage(group: Group, path: str, sha256: str) -> list[KnownDamage]:
    """Lock the rows of a content in the order of their keys. Raise ActionRefused when there are none."""
    try:
        digest = bytes.fromhex(sha256)
    except ValueError:
        digest = b""
    known = list(_known_damage(group, path).filter(sha256=digest).select_for_update().order_by("pk"))
    if not known:
        raise ActionRefused(_("No comparison has found that this content is damaged."))
    return known


def _lock_findings(group: Group, path: str) -> list[Finding]:
    """Lock the findings about the content of a path, in the order of their keys."""
    between = Q(replica=None, kind=Finding.Kind.MISMATCH)
    of_replica = Q(replica__isnull=False, kind__in=ABOUT_CONTENT)
    findings = Finding.objects.filter(between | of_replica, group=group, path=path, folded=False)
    return list(findings.select_for_update(of=("self",)).order_by("pk"))


def _holders(group: Group, path: str) -> dict[str, list[Replica]]:
    """Return the content of each file at the path now → the replicas in use that have it."""
    holders: dict[str, list[Replica]] = {}
    replicas = Replica.objects.filter(group=group, archived_at=None, server__archived_at=None)
    for replica in replicas.select_related("server", "group").order_by("pk"):
        versions = entries.list_versions(replica, path)
        current = versions[-1] if versions and versions[-1].until_seq is None else None
        if current is not None and current.type == EntryType.FILE and current.sha256 is not None:
            holders.setdefault(bytes(current.sha256).hex(), []).append(replica)
    return holders


def _is_answered(finding: Finding, holders: set[int]) -> bool:
    """Return whether a declaration closes a finding: that of a replica which has the content.

    The comparison decides about the finding between the replicas.
    """
    return finding.state == Finding.State.OPEN and finding.replica_id in holders


def _was_closed_by_declaration(finding: Finding, content: bytes, findings: list[Finding]) -> bool:
    """Return whether a finding is closed only because the content was declared good."""
    if finding.state == Finding.State.OPEN:
        return False
    declared = finding.audit_entries.filter(action=AuditEntry.Action.DECLARED, sha256=content).last()
    if declared is None:
        return False
    later = set(finding.audit_entries.filter(pk__gt=declared.pk).values_list("action", flat=True))

    if finding.replica_id is not None:
        # Accepted by the declaration itself, unless a person decided anew since.
        return finding.state == Finding.State.ACCEPTED and later <= {AuditEntry.Action.DECLARED}
    # The comparison resolved it, and no other finding has taken its place.
    has_successor = any(
        other.replica_id is None and other.state == Finding.State.OPEN and other.path == finding.path
        for other in findings
    )
    return finding.state == Finding.State.RESOLVED and AuditEntry.Action.WITHDRAWN not in later and not has_successor
