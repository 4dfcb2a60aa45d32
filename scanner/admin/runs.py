"""Show runs and equivocations, and let people decide about new chains and runs that were set aside."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from scanner.admin.actions import ActionRefused, ActionResult, RowAction, RowActionsAdmin
from scanner.admin.base import ReadOnlyAdmin
from scanner.formatting.entries import hex_digest
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import brief_size, duration, number
from scanner.formatting.reasons import reason_text
from scanner.ingest import store
from scanner.models import Equivocation, Run


class BreaksFilter(admin.SimpleListFilter):
    """A filter for runs that start a new chain."""

    title = _("new chain")
    parameter_name = "breaks"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, Any]]:
        """Return the choices: not acknowledged yet, and acknowledged."""
        return [("open", _("not acknowledged")), ("seen", _("acknowledged"))]

    def queryset(self, _request: HttpRequest, rows: QuerySet[Run]) -> QuerySet[Run]:
        """Return the rows of the choice."""
        # Nothing is chosen, or the address was typed by hand.
        if self.value() not in ("open", "seen"):
            return rows

        return rows.exclude(break_reason="").filter(break_acknowledged_at__isnull=self.value() == "open")


def _acknowledge(_request: HttpRequest, run: Run, _reason: str) -> ActionResult:
    run.break_acknowledged_at = timezone.now()
    run.save(update_fields=["break_acknowledged_at"])
    return ActionResult(gettext("The break in the chain is acknowledged."))


def _ingest_again(_request: HttpRequest, run: Run, _reason: str) -> ActionResult:
    if not store.requeue(run):
        raise ActionRefused(gettext("Only the newest run of a replica can be ingested again."))
    return ActionResult(gettext("The run is queued for ingest again; its turn comes within a minute."))


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin, RowActionsAdmin):
    """All runs, newest first."""

    list_display = ["numbered", "replica", "state", "finished_at", "file_count", "volume", "errors", "is_break"]
    list_filter = ["state", BreaksFilter]
    list_select_related = ["replica__group", "replica__server"]
    # The primary key is the only index in which all runs stand newest first.
    ordering = ["-pk"]
    date_hierarchy = None
    fields = [
        "page",
        "replica",
        "sequence",
        "state",
        "shown_reason",
        "started_at",
        "finished_at",
        "received_at",
        "ingested_at",
        "journaled_at",
        "duration",
        "engine",
        "file_count",
        "volume",
        "errors",
        "key",
        "statement_hex",
        "previous_hex",
        "break_text",
        "break_acknowledged_at",
        "attempts",
        "upload_size",
    ]
    readonly_fields = [
        "page",
        "shown_reason",
        "duration",
        "file_count",
        "volume",
        "statement_hex",
        "previous_hex",
        "break_text",
    ]
    row_actions = (
        RowAction(
            "acknowledge",
            _("Acknowledge the new chain"),
            _(
                "The server could not continue its earlier chain of runs, so a new chain starts with this run. "
                "Find out why."
            ),
            _acknowledge,
            is_applicable=lambda run: bool(run.break_reason) and run.break_acknowledged_at is None,
            needs_reason=True,
        ),
        RowAction(
            "take-up",
            _("Ingest again"),
            _(
                "The report was set aside because it could not be ingested. It will be tried again, up to three "
                "times. Only the newest run of a replica can be ingested again: for older runs, history has "
                "already moved on."
            ),
            _ingest_again,
            is_applicable=lambda run: run.state == Run.State.SET_ASIDE,
            needs_reason=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        """Return runs without their envelopes, which may have 128 KiB each."""
        rows: QuerySet[Run] = super().get_queryset(request)
        return rows.defer("envelope")

    @admin.display(description=_("run"), ordering="sequence")
    def numbered(self, run: Run) -> str:
        """Return the run's number."""
        return f"#{run.sequence}"

    @admin.display(description=_("page"))
    def page(self, run: Run) -> str:
        """Return a link to the page of the run."""
        return format_html('<a href="{}">{}</a>', reverse("run", args=[run.uuid]), gettext("Page of this run"))

    @admin.display(description=_("files"))
    def file_count(self, run: Run) -> str:
        """Return the number of files that were read."""
        return number(run.files)

    @admin.display(description=_("bytes"))
    def volume(self, run: Run) -> str:
        """Return the bytes that were read."""
        return brief_size(run.bytes)

    @admin.display(description=_("duration"))
    def duration(self, run: Run) -> str:
        """Return how long the run took."""
        return duration(run.work_time_ns)

    @admin.display(description=_("reason"))
    def shown_reason(self, run: Run) -> str:
        """Return why the run failed, was refused or set aside."""
        return visible_text(reason_text(run.reason)) or "–"

    @admin.display(description=_("break in the chain"))
    def break_text(self, run: Run) -> str:
        """Return why a new chain starts."""
        return visible_text(reason_text(run.break_reason)) or "–"

    @admin.display(description=_("new chain"), boolean=True)
    def is_break(self, run: Run) -> bool | None:
        """Mark a new chain: red until it is acknowledged. Other runs have no mark."""
        if not run.break_reason:
            return None
        return run.break_acknowledged_at is not None

    @admin.display(description=_("statement"))
    def statement_hex(self, run: Run) -> str:
        """Return the digest of the statement."""
        return bytes(run.statement).hex()

    @admin.display(description=_("previous statement"))
    def previous_hex(self, run: Run) -> str:
        """Return the digest of the statement before it."""
        return hex_digest(run.previous)


@admin.register(Equivocation)
class EquivocationAdmin(ReadOnlyAdmin):
    """Second statements for a sequence that has one already."""

    list_display = ["run", "received_at", "resolved_at"]
    list_select_related = ["run__replica__group", "run__replica__server"]
    fields = ["run", "received_at", "resolved_at", "statement_hex"]
    readonly_fields = ["statement_hex"]

    @admin.display(description=_("statement"))
    def statement_hex(self, equivocation: Equivocation) -> str:
        """Return the digest of the second statement."""
        return bytes(equivocation.statement).hex()
