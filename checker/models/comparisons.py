"""What two runs of a replica differ in."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from scanner.models import Replica, Run


class Comparison(models.Model):
    """Two complete runs of a replica, `base` the earlier one (null for a first run). Written by `comparisons`.

    An adjacent one, with the complete run before, is made once for each ingested run and stays; any other is kept for
    the pages as long as somebody looks at it. A row in state WAITING is work.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        DONE = "done", _("done")
        SET_ASIDE = "set_aside", _("set aside")

    replica = models.ForeignKey(Replica, models.PROTECT, related_name="comparisons", verbose_name=_("replica"))
    base = models.ForeignKey(
        Run, models.PROTECT, null=True, related_name="comparisons_from", verbose_name=_("earlier run")
    )
    run = models.ForeignKey(Run, models.PROTECT, related_name="comparisons", verbose_name=_("run"))
    adjacent = models.BooleanField(_("with the previous run"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    reason = models.TextField(_("reason"), blank=True)
    """Why it was set aside, or what its last try ended with."""
    attempts = models.PositiveSmallIntegerField(default=0)
    """How often it was begun; counted when it begins."""
    step = models.CharField(max_length=20, blank=True)
    """What a long comparison is doing now."""
    steps_done = models.PositiveSmallIntegerField(default=0)
    counts = models.JSONField(default=dict)
    """Paths by kind; a move counts once."""
    asked_at = models.DateTimeField(_("requested"), db_default=Now())
    """When somebody last looked at it."""
    computed_at = models.DateTimeField(_("computed"), null=True)
    duration_ns = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("comparison")
        verbose_name_plural = _("comparisons")
        constraints = [
            # Serves the page of a pair of runs.
            models.UniqueConstraint(fields=["run", "base"], name="comparison_once"),
            # Serves the next run's comparison and the charts; a run has one.
            models.UniqueConstraint(fields=["run"], condition=Q(adjacent=True), name="comparison_adjacent_once"),
            models.CheckConstraint(
                condition=Q(base__isnull=True, adjacent=True) | ~Q(base=F("run")), name="comparison_of_two"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "done", "set_aside"]), name="comparison_state_known"
            ),
        ]
        indexes = [
            # The queue.
            models.Index(fields=["replica", "run"], condition=Q(state="waiting"), name="comparison_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.base} → {self.run}"


class Change(models.Model):
    """A path that differs between the runs of a comparison. Written by `compare` alone, but `finding` by `findings`.

    `old` and `new` are versions by their ids, which never go; null where there is none. `old` is the last version of
    the path that was read, also where the earlier run could not read it. Ids without foreign keys: a million of these
    rows come at once.
    """

    class Kind(models.TextChoices):
        """What became of a path between two runs; `checker.changes.rules` says which it is. In the order of urgency."""

        CORRUPTED = "corrupted", _("corrupted")
        REWRITTEN = "rewritten", _("changed, date unchanged")
        UNREADABLE = "unreadable", _("unreadable")
        UNKNOWN = "unknown", _("unknown")
        REMOVED = "removed", _("removed")
        MODIFIED = "modified", _("modified")
        REVERTED = "reverted", _("reverted to earlier content")
        RETYPED = "retyped", _("type or link target changed")
        ADDED = "added", _("added")
        MOVED = "moved", _("moved")
        TOUCHED = "touched", _("attributes changed")
        READABLE = "readable", _("readable again")
        OUT_OF_SCOPE = "out_of_scope", _("out of scope")

    comparison_id = models.BigIntegerField()
    finding_id = models.BigIntegerField(null=True)
    old_id = models.BigIntegerField(null=True)
    new_id = models.BigIntegerField(null=True)
    kind = models.TextField(choices=Kind, db_collation="C")
    departed = models.BooleanField(default=False)
    """Of a move, the path that it left; the other row of the move is the one that counts."""
    restores = models.BooleanField(default=False)
    """That it makes a path again what it was before an open finding: that is no finding of its own."""
    path = models.TextField(db_collation="C")
    other = models.TextField(null=True, db_collation="C")  # noqa: DJ001  # null is what there is
    """Of a move, the other path."""
    notes = models.JSONField(null=True)
    """What the run's notes say of the path: {note: its members}."""

    class Meta:
        verbose_name = _("change")
        verbose_name_plural = _("changes")

    def __str__(self) -> str:
        return f"{self.path}: {self.kind}"


class Branch(models.Model):
    """How many paths below a directory changed, by kind. Written by `compare` alone.

    `directory` ends with a slash; that of the root is empty, at depth 0. Below DEPTH levels nothing is counted.
    """

    DEPTH = 64

    comparison_id = models.BigIntegerField()
    number = models.BigIntegerField()
    depth = models.SmallIntegerField()
    kind = models.TextField(choices=Change.Kind, db_collation="C")
    directory = models.TextField(db_collation="C")

    class Meta:
        verbose_name = _("branch")
        verbose_name_plural = _("branches")

    def __str__(self) -> str:
        return f"{self.directory}: {self.number} {self.kind}"
