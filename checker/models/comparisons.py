"""Define comparisons of runs, their changes, and the numbers of changes below directories."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from scanner.models import Replica, Run


class Comparison(models.Model):
    """Two complete runs of a replica; `base` is the earlier one, null for a first run.

    An adjacent comparison, with the complete run before, is computed once for each ingested run and stays. Any other is
    kept for the pages as long as somebody looks at it. A row in state WAITING is work. Written by
    `checker.jobs.run_comparisons`.
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
    """Why it was set aside, or how its last attempt ended."""
    attempts = models.PositiveSmallIntegerField(default=0)
    """Counted when an attempt begins."""
    failed_at = models.DateTimeField(null=True)
    """Since when it has failed; None where no attempt has failed since it last succeeded."""
    step = models.CharField(max_length=20, blank=True)
    """What a long comparison does now: one of `checker.changes.compare.STEPS`."""
    steps_done = models.PositiveSmallIntegerField(default=0)
    counts = models.JSONField(default=dict)
    """Paths by kind of change; a move counts once."""
    asked_at = models.DateTimeField(_("requested"), db_default=Now())
    """When somebody last asked for it."""
    computed_at = models.DateTimeField(_("computed"), null=True)
    duration_ns = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("comparison")
        verbose_name_plural = _("comparisons")
        constraints = [
            # Serves the page of a pair of runs.
            models.UniqueConstraint(fields=["run", "base"], name="comparison_once"),
            # Serves the comparison of the next run, and the charts. A run has one such comparison.
            models.UniqueConstraint(fields=["run"], condition=Q(adjacent=True), name="comparison_adjacent_once"),
            # No run is compared with itself.
            models.CheckConstraint(
                condition=Q(base__isnull=True, adjacent=True) | ~Q(base=F("run")), name="comparison_of_two"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "done", "set_aside"]), name="comparison_state_known"
            ),
        ]
        indexes = [
            # Serves the queue.
            models.Index(fields=["replica", "run"], condition=Q(state="waiting"), name="comparison_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.base} → {self.run}"


class Change(models.Model):
    """A path that differs between the runs of a comparison.

    `old_id` and `new_id` are versions, which are never deleted; null where there is none. The old version is the last
    one that was read, also where the earlier run could not read the path. There are no foreign keys, since a million of
    these rows come at once. Written by `checker.changes.store`; `finding_id` and `restores` by `checker.findings`.
    """

    class Kind(models.TextChoices):
        """Kinds of change, in the order of urgency. `checker.changes.kinds` says what each of them is."""

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
    """Whether this is the path that a move left. The other row of the move is the one that counts."""
    restores = models.BooleanField(default=False)
    """Whether the path is again what it was before an open finding. Then it is no finding of its own."""
    path = models.TextField(db_collation="C")
    other = models.TextField(null=True, db_collation="C")  # noqa: DJ001  # null is what there is
    """Of a move, the other path."""
    notes = models.JSONField(null=True)
    """What the notes of the run say of the path: the members of each note by its name."""

    class Meta:
        verbose_name = _("change")
        verbose_name_plural = _("changes")

    def __str__(self) -> str:
        return f"{self.path}: {self.kind}"


class Branch(models.Model):
    """Number of paths below a directory that changed, of one kind. Written by `checker.changes.store`."""

    DEPTH = 64
    """Levels below which nothing is counted."""

    comparison_id = models.BigIntegerField()
    number = models.BigIntegerField()
    depth = models.SmallIntegerField()
    kind = models.TextField(choices=Change.Kind, db_collation="C")
    directory = models.TextField(db_collation="C")
    """Ends with a slash. That of the root is empty, at depth 0."""

    class Meta:
        verbose_name = _("branch")
        verbose_name_plural = _("branches")

    def __str__(self) -> str:
        return f"{self.directory}: {self.number} {self.kind}"
