"""Define runs: received ones, contradicting statements, and the progress of current ones."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from scanner.models.groups import Replica
from scanner.models.servers import ServerKey

CLOCK_TOLERANCE = timedelta(minutes=5)
"""A clock that is off by no more is not reported."""


class Run(models.Model):
    """One pass over one replica, with its statement as signed.

    Written by `ingest.accept` when it arrives, then by `ingest.store` and `db.attempts`; `ingest.inbox` clears
    `upload`, `ingest.journal` sets `journaled_at`. The row is the work: RECEIVED waits for ingest. Digests are raw
    bytes; `statement` is the SHA3-512 of the payload.
    """

    class State(models.TextChoices):
        RECEIVED = "received", _("received")
        INGESTED = "ingested", _("ingested")
        FAILED = "failed", _("failed on its server")
        REFUSED = "refused", _("refused")
        SET_ASIDE = "set_aside", _("set aside")

    uuid = models.UUIDField(unique=True)
    replica = models.ForeignKey(Replica, models.PROTECT, related_name="runs", verbose_name=_("replica"))
    sequence = models.PositiveIntegerField(_("run"), validators=[MinValueValidator(1)])
    state = models.CharField(_("state"), max_length=10, choices=State)
    reason = models.TextField(_("reason"), blank=True)
    """Why the run failed, was refused or set aside."""
    envelope = models.BinaryField(null=True)
    """Line 1 of the report as it came; null only for an unsigned import."""
    statement = models.BinaryField(max_length=64)
    previous = models.BinaryField(max_length=64, null=True)
    key = models.ForeignKey(ServerKey, models.PROTECT, null=True, related_name="runs", verbose_name=_("server key"))
    break_reason = models.TextField(_("break in the chain"), blank=True)
    break_acknowledged_at = models.DateTimeField(_("break acknowledged"), null=True, blank=True)
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"))
    received_at = models.DateTimeField(_("received"), db_default=Now())
    ingested_at = models.DateTimeField(_("ingested"), null=True)
    journaled_at = models.DateTimeField(_("in the journal"), null=True)
    work_time_ns = models.BigIntegerField(_("duration"))
    engine = models.CharField(_("engine"), max_length=10, blank=True)
    files = models.BigIntegerField(_("files"))
    bytes = models.BigIntegerField(_("bytes"))
    errors = models.BigIntegerField(_("errors"))
    content = models.BinaryField(max_length=64, null=True)
    records_count = models.BigIntegerField()
    records_bytes = models.BigIntegerField()
    records_digest = models.BinaryField(max_length=64)
    upload = models.CharField(max_length=100, blank=True)
    """Name of the uploaded bytes in the storage `reports`; empty when they were deleted or there were none."""
    upload_size = models.BigIntegerField(default=0)
    """Bytes as uploaded, for the quota; stays when the upload is deleted."""
    attempts = models.PositiveSmallIntegerField(default=0)
    """How often ingest was started; counted before it starts."""
    opened = models.BigIntegerField(null=True)
    closed = models.BigIntegerField(null=True)
    """Version rows that this run began and ended."""

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ["replica", "-sequence"]
        constraints = [
            # Serves the chain, the state at a run and the list of a replica's runs.
            models.UniqueConstraint(fields=["replica", "sequence"], name="run_once"),
            models.CheckConstraint(condition=Q(sequence__gte=1), name="run_sequence_positive"),
            models.CheckConstraint(
                condition=Q(state__in=["received", "ingested", "failed", "refused", "set_aside"]),
                name="run_state_known",
            ),
            models.CheckConstraint(
                condition=~Q(state="ingested") | Q(ingested_at__isnull=False), name="run_ingested_when"
            ),
        ]
        indexes = [
            # Serves the queue, which ingest reads each minute.
            models.Index(fields=["replica", "sequence"], condition=Q(state="received"), name="run_waiting"),
            # Serves the overview: broken chains that nobody has acknowledged.
            models.Index(
                fields=["replica"],
                condition=Q(break_acknowledged_at__isnull=True) & ~Q(break_reason=""),
                name="run_break_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.replica} #{self.sequence}"

    @property
    def ended_at(self) -> datetime:
        """Return when the run had ended by the earlier of two clocks: its server's, and that of the central server.

        Ages are reckoned from it, so that a clock that is ahead makes nothing old. SQL says the same with least().
        """
        return min(self.finished_at, self.received_at)

    @property
    def clock_skew(self) -> timedelta | None:
        """Return how far the server's clock was off, at least. None when it was right, or off by CLOCK_TOLERANCE.

        Positive: the clock was ahead, since the run ended after it had arrived. Negative: the clock was set back while
        the run was going on. A run that arrives long after it ended says nothing about a clock.
        """
        ahead = self.finished_at - self.received_at
        if ahead > CLOCK_TOLERANCE:
            return ahead

        elapsed = self.finished_at - self.started_at
        if elapsed < timedelta(0):
            return elapsed
        return None


class Equivocation(models.Model):
    """A second statement for a sequence that has one: evidence of a clone, a restored machine or a stolen key.

    Written by `ingest.accept`; the server is on hold until an operator resolves it.
    """

    run = models.ForeignKey(Run, models.PROTECT, related_name="equivocations", verbose_name=_("run"))
    envelope = models.BinaryField()
    statement = models.BinaryField(max_length=64)
    received_at = models.DateTimeField(_("received"), db_default=Now())
    resolved_at = models.DateTimeField(pgettext_lazy("conflict", "resolved"), null=True, blank=True)

    class Meta:
        verbose_name = _("conflicting statement")
        verbose_name_plural = _("conflicting statements")
        # A sender that tries again brings no second row.
        constraints = [models.UniqueConstraint(fields=["run", "statement"], name="equivocation_once")]

    def __str__(self) -> str:
        return str(self.run)


class Progress(models.Model):
    """Progress of a current run. Written by `api.progress`, deleted by `ingest.accept` when the report arrives."""

    uuid = models.UUIDField(primary_key=True)
    """The run's."""
    replica = models.ForeignKey(Replica, models.CASCADE, related_name="progress", verbose_name=_("replica"))
    started_at = models.DateTimeField(_("started"))
    updated_at = models.DateTimeField(_("updated"))
    phase = models.CharField(_("phase"), max_length=10)
    """walk, hash, confirm, write or send."""
    files_done = models.BigIntegerField(default=0)
    files_total = models.BigIntegerField(default=0)
    bytes_done = models.BigIntegerField(default=0)
    bytes_total = models.BigIntegerField(default=0)
    current = models.TextField(blank=True)
    """Coded path of the file that is read now."""

    class Meta:
        verbose_name = _("progress")
        verbose_name_plural = _("progress")
        # Serves the pages that show the current run of each replica.
        indexes = [models.Index(fields=["replica", "-updated_at"], name="progress_newest")]

    def __str__(self) -> str:
        return str(self.uuid)
