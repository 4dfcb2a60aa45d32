"""What the central server knows. Which module writes a table stands in its docstring."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from scanner.validators import validate_excludes, validate_root


class Server(models.Model):
    """A machine that runs the collector. Written by the admin; `enrolment` and `chain` hold and release it."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(_("name"), max_length=200, unique=True)
    note = models.TextField(_("note"), blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True, editable=False)
    held_at = models.DateTimeField(_("held"), null=True, blank=True, editable=False)
    held_reason = models.TextField(_("reason of the hold"), blank=True, editable=False)
    """While held, nothing of this server is accepted: two statements for one sequence were seen."""
    last_seen_at = models.DateTimeField(_("last seen"), null=True, blank=True, editable=False)
    uploads_per_hour = models.PositiveIntegerField(_("uploads per hour"), null=True, blank=True)
    bytes_per_day = models.PositiveBigIntegerField(_("bytes per day"), null=True, blank=True)
    """Quotas; null means the setting of the whole installation."""

    class Meta:
        verbose_name = _("server")
        verbose_name_plural = _("servers")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class EnrolmentToken(models.Model):
    """A one-time right to register a key for a server; only its SHA-256 is kept. Written by `enrolment`."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="enrolment_tokens")
    digest = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    expires_at = models.DateTimeField(_("expires"))
    used_at = models.DateTimeField(_("used"), null=True)
    key = models.ForeignKey("ServerKey", models.PROTECT, null=True, related_name="+")
    """The key it registered: the same key may ask again while the token lives, since an answer can be lost."""

    class Meta:
        verbose_name = _("enrolment token")
        verbose_name_plural = _("enrolment tokens")


class ServerToken(models.Model):
    """A bearer token for transport; only its SHA-256 is kept. Written by `enrolment`."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="tokens")
    digest = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    last_used_at = models.DateTimeField(_("last used"), null=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True)

    class Meta:
        verbose_name = _("server token")
        verbose_name_plural = _("server tokens")


class ServerKey(models.Model):
    """An Ed25519 public key that speaks for a server; kept for ever. Written by `enrolment`."""

    server = models.ForeignKey(Server, models.PROTECT, related_name="keys")
    keyid = models.CharField(_("key"), max_length=64, unique=True)
    public = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    """From then on nothing new signed by it is accepted; what was accepted stays."""

    class Meta:
        verbose_name = _("server key")
        verbose_name_plural = _("server keys")

    def __str__(self) -> str:
        return self.keyid[:16]


class Group(models.Model):
    """A set of data that should be the same wherever it is kept. Written by the admin."""

    class Engine(models.TextChoices):
        AUTO = "auto", _("the faster one")
        NATIVE = "native", _("the platform's tools")
        HASHLIB = "hashlib", _("in process, one read")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(_("name"), max_length=200, unique=True)
    note = models.TextField(_("note"), blank=True)
    excludes = models.TextField(_("excludes"), blank=True, validators=[validate_excludes])
    engine = models.CharField(_("engine"), max_length=10, choices=Engine, default=Engine.AUTO)
    cross_mounts = models.BooleanField(_("enter mounts below the root"), default=False)
    expected_interval = models.DurationField(_("expected interval"), default=timedelta(days=1))
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("group")
        verbose_name_plural = _("groups")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(expected_interval__gt=timedelta(0)), name="group_interval_positive"),
            models.CheckConstraint(condition=Q(engine__in=["auto", "native", "hashlib"]), name="group_engine_known"),
        ]

    def __str__(self) -> str:
        return self.name


class Replica(models.Model):
    """One copy of a group: (group, server, root); the root never changes. Written by the admin and `old_form`.

    `accept_root` is an operator's release of a guard: the next run may find another file system below the root; the run that
    used it clears it. Who released it stands in the admin's log, that it was used in the run's statement.
    """

    class Origin(models.TextChoices):
        COLLECTOR = "collector", _("signed by a collector")
        UNSIGNED = "unsigned", _("imported, unsigned")

    id = models.AutoField(primary_key=True)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    group = models.ForeignKey(Group, models.PROTECT, related_name="replicas")
    server = models.ForeignKey(Server, models.PROTECT, related_name="replicas")
    root = models.CharField(_("root"), max_length=600, validators=[validate_root])
    """An absolute path in its coded form; as long as a B-tree key can be."""
    origin = models.CharField(_("origin"), max_length=10, choices=Origin, default=Origin.COLLECTOR, editable=False)
    enabled = models.BooleanField(_("enabled"), default=True)
    accept_root = models.BooleanField(_("accept another file system once"), default=False)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("replica")
        verbose_name_plural = _("replicas")
        ordering = ["group__name", "server__name", "root"]
        constraints = [
            models.UniqueConstraint(fields=["group", "server", "root", "origin"], name="replica_once"),
            models.CheckConstraint(condition=Q(root__startswith="/"), name="replica_root_absolute"),
            models.CheckConstraint(condition=Q(origin__in=["collector", "unsigned"]), name="replica_origin_known"),
        ]

    def __str__(self) -> str:
        return f"{self.group} @ {self.server}:{self.root}"


