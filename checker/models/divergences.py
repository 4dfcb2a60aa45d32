"""What the replicas of a group differ in."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from scanner.models import Group, Replica, Run


class GroupComparison(models.Model):
    """The replicas of a group side by side: the newest proven run of each, or, with `moment`, that of then.

    Written by `group_comparisons`. A group has one without a moment, which is made anew after each run; those of a
    moment are kept as long as somebody looks at them. A row in state WAITING is work.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        DONE = "done", _("done")
        SET_ASIDE = "set_aside", _("set aside")

    group = models.ForeignKey(Group, models.PROTECT, related_name="comparisons", verbose_name=_("group"))
    moment = models.DateTimeField(_("as of"), null=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    reason = models.TextField(_("reason"), blank=True)
    """Why it was set aside, or what its last try ended with."""
    attempts = models.PositiveSmallIntegerField(default=0)
    """How often it was begun since it last succeeded; counted when it begins."""
    basis = models.TextField(blank=True)
    """What it rests on: runs, who has a vote, what the group says. Another basis makes it work again."""
    seating = ArrayField(models.BigIntegerField(), default=list)
    """The replicas in the order of the positions in what is kept; that stays while fewer than two can be compared."""
    counts = models.JSONField(default=dict)
    """Paths by kind, and, of those with several contents, by verdict."""
    equal = models.BooleanField(default=False)
    """Whether the signed `content` digests of all were equal."""
    asked_at = models.DateTimeField(_("requested"), db_default=Now())
    computed_at = models.DateTimeField(_("computed"), null=True)
    duration_ns = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("group comparison")
        verbose_name_plural = _("group comparisons")
        constraints = [
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
    """A replica in a comparison, and the run by which it is there. Written by `group_comparisons`."""

    class Standing(models.TextChoices):
        CURRENT = "current", _("current")
        STALE = "stale", _("stale")
        HELD = "held", _("on hold")
        FAILED = "failed", _("newest run failed")
        BROKEN = "broken", _("not proven")
        OFF = "off", _("switched off")
        UNSIGNED = "unsigned", _("unsigned")
        NONE = "none", _("no proven run")

    comparison = models.ForeignKey(GroupComparison, models.CASCADE, related_name="participants")
    position = models.PositiveSmallIntegerField()
    """Its place in `Divergence.versions`, from 1; those without a run come last."""
    replica = models.ForeignKey(Replica, models.PROTECT, related_name="+", verbose_name=_("replica"))
    run = models.ForeignKey(Run, models.PROTECT, null=True, related_name="+", verbose_name=_("run"))
    standing = models.CharField(_("status in the comparison"), max_length=10, choices=Standing)
    """Only what is CURRENT has a vote, and opens findings."""
    voter = models.TextField(blank=True)
    """Server and file system: who shares them has one vote with him."""
    counts = models.JSONField(default=dict)
    """Diverging paths by what they are here: a character of `Divergence.cells`, or of `judged`."""

    class Meta:
        verbose_name = _("participant")
        verbose_name_plural = _("participants")
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["comparison", "position"], name="participant_position_once"),
            models.UniqueConstraint(fields=["comparison", "replica"], name="participant_once"),
        ]

    def __str__(self) -> str:
        return f"{self.replica}: {self.standing}"


class Divergence(models.Model):
    """A path that is not the same on all replicas. Written by `divergences.store`, but `finding` by `findings`.

    Each position is a participant. `versions` are ids of rows of history, null where there is none. `cells` has a
    character for each (`Cell`), `judged` one (`Copy`) where there are several contents. Ids without foreign keys: a
    million of these rows come at once.
    """

    class Kind(models.TextChoices):
        """In the order of urgency."""

        MISMATCH = "mismatch", _("contents differ")
        LOST = "lost", _("missing")
        UNKNOWN = "unknown", _("unknown")
        MOVED = "moved", _("at another path")
        LAGGING = "lagging", _("within allowed lag")
        LINGERING = "lingering", _("kept after removal (allowed)")

    class PathVerdict(models.TextChoices):
        """What is known of several contents as a whole, the gravest first."""

        DAMAGED = "damaged", _("damaged")
        UNSURE = "unsure", _("cannot tell")
        NEWER = "newer", _("newer version")

    class Cell(models.TextChoices):
        HERE = "+", _("present")
        LOST = "-", _("missing")
        UNSEEN = "?", _("unknown")
        UNREADABLE = "!", _("unreadable")
        MOVED = ">", _("at another path")
        UNWANTED = ".", _("not kept here")
        ALLOWED = "~", _("allowed to differ")

    class CopyVerdict(models.TextChoices):
        GOOD = "g", _("good")
        DAMAGED = "d", _("damaged")
        NEWER = "n", _("newer version")
        OLDER = "o", _("older version")
        UNSURE = "u", _("cannot tell")
        NOTHING = " ", ""

    comparison_id = models.BigIntegerField()
    finding_id = models.BigIntegerField(null=True)
    since = models.DateTimeField()
    """When a comparison first found it so."""
    versions = ArrayField(models.BigIntegerField(null=True))
    current = models.BooleanField()
    """Whether those who have a vote differ among themselves."""
    kind = models.TextField(choices=Kind, db_collation="C")
    verdict = models.TextField(blank=True, choices=PathVerdict, db_collation="C")
    cells = models.TextField(db_collation="C")
    judged = models.TextField(db_collation="C")
    path = models.TextField(db_collation="C")
    others = models.JSONField(null=True)
    """By position: another path there that holds the same content, or is spelled almost alike."""
    alike = models.TextField(blank=True, db_collation="C")
    """How `others` are spelled almost alike: `unicode` (normalisation) or `case`."""
    mark = models.BinaryField(max_length=32)
    """A digest of who holds what: while it stays, the divergence is the same."""
    number = models.BigIntegerField(null=True)
    """Of an absence, for how many paths it stands: `path` is a directory, with its slash (empty: the root), of which
    those who have lost it hold nothing, while what lies below is the same on all others, or has a row of its own."""
    holder = models.BigIntegerField(null=True)
    """Of an absence, the run of one that holds it: the paths below are those of its state."""

    class Meta:
        verbose_name = _("divergence")
        verbose_name_plural = _("divergences")

    def __str__(self) -> str:
        return f"{self.path}: {self.kind}"


class DivergenceBranch(models.Model):
    """How many paths below a directory diverge, by kind, in all and on each participant. Written as Divergence is.

    `directory` ends with a slash; that of the root is empty, at depth 0. Below `Branch.DEPTH` levels nothing counts.
    """

    comparison_id = models.BigIntegerField()
    number = models.BigIntegerField()
    damaged = models.BigIntegerField()
    """Those of them of which a copy is damaged."""
    wrong = ArrayField(models.BigIntegerField())
    """By position: those of them that are not as they should be there."""
    depth = models.SmallIntegerField()
    kind = models.TextField(choices=Divergence.Kind, db_collation="C")
    directory = models.TextField(db_collation="C")

    class Meta:
        verbose_name = _("branch of divergences")
        verbose_name_plural = _("branches of divergences")

    def __str__(self) -> str:
        return f"{self.directory}: {self.number} {self.kind}"
