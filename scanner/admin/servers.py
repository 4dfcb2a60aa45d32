"""Administer servers: enrol them, release them, revoke their tokens and keys."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from scanner import enrolment
from scanner.admin.actions import ActionRefused, ActionResult, ReasonForm, RowAction, RowActionsAdmin, archive_actions
from scanner.admin.base import EvidenceAdmin, ReadOnlyAdmin, ReadOnlyInline
from scanner.ingest import accept
from scanner.models import EnrolmentToken, Server, ServerKey


class CompromiseForm(ReasonForm):
    """Since when a key may have been in the wrong hands, and why that is thought."""

    since = forms.DateTimeField(
        label=_("Compromised since"),
        help_text=_("The earliest moment at which somebody else may have had the key, such as 2026-01-31 14:30."),
    )


class KeyInline(ReadOnlyInline):
    """The server's keys."""

    model = ServerKey
    fields = ("keyid", "created_at", "revoked_at", "replaced_by", "compromised_since")
    readonly_fields = fields


class EnrolmentTokenInline(ReadOnlyInline):
    """Enrolment tokens of the server; the tokens themselves are stored nowhere."""

    model = EnrolmentToken
    fields = ("created_at", "creator", "expires_at", "used_at", "used_from", "reused_at", "reused_from")
    readonly_fields = fields
    show_change_link = False

    @admin.display(description=_("created by"))
    def creator(self, token: EnrolmentToken) -> str:
        """Return the name of the person who created a token; a dash for one that a command created."""
        if token.created_by is None:
            return "–"
        return token.created_by.get_username()


def _enrol(request: HttpRequest, server: Server, _reason: str) -> ActionResult:
    assert request.user.is_authenticated
    token = enrolment.create_token(server, by=request.user, hours=enrolment.TOKEN_HOURS)
    return ActionResult(gettext("An enrolment token has been created."), enrolment.collector_command(token))


def _release(request: HttpRequest, server: Server, _reason: str) -> ActionResult:
    accept.release_server(server, by=request.user.get_username())
    return ActionResult(gettext("The server is no longer on hold: its reports are accepted again."))


def _revoke_tokens(request: HttpRequest, server: Server, _reason: str) -> ActionResult:
    assert request.user.is_authenticated
    count = enrolment.revoke_tokens(server, by=request.user)
    return ActionResult(
        ngettext("%(n)d token has been revoked.", "%(n)d tokens have been revoked.", count) % {"n": count}
    )


def _revoke_key(request: HttpRequest, key: ServerKey, _reason: str) -> ActionResult:
    assert request.user.is_authenticated
    enrolment.revoke_key(key, by=request.user)
    return ActionResult(gettext("The key has been revoked."))


def _mark_compromised(request: HttpRequest, key: ServerKey, _reason: str) -> ActionResult:
    assert request.user.is_authenticated
    form = CompromiseForm(request.POST)
    if not form.is_valid():
        raise ActionRefused(gettext("The moment is missing."))
    since = form.cleaned_data["since"]
    enrolment.mark_compromised(key, since, by=request.user)
    message = gettext("The key is marked as compromised since %(since)s.")
    return ActionResult(message % {"since": f"{key.compromised_since:%Y-%m-%d %H:%M} UTC"})


@admin.register(Server)
class ServerAdmin(EvidenceAdmin, RowActionsAdmin):
    """Servers with their keys."""

    list_display = ["name", "last_seen_at", "enrolled", "held", "archived_at"]
    list_filter = [("held_at", admin.EmptyFieldListFilter), ("archived_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "keys__keyid"]
    fieldsets = [
        (None, {"fields": ["name", "note", "last_seen_at", "clock_offset_s", "held_at", "held_reason", "uuid"]}),
        (
            _("Limits for this server"),
            {"fields": ["uploads_per_hour", "bytes_per_day", "entries_per_day"], "classes": ["collapse"]},
        ),
    ]
    readonly_fields = ["last_seen_at", "clock_offset_s", "held_at", "held_reason", "uuid"]
    inlines = [KeyInline, EnrolmentTokenInline]
    evidence = ("keys", "replicas")
    row_actions = (
        RowAction(
            "enrol",
            _("Create an enrolment token"),
            _(
                "This creates a command that enrols this server. The command is shown once and works once, "
                "within 24 hours."
            ),
            _enrol,
            is_applicable=lambda server: server.archived_at is None,
        ),
        RowAction(
            "release",
            _("Release the server"),
            _(
                "Two statements of this server claim the same place in a chain: a clone, a restored machine or "
                "a stolen key. Both are kept as evidence. After the release, its reports are accepted again; "
                "they follow the first of the two."
            ),
            _release,
            is_applicable=lambda server: server.held_at is not None,
            needs_reason=True,
        ),
        RowAction(
            "revoke-tokens",
            _("Revoke the server's tokens"),
            _("The collector can no longer reach the central server until the server is enrolled again."),
            _revoke_tokens,
            is_applicable=enrolment.has_valid_tokens,
            needs_reason=True,
        ),
        *archive_actions("scanner.change_server"),
    )

    def view_on_site(self, server: Server) -> str:
        """Return the address of the server's page."""
        return reverse("server", args=[server.uuid])

    def get_inlines(self, _request: HttpRequest, obj: Any = None) -> list[Any]:
        """List keys and tokens, unless the server is being added."""
        if obj is None:
            return []
        return list(self.inlines)

    def response_post_save_add(self, _request: HttpRequest, obj: Server) -> HttpResponseRedirect:
        """Show the page of a new server, since it is enrolled there next."""
        return HttpResponseRedirect(reverse("admin:scanner_server_change", args=[obj.pk]))

    @admin.display(description=_("enrolled"), boolean=True)
    def enrolled(self, server: Server) -> bool:
        """Return whether a key speaks for the server."""
        # From the prefetched keys: a filter would ask the database once for each row of the list.
        return any(key.revoked_at is None for key in server.keys.all())

    @admin.display(description=pgettext_lazy("server", "on hold"), boolean=True)
    def held(self, server: Server) -> bool | None:
        """Mark a server on hold red. Others have no mark."""
        if server.held_at is None:
            return None
        return False

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return servers with their keys."""
        return super().get_queryset(request).prefetch_related("keys")


@admin.register(ServerKey)
class ServerKeyAdmin(ReadOnlyAdmin, RowActionsAdmin):
    """Keys; kept for ever, since old runs are proven with them."""

    list_display = ["keyid", "server", "created_at", "revoked_at", "replaced_by", "compromised_since"]
    list_select_related = ["server", "replaced_by"]
    search_fields = ["keyid", "server__name"]
    fields = ["server", "keyid", "public_hex", "created_at", "revoked_at", "replaced_by", "compromised_since"]
    readonly_fields = ["public_hex"]
    row_actions = (
        RowAction(
            "revoke",
            _("Revoke the key"),
            _(
                "From now on, nothing new that this key signed is accepted. What was accepted stays and can "
                "still be proven."
            ),
            _revoke_key,
            is_applicable=lambda key: key.revoked_at is None,
            needs_reason=True,
        ),
        RowAction(
            "compromised",
            _("Mark the key as compromised"),
            _(
                "The key is revoked. Runs that it signed and that were received since the moment you name are no "
                "longer proven: they have no vote, and their replicas are not green until a run that another key "
                "signed is proven. This cannot be undone."
            ),
            _mark_compromised,
            needs_reason=True,
            form=CompromiseForm,
        ),
    )

    @admin.display(description=_("public key"))
    def public_hex(self, key: ServerKey) -> str:
        """Return the public key in hex."""
        return bytes(key.public).hex()
