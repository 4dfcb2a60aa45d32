"""Define history: what each path was, from which run until which."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from scanner.format.entry_type import EntryType
from scanner.models.groups import Replica
from scanner.models.runs import Run


class Version(models.Model):
    """A row of history: an entry as it was from run `from_seq` until before run `until_seq` (null: still so).

    Written by `ingest.store` alone. Wide columns come first, so that no padding is stored. Which columns are set
    depends on `type` (`format.records`). Text collates "C": its order is that of bytes. The indexes need expressions on
    a part of the path: migration 0002 creates them and says whom each serves.
    """

    size = models.BigIntegerField(_("size"), null=True)
    mtime_ns = models.BigIntegerField(_("modified"), null=True)
    uid = models.BigIntegerField(null=True)
    gid = models.BigIntegerField(null=True)
    # No index of its own, since the index version_path begins with it. The database has no foreign key, whose checks
    # would be a third of ingest: a trigger of migration 0002 protects the replica instead.
    replica = models.ForeignKey(
        Replica, models.PROTECT, db_index=False, related_name="versions", verbose_name=_("replica")
    )
    from_seq = models.IntegerField()
    until_seq = models.IntegerField(null=True)
    mode = models.IntegerField(null=True)
    type = models.SmallIntegerField()
    sha256 = models.BinaryField(max_length=32, null=True)
    md5 = models.BinaryField(max_length=16, null=True)
    path = models.TextField(_("path"), db_collation="C")
    detail = models.TextField(null=True, db_collation="C")  # noqa: DJ001  # null as in `records.Entry`
    stage = models.TextField(null=True, db_collation="C")  # noqa: DJ001  # likewise

    class Meta:
        verbose_name = _("version")
        verbose_name_plural = _("versions")
        constraints = [
            models.CheckConstraint(
                condition=Q(from_seq__gte=1) & (Q(until_seq__isnull=True) | Q(until_seq__gt=F("from_seq"))),
                name="version_interval",
            ),
            models.CheckConstraint(
                condition=Q(type__in=[entry_type.value for entry_type in EntryType]), name="version_type_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.path} [{self.from_seq}, {self.until_seq or ''})"


class Note(models.Model):
    """An event at a path in one run; never part of history. Written by `ingest.store` alone."""

    # No index of its own: the index note_run of migration 0002 begins with it and has the order of the report, too.
    run = models.ForeignKey(Run, models.PROTECT, related_name="notes", db_index=False, verbose_name=_("run"))
    note = models.TextField(db_collation="C")
    path = models.TextField(db_collation="C")
    detail = models.TextField(db_collation="C")
    """Canonical JSON of the note's other members, or empty."""

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")

    def __str__(self) -> str:
        return f"{self.note}: {self.path}"
