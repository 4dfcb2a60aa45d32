"""Define servers, their keys and tokens, and the use of their quotas."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Server(models.Model):
    """A machine that runs the collector. Written by the admin; `ingest.accept` puts it on hold and releases it."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(_("name"), max_length=200, unique=True)
    note = models.TextField(_("note"), blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True, editable=False)
    held_at = models.DateTimeField(pgettext_lazy("server", "on hold"), null=True, blank=True, editable=False)
    held_reason = models.TextField(_("reason for the hold"), blank=True, editable=False)
    """On hold, nothing of this server is accepted: it sent two statements for one sequence."""
    last_seen_at = models.DateTimeField(_("last contact"), null=True, blank=True, editable=False)
    clock_offset_s = models.IntegerField(_("seconds that the clock is ahead"), null=True, blank=True, editable=False)
    """Negative: behind. Written by `api.clock`; null before the server has said what time it has."""
    clock_checked_at = models.DateTimeField(_("clock compared"), null=True, blank=True, editable=False)
    uploads_per_hour = models.PositiveIntegerField(_("uploads per hour"), null=True, blank=True)
    bytes_per_day = models.PositiveBigIntegerField(_("bytes per day"), null=True, blank=True)
    entries_per_day = models.PositiveBigIntegerField(_("new entries per day"), null=True, blank=True)
    """Quotas. Null: the setting of the whole installation."""

    class Meta:
        verbose_name = _("server")
        verbose_name_plural = _("servers")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class EnrolmentToken(models.Model):
    """A one-time right to register a key for a server; only its SHA-256 is kept. Written by `enrolment`."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="enrolment_tokens", verbose_name=_("server"))
    digest = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    expires_at = models.DateTimeField(_("expires"))
    used_at = models.DateTimeField(_("used"), null=True)
    used_from = models.GenericIPAddressField(_("used from"), null=True)
    reused_at = models.DateTimeField(_("used again"), null=True)
    reused_from = models.GenericIPAddressField(_("used again from"), null=True)
    """When and from where another key came with the used token first: somebody else has or had the token."""
    key = models.ForeignKey("ServerKey", models.PROTECT, null=True, related_name="+", verbose_name=_("server key"))
    """The key that was registered. The same key may ask again while the token is valid: a response can be lost."""

    class Meta:
        verbose_name = _("enrolment token")
        verbose_name_plural = _("enrolment tokens")

    def __str__(self) -> str:
        return f"{self.server} until {self.expires_at:%Y-%m-%d %H:%M}"


class ServerToken(models.Model):
    """A bearer token for transport; only its SHA-256 is kept. Written by `enrolment`."""

    server = models.ForeignKey(Server, models.CASCADE, related_name="tokens", verbose_name=_("server"))
    # Its index serves every request of a collector.
    digest = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    last_used_at = models.DateTimeField(_("last used"), null=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True)

    class Meta:
        verbose_name = _("server token")
        verbose_name_plural = _("server tokens")

    def __str__(self) -> str:
        return f"{self.server} since {self.created_at}"


class ServerKey(models.Model):
    """An Ed25519 public key that speaks for a server; kept for ever. Written by `enrolment`."""

    server = models.ForeignKey(Server, models.PROTECT, related_name="keys", verbose_name=_("server"))
    # Unique among all servers: a key that spoke for two would prove nothing of either.
    keyid = models.CharField(_("key"), max_length=64, unique=True)
    public = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    """From then on nothing that it signs is accepted; what was accepted stays."""
    replaced_by = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="replaced_keys",
        verbose_name=_("replaced by"),
    )
    """The newer key whose first accepted report ended this one; null where a person revoked it, and while it holds."""
    compromised_since = models.DateTimeField(_("compromised since"), null=True, blank=True)
    """Runs that were received from then on and signed by it are not believed: somebody else may have signed them."""

    class Meta:
        verbose_name = _("server key")
        verbose_name_plural = _("server keys")

    def __str__(self) -> str:
        return self.keyid[:16]


class Usage(models.Model):
    """Use of a quota by a server or an address in one slot of time. Written by `scanner.usage`."""

    subject = models.CharField(max_length=100)
    """`uploads:`, `bytes:` or `entries:` and a server, `enrolment:` and an address."""
    slot = models.DateTimeField()
    """When the slot began. It lasts a minute, an hour or a day."""
    used = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("quota usage")
        verbose_name_plural = _("quota usage")
        # Serves each upload, and lets two requests that begin a slot at once share a row.
        constraints = [models.UniqueConstraint(fields=["subject", "slot"], name="usage_once")]

    def __str__(self) -> str:
        return f"{self.subject} {self.slot}: {self.used}"
