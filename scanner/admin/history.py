"""Show history, notes, progress and the admin's own log."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from scanner.admin.base import FilteredListAdmin, ReadOnlyAdmin
from scanner.formatting.entries import hex_digest
from scanner.formatting.names import visible_text
from scanner.models import Note, Progress, Version


@admin.register(Version)
class VersionAdmin(FilteredListAdmin):
    """The history of one replica, in the order of its paths."""

    required_parameter = "replica__id__exact"
    hint = _("Add ?replica__id__exact=NUMBER to the address: this list shows the history of one replica at a time.")
    # The order of the index version_path: the first page of millions is read and not sorted.
    ordering = [Left("path", 512).asc(), "from_seq"]
    list_display = ["shown_path", "type", "size", "from_seq", "until_seq"]
    list_display_links = ["shown_path"]
    fields = [
        "replica",
        "shown_path",
        "type",
        "size",
        "mtime_ns",
        "mode",
        "uid",
        "gid",
        "sha256_hex",
        "md5_hex",
        "shown_detail",
        "stage",
        "from_seq",
        "until_seq",
    ]
    readonly_fields = ["shown_path", "sha256_hex", "md5_hex", "shown_detail"]

    @admin.display(description=_("path"))
    def shown_path(self, version: Version) -> str:
        """Return the path with its odd characters as escapes."""
        return visible_text(version.path)

    @admin.display(description=_("detail"))
    def shown_detail(self, version: Version) -> str:
        """Return target, error or kind with odd characters as escapes."""
        return visible_text(version.detail or "") or "–"

    @admin.display(description="SHA-256")
    def sha256_hex(self, version: Version) -> str:
        """Return the digest that decides what is equal."""
        return hex_digest(version.sha256)

    @admin.display(description="MD5")
    def md5_hex(self, version: Version) -> str:
        """Return the digest that is carried for old lists."""
        return hex_digest(version.md5)


@admin.register(Note)
class NoteAdmin(FilteredListAdmin):
    """The notes of one run."""

    required_parameter = "run__id__exact"
    hint = _("Add ?run__id__exact=NUMBER to the address: this list shows the notes of one run at a time.")
    # The order of the report, in which ingest wrote them; the index note_run serves it.
    ordering = ["pk"]
    list_display = ["note", "shown_path", "detail"]
    fields = ["run", "note", "shown_path", "detail"]
    readonly_fields = ["shown_path"]

    @admin.display(description=_("path"))
    def shown_path(self, note: Note) -> str:
        """Return the path with its odd characters as escapes."""
        return visible_text(note.path)


@admin.register(Progress)
class ProgressAdmin(ReadOnlyAdmin):
    """Progress of current runs."""

    list_display = ["replica", "phase", "started_at", "updated_at"]
    list_select_related = ["replica__group", "replica__server"]
    exclude = ["current"]


@admin.register(LogEntry)
class LogAdmin(ReadOnlyAdmin):
    """The admin's log: what was done, by whom."""

    list_display = ["action_time", "user", "content_type", "object_repr", "description"]
    list_display_links = None
    list_filter = ["action_flag"]
    list_select_related = ["user", "content_type"]
    search_fields = ["object_repr", "change_message"]

    @admin.display(description=_("what was done"))
    def description(self, entry: LogEntry) -> str:
        """Return the text of the log entry."""
        return entry.get_change_message()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return all entries, newest first."""
        return super().get_queryset(request).order_by("-action_time", "-pk")
