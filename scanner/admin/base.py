"""Lists in the admin of tables that grow without end: nothing is counted to its end, nothing can be edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    Admin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    Pages = Paginator[Any]
else:
    Admin, TabularInline, Pages = admin.ModelAdmin, admin.TabularInline, Paginator

COUNTED = 10_000
"""Rows that a list counts; what lies beyond is reached by filters."""


class CappedPaginator(Pages):
    """A paginator that stops counting at COUNTED rows."""

    @cached_property
    def count(self) -> int:
        """The number of rows, COUNTED at most."""
        rows = self.object_list
        assert isinstance(rows, QuerySet)
        return rows.order_by()[:COUNTED].count()


class ReadOnly:
    """Rows that a program writes: they can be looked at."""

    def has_add_permission(self, *_args: Any, **_kwargs: Any) -> bool:
        """Never."""
        return False

    def has_change_permission(self, *_args: Any, **_kwargs: Any) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, *_args: Any, **_kwargs: Any) -> bool:
        """Never."""
        return False


class ReadOnlyAdmin(ReadOnly, Admin):
    """A list and pages of rows that nobody edits."""

    show_full_result_count = False
    paginator = CappedPaginator
    list_per_page = 50
    actions = None


class ReadOnlyInline(ReadOnly, TabularInline):
    """Rows of a program on the page of what they belong to."""

    extra = 0
    show_change_link = True


class Chosen(ReadOnlyAdmin):
    """A list of a table with millions of rows: empty until the replica or run of interest is chosen by its filter."""

    chosen_by: str
    """The query's parameter that must be there."""
    choose: Any = _("Open this list from the page of a run: it shows the rows of one run at a time.")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The list, with a word on why it is empty."""
        extra = (extra_context or {}) | ({} if self._is_chosen(request) else {"subtitle": self.choose})
        return super().changelist_view(request, extra)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """All rows for a page of one of them; for the list only those chosen."""
        rows = super().get_queryset(request)
        is_list = request.resolver_match is not None and str(request.resolver_match.url_name).endswith("_changelist")
        return rows.none() if is_list and not self._is_chosen(request) else rows

    def _is_chosen(self, request: HttpRequest) -> bool:
        return request.GET.get(self.chosen_by, "").isdecimal()


class KeptAdmin(Admin):
    """Rows that may be deleted only while nothing rests on them; with evidence they are archived."""

    actions = None
    evidence: tuple[str, ...] = ()
    """Related names; a row in any of them is evidence."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether this person may delete, and nothing would be lost."""
        allowed = super().has_delete_permission(request, obj)
        return allowed and not (obj is not None and any(getattr(obj, name).exists() for name in self.evidence))
