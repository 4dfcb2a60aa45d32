"""Servers in the admin: enrolment, and what is done when something is wrong with one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from scanner import enrolment
from scanner.admin.actions import Act, ActsAdmin, Done, archive_acts
from scanner.admin.base import KeptAdmin, ReadOnlyAdmin, ReadOnlyInline
from scanner.ingest import accept
from scanner.models import EnrolmentToken, Server, ServerKey

HOURS = 24
"""How long an enrolment token works."""


class KeyInline(ReadOnlyInline):
    """The server's keys."""

    model = ServerKey
    fields = ("keyid", "created_at", "revoked_at")
    readonly_fields = fields


class EnrolmentTokenInline(ReadOnlyInline):
    """Enrolment tokens that were given out; the tokens themselves are known to nobody here."""

    model = EnrolmentToken
    fields = ("created_at", "created_by", "expires_at", "used_at")
    readonly_fields = fields
    show_change_link = False


def _enrol(request: HttpRequest, server: Server, _reason: str) -> Done:
    assert request.user.is_authenticated
    token = enrolment.create_token(server, by=request.user, hours=HOURS)
    return Done(gettext("An enrolment token has been created."), enrolment.collector_command(token))


def _release(_request: HttpRequest, server: Server, _reason: str) -> Done:
    accept.release_server(server)
    return Done(gettext("The server is no longer on hold: its reports are accepted again."))


def _revoke_tokens(_request: HttpRequest, server: Server, _reason: str) -> Done:
    count = enrolment.revoke_tokens(server)
    return Done(ngettext("%(n)d token has been revoked.", "%(n)d tokens have been revoked.", count) % {"n": count})


def _revoke_key(_request: HttpRequest, key: ServerKey, _reason: str) -> Done:
    enrolment.revoke_key(key)
    return Done(gettext("The key has been revoked."))


@admin.register(Server)
class ServerAdmin(KeptAdmin, ActsAdmin):
    """Servers with their keys."""

    list_display = ["name", "last_seen_at", "enrolled", "held", "archived_at"]
    list_filter = [("held_at", admin.EmptyFieldListFilter), ("archived_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "keys__keyid"]
    fieldsets = [
        (None, {"fields": ["name", "note", "last_seen_at", "held_at", "held_reason", "uuid"]}),
        (_("Limits for this server"), {"fields": ["uploads_per_hour", "bytes_per_day"], "classes": ["collapse"]}),
    ]
    readonly_fields = ["last_seen_at", "held_at", "held_reason", "uuid"]
    inlines = [KeyInline, EnrolmentTokenInline]
    evidence = ("keys", "replicas")
    acts = (
        Act(
            "enrol",
            _("Create an enrolment token"),
            _(
                "This creates a command that enrols this server. The command is shown once and works once, "
                "within 24 hours."
            ),
            _enrol,
            applies=lambda server: server.archived_at is None,
        ),
        Act(
            "release",
            _("Release the server"),
            _(
                "Two statements of this server claim the same place in a chain: a clone, a restored machine or "
                "a stolen key. Both are kept as evidence. After the release, its reports are accepted again; "
                "they follow the first of the two."
            ),
            _release,
            applies=lambda server: server.held_at is not None,
            needs_reason=True,
        ),
        Act(
            "revoke-tokens",
            _("Revoke the server's tokens"),
            _("The collector can no longer reach the central server until the server is enrolled again."),
            _revoke_tokens,
            applies=lambda server: server.tokens.filter(revoked_at=None).exists(),
            needs_reason=True,
        ),
        *archive_acts("scanner.change_server"),
    )

    def get_inlines(self, _request: HttpRequest, obj: Any = None) -> list[Any]:
        """Nothing to list for a server that is being made."""
        return list(self.inlines) if obj is not None else []

    def response_post_save_add(self, _request: HttpRequest, obj: Server) -> HttpResponseRedirect:
        """A new server is enrolled next: its own page follows, where that is done."""
        return HttpResponseRedirect(reverse("admin:scanner_server_change", args=[obj.pk]))

    @admin.display(description=_("enrolled"), boolean=True)
    def enrolled(self, server: Server) -> bool:
        """Whether a key speaks for it."""
        return any(key.revoked_at is None for key in server.keys.all())

    @admin.display(description=_("on hold"), boolean=True)
    def held(self, server: Server) -> bool | None:
        """A red mark for a server that is held; nothing for others."""
        return False if server.held_at is not None else None

    def get_queryset(self, request: HttpRequest) -> Any:
        """Servers with their keys."""
        return super().get_queryset(request).prefetch_related("keys")


@admin.register(ServerKey)
class ServerKeyAdmin(ReadOnlyAdmin, ActsAdmin):
    """Keys; kept for ever, since old runs are proven with them."""

    list_display = ["keyid", "server", "created_at", "revoked_at"]
    list_select_related = ["server"]
    search_fields = ["keyid", "server__name"]
    fields = ["server", "keyid", "public_hex", "created_at", "revoked_at"]
    readonly_fields = ["public_hex"]
    acts = (
        Act(
            "revoke",
            _("Revoke the key"),
            _(
                "From now on, nothing new that this key signed is accepted. What was accepted stays and can "
                "still be proven."
            ),
            _revoke_key,
            applies=lambda key: key.revoked_at is None,
            needs_reason=True,
        ),
    )

    @admin.display(description=_("public key"))
    def public_hex(self, key: ServerKey) -> str:
        """Its 32 bytes in hex."""
        return bytes(key.public).hex()
