"""Define comparisons of a group's replicas, and what differs between them."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Left, Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from scanner.models import Group, Replica, Run


class GroupComparison(models.Model):
    """A comparison of a group's replicas, each by its newest proven run, or by that of a `moment`.

    Written by `checker.jobs.group_comparisons` alone. A group has one comparison without a moment, which is computed
    anew after each run. Those with a moment are kept for as long as somebody looks at them. A row in state WAITING is
    work.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        DONE = "done", _("done")
        SET_ASIDE = "set_aside", _("set aside")

    group = models.ForeignKey(Group, models.PROTECT, related_name="comparisons", verbose_name=_("group"))
    moment = models.DateTimeField(_("as of"), null=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    reason = models.TextField(_("reason"), blank=True)
    """Why it was set aside, or how its last attempt ended."""
    attempts = models.PositiveSmallIntegerField(default=0)
    """How often it has begun since it last succeeded. Counted before it begins."""
    failed_at = models.DateTimeField(null=True)
    """Since when it has failed; None where no attempt has failed since it last succeeded."""
    basis = models.TextField(blank=True)
    """What it rests on: runs, votes, and what the group says. With another basis it is computed anew."""
    seating = ArrayField(models.BigIntegerField(), default=list)
    """The replicas in the order of their positions in what is stored. It stays while fewer than two can be compared."""
    counts = models.JSONField(default=dict)
    """The number of paths of each kind, and, of those with several contents, with each verdict."""
    equal = models.BooleanField(default=False)
    """Whether the signed `content` digests of all runs were equal."""
    asked_at = models.DateTimeField(_("requested"), db_default=Now())
    computed_at = models.DateTimeField(_("computed"), null=True)
    duration_ns = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("group comparison")
        verbose_name_plural = _("group comparisons")
        constraints = [
            # PostgreSQL takes nulls for different ones, so the constraint below holds nothing for comparisons without a
            # moment.
            models.UniqueConstraint(
                fields=["group"], condition=Q(moment__isnull=True), name="group_comparison_newest_once"
            ),
            # Serves the page of a moment.
            models.UniqueConstraint(fields=["group", "moment"], name="group_comparison_once"),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "done", "set_aside"]), name="group_comparison_state_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.group} {self.moment or ''}".strip()


class Participant(models.Model):
    """A replica in a comparison, and the run by which it takes part. Written by `group_comparisons` alone."""

    class Status(models.TextChoices):
        """CURRENT: the run stands for what the replica has now. All others say why it does not."""

        CURRENT = "current", _("current")
        STALE = "stale", _("stale")
        HELD = "held", pgettext_lazy("replica", "on hold")
        FAILED = "failed", _("newest run failed")
        BROKEN = "broken", _("not proven")
        OFF = "off", _("switched off")
        UNSIGNED = "unsigned", _("unsigned")
        UNUSABLE = "unusable", _("left out: its statement cannot be used")
        NONE = "none", _("no proven run")

    comparison = models.ForeignKey(GroupComparison, models.CASCADE, related_name="participants")
    position = models.PositiveSmallIntegerField()
    """Its place in `Divergence.versions`, from 1. Replicas without a run come last."""
    replica = models.ForeignKey(Replica, models.PROTECT, related_name="+", verbose_name=_("replica"))
    run = models.ForeignKey(Run, models.PROTECT, null=True, related_name="+", verbose_name=_("run"))
    status = models.CharField(_("status in the comparison"), max_length=10, choices=Status, db_column="standing")
    """Only a CURRENT participant has a vote, and opens findings."""
    voter = models.TextField(blank=True)
    """Server and file system: participants with the same text have one vote together. Empty: it has no vote."""
    counts = models.JSONField(default=dict)
    """The number of diverging paths with each character of `Divergence.cells` and `judged` at this position."""

    class Meta:
        verbose_name = _("participant")
        verbose_name_plural = _("participants")
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["comparison", "position"], name="participant_position_once"),
            models.UniqueConstraint(fields=["comparison", "replica"], name="participant_once"),
        ]

    def __str__(self) -> str:
        return f"{self.replica}: {self.status}"


