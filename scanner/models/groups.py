"""Define groups of data and their copies, the replicas."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from scanner.models.servers import Server
from scanner.validators import validate_excludes, validate_root


class Group(models.Model):
    """A set of data that should be the same wherever it is kept. Written by the admin."""

    class Engine(models.TextChoices):
        AUTO = "auto", _("automatic: the faster one")
        NATIVE = "native", _("the platform's own tools")
        HASHLIB = "hashlib", _("in process, one read")

    class Policy(models.TextChoices):
        MUTABLE = "mutable", _("mutable: files are added, changed and removed")
        APPEND_ONLY = "append_only", _("append-only: files are added, never changed or removed")
        IMMUTABLE = "immutable", _("immutable: nothing changes")
        ROTATING = "rotating", _("rotating: new files are added, old ones are removed")

    class Relation(models.TextChoices):
        MIRROR = "mirror", _("mirror: all copies are alike")
        PRIMARY = "primary", _("primary: one replica leads, the others follow it")
        SUBSET = "subset", _("parts: some replicas keep only a part")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(_("name"), max_length=200, unique=True)
    note = models.TextField(_("note"), blank=True)
    excludes = models.TextField(_("excludes"), blank=True, validators=[validate_excludes])
    engine = models.CharField(_("engine"), max_length=10, choices=Engine, default=Engine.AUTO)
    cross_mounts = models.BooleanField(_("enter mount points below the root"), default=False)
    expected_interval = models.DurationField(_("expected interval"), default=timedelta(days=1))
    policy = models.CharField(_("policy"), max_length=12, choices=Policy, default=Policy.MUTABLE)
    keep_days = models.PositiveIntegerField(_("days to keep a file"), null=True, blank=True)
    """Of a rotating group: removing a file that has reached this age is expected."""
    limit_share = models.PositiveSmallIntegerField(_("and more than this percentage of files"), null=True, blank=True)
    limit_files = models.PositiveIntegerField(_("hold when more files than this change"), null=True, blank=True)
    """A run that changes or removes more than both of these, percent and files, puts its replica on hold. Null: the
    limit follows from earlier runs."""
    relation = models.CharField(_("relation"), max_length=10, choices=Relation, default=Relation.MIRROR)
    lag = models.DurationField(_("allowed lag"), default=timedelta(days=1))
    """With a primary: what it has had for less than this may be missing or older on the others."""
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("group")
        verbose_name_plural = _("groups")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(expected_interval__gt=timedelta(0)), name="group_interval_positive"),
            # Django checks choices in forms alone. The database checks them for every writer.
            models.CheckConstraint(condition=Q(engine__in=["auto", "native", "hashlib"]), name="group_engine_known"),
            models.CheckConstraint(
                condition=Q(policy__in=["mutable", "append_only", "immutable", "rotating"]), name="group_policy_known"
            ),
            models.CheckConstraint(
                condition=~Q(policy="rotating") | Q(keep_days__isnull=False), name="group_rotation_has_an_age"
            ),
            models.CheckConstraint(condition=Q(limit_share=None) | Q(limit_share__lte=100), name="group_share_percent"),
            models.CheckConstraint(
                condition=Q(relation__in=["mirror", "primary", "subset"]), name="group_relation_known"
            ),
            models.CheckConstraint(condition=Q(lag__gte=timedelta(0)), name="group_lag_not_negative"),
        ]

    def __str__(self) -> str:
        return self.name


class Replica(models.Model):
    """One copy of a group: (group, server, root). Written by the admin and `ingest.import_files`.

    The root never changes. `accept_root` is an operator's permission: the next run may find another file system at the
    root, and the run that uses the permission ends it. The admin's log says who gave it, and the run's statement that
    it was used.
    """

    class Origin(models.TextChoices):
        COLLECTOR = "collector", _("signed by a collector")
        UNSIGNED = "unsigned", _("imported, unsigned")

    # 4 bytes: each row of the history has the id, and `db.binary_copy` packs it so.
    id = models.AutoField(primary_key=True)
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    group = models.ForeignKey(Group, models.PROTECT, related_name="replicas", verbose_name=_("group"))
    server = models.ForeignKey(Server, models.PROTECT, related_name="replicas", verbose_name=_("server"))
    root = models.CharField(_("root"), max_length=600, validators=[validate_root])
    """An absolute path in its coded form. No longer than a B-tree key can be."""
    origin = models.CharField(_("origin"), max_length=10, choices=Origin, default=Origin.COLLECTOR, editable=False)
    enabled = models.BooleanField(_("enabled"), default=True)
    accept_root = models.BooleanField(_("accept a changed root once"), default=False)
    leads = models.BooleanField(_("primary"), default=False)
    """Whether this is the primary replica of the group."""
    keeps = models.TextField(_("keeps only"), blank=True, validators=[validate_excludes])
    """In a group of parts: what is expected here, in the grammar of excludes. Empty: everything."""
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("replica")
        verbose_name_plural = _("replicas")
        ordering = ["group__name", "server__name", "root"]
        constraints = [
            # With the origin: reports in the first format may lie beside what a collector signs of the same root.
            models.UniqueConstraint(fields=["group", "server", "root", "origin"], name="replica_once"),
            models.CheckConstraint(condition=Q(root__startswith="/"), name="replica_root_absolute"),
            models.CheckConstraint(condition=Q(origin__in=["collector", "unsigned"]), name="replica_origin_known"),
            # An archived primary does not stand in the way of its successor.
            models.UniqueConstraint(
                fields=["group"], condition=Q(leads=True, archived_at=None), name="replica_one_leads"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.group} @ {self.server}:{self.root}"


class Scope(models.Model):
    """Excludes and options that a group had, under the digest that runs name. Written by `scopes`."""

    digest = models.BinaryField(max_length=64, primary_key=True)
    """SHA3-512: the statement's `config`."""
    excludes = models.TextField(_("excludes"), blank=True)
    cross_mounts = models.BooleanField(_("enter mount points below the root"))

    class Meta:
        verbose_name = _("scope")
        verbose_name_plural = _("scopes")

    def __str__(self) -> str:
        return bytes(self.digest).hex()[:16]
