"""Define findings and their audit log: what a person should look at, and what was done about it."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from scanner.models import Group, Replica, Run


class Finding(models.Model):
    """Something that a person should look at. It stays open until a person or a proof closes it.

    It concerns one replica, or, where that is null, the replicas of its group. Written by `checker.findings`.
    """

    class Kind(models.TextChoices):
        """Stored values and labels, in the order of urgency. All else about a kind stands in `findings.kinds`."""

        CORRUPTED = "corrupted", _("corrupted")
        REWRITTEN = "rewritten", _("changed, date unchanged")
        UNREADABLE = "unreadable", _("unreadable")
        MOUNTED_OVER = "mounted_over", _("hidden behind a mount")
        UNSTABLE = "restless", _("unstable (changes while being read)")
        REMOVED = "removed", _("removed")
        MODIFIED = "modified", _("modified")
        REVERTED = "reverted", _("reverted to earlier content")
        RETYPED = "retyped", _("type or link target changed")
        ADDED = "added", _("added")
        MOVED = "moved", _("moved")
        TOUCHED = "touched", _("attributes changed")
        MASS_CHANGE = "mass_change", _("mass change")
        NO_NEW_FILE = "no_new_file", _("no new files")
        EMPTY = "empty", _("nothing found")
        MISSING = "lost", _("missing")
        MISMATCH = "mismatch", _("contents differ")

    class Severity(models.IntegerChoices):
        WARNING = 1, _("warning")
        CRITICAL = 2, _("critical")

    class State(models.TextChoices):
        OPEN = "open", _("open")
        ACCEPTED = "accepted", _("accepted")
        RESOLVED = "resolved", _("resolved")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    group = models.ForeignKey(Group, models.PROTECT, related_name="findings", verbose_name=_("group"))
    replica = models.ForeignKey(Replica, models.PROTECT, null=True, related_name="findings", verbose_name=_("replica"))
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    severity = models.SmallIntegerField(_("severity"), choices=Severity)
    path = models.TextField(_("path"), blank=True, db_collation="C")
    """A coded path. Of a folded finding, a directory with its slash; empty for the root."""
    folded = models.BooleanField(default=False)
    """Whether the finding stands for `number` paths below a directory."""
    number = models.BigIntegerField(_("paths"), default=1)
    first_run = models.ForeignKey(Run, models.PROTECT, related_name="+", verbose_name=_("first run"))
    last_run = models.ForeignKey(Run, models.PROTECT, related_name="+", verbose_name=_("last run"))
    group_finding = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        related_name="replica_findings",
        verbose_name=_("finding between the replicas"),
    )
    """Of a finding of one replica: the one between the replicas about the same path. Both are closed together."""
    concerns = ArrayField(models.IntegerField(), default=list, db_default=[])
    """Of a finding between replicas: keys of the replicas on which a path is missing, damaged or in doubt."""
    evidence = models.JSONField(default=dict)
    """Numbers and texts of which the words are made, never a sentence. Its member `latest` is the evidence of the run
    that saw the finding again."""
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.OPEN)
    opened_at = models.DateTimeField(_("opened"), db_default=Now())
    closed_at = models.DateTimeField(_("closed"), null=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("accepted by"),
        db_column="by_id",
    )
    reason = models.TextField(_("reason"), blank=True)
    expires_at = models.DateTimeField(_("accepted until"), null=True)
    """When an accepted finding opens again; null: never."""

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        constraints = [
            models.CheckConstraint(condition=Q(state__in=["open", "accepted", "resolved"]), name="finding_state_known"),
            models.CheckConstraint(
                condition=Q(state="open", closed_at=None) | ~Q(state="open") & Q(closed_at__isnull=False),
                name="finding_closed_when",
            ),
            models.CheckConstraint(condition=Q(expires_at=None) | Q(state="accepted"), name="finding_expiry"),
        ]
        indexes = [
            # Serves the status of each replica, and the list of findings as it opens.
            models.Index(fields=["replica", "-severity", "-id"], condition=Q(state="open"), name="finding_open"),
            # Serves the list of findings in another state.
            models.Index(fields=["state", "-id"], name="finding_newest"),
            # Serves the findings between the replicas of each group.
            models.Index(
                fields=["group", "-severity", "-id"],
                condition=Q(state="open", replica__isnull=True),
                name="finding_between_open",
            ),
            # Serves the task that opens expired acceptances again.
            models.Index(fields=["expires_at"], condition=Q(expires_at__isnull=False), name="finding_expiring"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.path}" if self.path else self.get_kind_display()

    @property
    def latest_evidence(self) -> dict[str, Any]:
        """Return the evidence of the run that saw the finding last: what is true now."""
        latest: dict[str, Any] = self.evidence.get("latest") or self.evidence
        return latest


class AuditEntry(models.Model):
    """Something that happened to a finding. A trigger refuses every change and deletion of a row.

    Written by `checker.findings`. Table and columns keep the names that they had first.
    """

    class Action(models.TextChoices):
        OPENED = "opened", _("opened")
        SEEN_AGAIN = "seen_again", _("seen again")
        ACCEPTED = "accepted", _("accepted")
        UNDONE = "undone", _("acceptance undone")
        RELEASED = "released", _("replica released")
        EXPIRED = "expired", _("acceptance expired")
        RESOLVED = "resolved", _("resolved by proof")
        DECLARED = "declared", _("content declared good")
        WITHDRAWN = "withdrawn", _("declaration withdrawn")

    finding = models.ForeignKey(Finding, models.PROTECT, related_name="audit_entries", verbose_name=_("finding"))
    logged_at = models.DateTimeField(_("time"), db_column="at", db_default=Now())
    action = models.CharField(_("action"), max_length=10, choices=Action, db_column="what")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("by"),
        db_column="by_id",
    )
    """Who acted; null where the program did."""
    username = models.CharField(_("name"), max_length=150, blank=True, db_column="name")
    """The user's name at that time."""
    reason = models.TextField(_("reason"), blank=True)
    run = models.ForeignKey(Run, models.PROTECT, null=True, related_name="+", verbose_name=_("run"))
    """The run that the action rests on; null where it rests on none."""
    expires_at = models.DateTimeField(_("accepted until"), null=True)
    sha256 = models.BinaryField(max_length=32, null=True)
    """The content that was declared good, or of which that was withdrawn; null for all other actions."""

    class Meta:
        db_table = "checker_act"
        verbose_name = _("audit log entry")
        verbose_name_plural = _("audit log")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.action}: {self.finding}"

    @property
    def content_start(self) -> str:
        """Return the first digits of the content that the entry is about; empty for none."""
        return bytes(self.sha256 or b"").hex()[:12]