class Divergence(models.Model):
    """A path that is not the same on all replicas, or a directory of which some replicas have nothing.

    Written by `divergences.store`; `finding_id` by `findings` as well. `versions`, `cells` and `judged` have a place
    for each participant: the id of its version of the path (null where it has none), a character of `Cell`, and, where
    there are several contents, a character of `CopyVerdict`. Ids are no foreign keys, since a million rows come at
    once.
    """

    class Kind(models.TextChoices):
        """The kinds of divergence in the order of urgency; `divergences.kinds` describes each."""

        MISMATCH = "mismatch", _("contents differ")
        LOST = "lost", _("missing")
        UNKNOWN = "unknown", _("unknown")
        MOVED = "moved", _("at another path")
        LAGGING = "lagging", _("within allowed lag")
        LINGERING = "lingering", _("kept after removal (allowed)")

    class PathVerdict(models.TextChoices):
        """The verdict on a path with several contents, the gravest first."""

        DAMAGED = "damaged", _("damaged")
        UNSURE = "unsure", _("cannot tell")
        NEWER = "newer", _("newer version")

    class Cell(models.TextChoices):
        """The state of a path on one replica. The names of the members stand in exported files."""

        HERE = "+", _("present")
        LOST = "-", _("missing")
        UNSEEN = "?", _("unknown")
        UNREADABLE = "!", _("unreadable")
        MOVED = ">", _("at another path")
        UNWANTED = ".", _("not kept here")
        ALLOWED = "~", _("allowed to differ")

    class CopyVerdict(models.TextChoices):
        """The verdict on one copy. The names of the members stand in exported files."""

        GOOD = "g", _("good")
        DAMAGED = "d", _("damaged")
        NEWER = "n", _("newer version")
        OLDER = "o", _("older version")
        UNSURE = "u", _("cannot tell")
        NOTHING = " ", ""

    comparison_id = models.BigIntegerField()
    finding_id = models.BigIntegerField(null=True)
    since = models.DateTimeField()
    """When a comparison first found the path as it is now."""
    versions = ArrayField(models.BigIntegerField(null=True))
    current = models.BooleanField()
    """Whether the participants with a vote differ among themselves."""
    kind = models.TextField(choices=Kind, db_collation="C")
    verdict = models.TextField(blank=True, choices=PathVerdict, db_collation="C")
    cells = models.TextField(db_collation="C")
    judged = models.TextField(db_collation="C")
    path = models.TextField(db_collation="C")
    others = models.JSONField(null=True)
    """For some positions: another path there that has the same content, or is spelled almost alike."""
    alike = models.TextField(blank=True, db_collation="C")
    """How `others` are spelled almost alike: `unicode` (normalisation) or `case`."""
    mark = models.BinaryField(max_length=32)
    """A digest of which replica has what. While it stays, the divergence is the same."""
    number = models.BigIntegerField(null=True)
    """For a missing directory: the number of paths for which it stands. `path` is then the directory, with its slash
    (empty: the root). What lies below is the same on all that have it, or has a row of its own."""
    holder = models.BigIntegerField(null=True)
    """For a missing directory: a run of a replica that has it, whose state has the paths below."""

    class Meta:
        verbose_name = _("divergence")
        verbose_name_plural = _("divergences")

    def __str__(self) -> str:
        return f"{self.path}: {self.kind}"


class DivergenceBranch(models.Model):
    """The number of paths of one kind that diverge below a directory. Written as Divergence is.

    `directory` ends with a slash; that of the root is empty, at depth 0. Deeper than `Branch.DEPTH` nothing is counted.
    """

    comparison_id = models.BigIntegerField()
    number = models.BigIntegerField()
    damaged = models.BigIntegerField()
    """How many of them have a damaged copy."""
    wrong = ArrayField(models.BigIntegerField())
    """For each position, how many of them are not as they should be there."""
    depth = models.SmallIntegerField()
    kind = models.TextField(choices=Divergence.Kind, db_collation="C")
    directory = models.TextField(db_collation="C")

    class Meta:
        verbose_name = _("branch of divergences")
        verbose_name_plural = _("branches of divergences")

    def __str__(self) -> str:
        return f"{self.directory}: {self.number} {self.kind}"


class KnownDamage(models.Model):
    """A content of a path that a comparison found damaged, on whatever ground.

    It stays damaged wherever it is copied, whatever happens to the other copies, until a person says that it is right.
    Written by `divergences.store`; `findings.declarations` records when a person declares it good.
    """

    group = models.ForeignKey(Group, models.PROTECT, related_name="known_damage", verbose_name=_("group"))
    replica = models.ForeignKey(Replica, models.PROTECT, related_name="+", verbose_name=_("replica"))
    run = models.ForeignKey(Run, models.PROTECT, related_name="+", verbose_name=_("run"))
    """The run that had the content."""
    path = models.TextField(_("path"), db_collation="C")
    sha256 = models.BinaryField(max_length=32)
    undamaged_sha256 = models.BinaryField(max_length=32, null=True)
    """The content that the damage replaced, or that outvoted it. Null where nobody knew."""
    ground = models.TextField()
    """One of `divergences.verdicts.VerdictReason`."""
    judged_at = models.DateTimeField(_("judged"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("ended by")
    )
    reason = models.TextField(_("reason"), blank=True)
    """What the person said who ended it."""

    class Meta:
        verbose_name = _("known damage")
        verbose_name_plural = _("known damage")
        indexes = [
            # Serves the comparison of a group, which asks for a few paths.
            models.Index("group", Left("path", 512), name="known_damage_path"),
            # Serves the basis of comparisons, which asks each minute what people declared.
            models.Index("group", condition=Q(ended_at__isnull=False), name="known_damage_ended"),
        ]

    def __str__(self) -> str:
        return f"{self.path}: {self.ground}"