class Run(models.Model):
    """One hash pass over one replica, with its statement as signed. Written by `chain` when it arrives, by `store` from then on.

    The row is the work: RECEIVED waits for ingest. Digests are raw bytes; `statement` is the SHA3-512 of the payload.
    """

    class State(models.TextChoices):
        RECEIVED = "received", _("received")
        INGESTED = "ingested", _("ingested")
        FAILED = "failed", _("failed on its server")
        REFUSED = "refused", _("refused")
        SET_ASIDE = "set_aside", _("set aside")

    uuid = models.UUIDField(unique=True)
    replica = models.ForeignKey(Replica, models.PROTECT, related_name="runs")
    sequence = models.PositiveIntegerField(_("run"), validators=[MinValueValidator(1)])
    state = models.CharField(_("state"), max_length=10, choices=State)
    reason = models.TextField(_("reason"), blank=True)
    """Why it failed, was refused or set aside."""
    envelope = models.BinaryField(null=True)
    """Line 1 of the report as it came; null only for an unsigned import."""
    statement = models.BinaryField(max_length=64)
    previous = models.BinaryField(max_length=64, null=True)
    key = models.ForeignKey(ServerKey, models.PROTECT, null=True, related_name="runs")
    break_reason = models.TextField(_("break in the chain"), blank=True)
    break_acknowledged_at = models.DateTimeField(_("break acknowledged"), null=True, blank=True)
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"))
    received_at = models.DateTimeField(_("received"), db_default=Now())
    ingested_at = models.DateTimeField(_("ingested"), null=True)
    journaled_at = models.DateTimeField(_("in the journal"), null=True)
    work_time_ns = models.BigIntegerField(_("work time"))
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
    """How often ingest was begun; counted when it begins."""
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
            # The queue: what ingest looks for each minute.
            models.Index(fields=["replica", "sequence"], condition=Q(state="received"), name="run_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.replica} #{self.sequence}"


class Usage(models.Model):
    """What a server, or an address, has used up of a quota in one slot of time. Written by `quotas`."""

    subject = models.CharField(max_length=100)
    """`uploads:` or `bytes:` and a server, `enrolment:` and an address."""
    slot = models.DateTimeField()
    """When the slot began: a minute, an hour or a day."""
    used = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("usage")
        verbose_name_plural = _("usage")
        constraints = [models.UniqueConstraint(fields=["subject", "slot"], name="usage_once")]


class Equivocation(models.Model):
    """A second statement for a sequence that has one: evidence of a clone, a restored machine or a stolen key.

    Written by `chain`; the server is held until an operator resolves it.
    """

    run = models.ForeignKey(Run, models.PROTECT, related_name="equivocations")
    envelope = models.BinaryField()
    statement = models.BinaryField(max_length=64)
    received_at = models.DateTimeField(_("received"), db_default=Now())
    resolved_at = models.DateTimeField(_("resolved"), null=True, blank=True)

    class Meta:
        verbose_name = _("equivocation")
        verbose_name_plural = _("equivocations")
        constraints = [models.UniqueConstraint(fields=["run", "statement"], name="equivocation_once")]


class Progress(models.Model):
    """How far a run is that goes on now. Written by `progress`, deleted by `chain` when the run arrives."""

    uuid = models.UUIDField(primary_key=True)
    """Of the run."""
    replica = models.ForeignKey(Replica, models.CASCADE, related_name="progress")
    started_at = models.DateTimeField(_("started"))
    updated_at = models.DateTimeField(_("updated"))
    phase = models.CharField(_("phase"), max_length=10)
    """walk, hash, write or send."""
    files_done = models.BigIntegerField(default=0)
    files_total = models.BigIntegerField(default=0)
    bytes_done = models.BigIntegerField(default=0)
    bytes_total = models.BigIntegerField(default=0)
    current = models.TextField(blank=True)
    """Coded path of the file that is being read."""

    class Meta:
        verbose_name = _("progress")
        verbose_name_plural = _("progress")
        indexes = [models.Index(fields=["replica", "-updated_at"], name="progress_newest")]


class Version(models.Model):
    """A row of history: an entry as it stood from run `from_seq` until before run `until_seq` (null: still so).

    Written by `store` alone. Wide columns first, so that no padding is stored. Which columns are set depends on `type`
    (`scanner.records`): 1 file, 2 error, 3 link, 4 special. The table's text columns collate "C": order is that of bytes.
    Its indexes need expressions on a part of the path: they stand, with whom they serve, in migration 0002.
    """

    size = models.BigIntegerField(_("size"), null=True)
    mtime_ns = models.BigIntegerField(_("modified"), null=True)
    uid = models.BigIntegerField(null=True)
    gid = models.BigIntegerField(null=True)
    replica = models.ForeignKey(Replica, models.PROTECT, db_index=False, related_name="versions")
    from_seq = models.IntegerField()
    until_seq = models.IntegerField(null=True)
    mode = models.IntegerField(null=True)
    type = models.SmallIntegerField()
    sha256 = models.BinaryField(max_length=32, null=True)
    md5 = models.BinaryField(max_length=16, null=True)
    path = models.TextField(_("path"), db_collation="C")
    detail = models.TextField(null=True, db_collation="C")
    stage = models.TextField(null=True, db_collation="C")

    class Meta:
        verbose_name = _("version")
        verbose_name_plural = _("versions")
        constraints = [
            models.CheckConstraint(
                condition=Q(from_seq__gte=1) & (Q(until_seq__isnull=True) | Q(until_seq__gt=F("from_seq"))),
                name="version_interval",
            ),
            models.CheckConstraint(condition=Q(type__in=[1, 2, 3, 4]), name="version_type_known"),
        ]


class Note(models.Model):
    """What happened to a path in one run; never part of history. Written by `store` alone."""

    run = models.ForeignKey(Run, models.PROTECT, related_name="notes", db_index=False)
    note = models.TextField(db_collation="C")
    path = models.TextField(db_collation="C")
    detail = models.TextField(db_collation="C")
    """Canonical JSON of what else the note says, or empty."""

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
