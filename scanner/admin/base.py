"""Show tables that grow without end in the admin: nothing is counted to its end, nothing can be edited."""

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
    BasePaginator = Paginator[Any]
else:
    Admin = admin.ModelAdmin
    TabularInline = admin.TabularInline
    BasePaginator = Paginator

MAX_COUNTED = 10_000
"""Rows that a list counts; rows beyond are reached by filters."""


class CappedPaginator(BasePaginator):
    """A paginator that stops counting at MAX_COUNTED rows."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows, MAX_COUNTED at most."""
        rows = self.object_list
        assert isinstance(rows, QuerySet)

        # Without the order, so that the database stops at the first MAX_COUNTED rows that it meets.
        return rows.order_by()[:MAX_COUNTED].count()


class ReadOnlyMixin:
    """Rows that a program writes: people can only look at them."""

    def has_add_permission(self, *_args: Any, **_kwargs: Any) -> bool:
        """Refuse everybody."""
        return False

    def has_change_permission(self, *_args: Any, **_kwargs: Any) -> bool:
        """Refuse everybody."""
        return False

    def has_delete_permission(self, *_args: Any, **_kwargs: Any) -> bool:
        """Refuse everybody."""
        return False


class ReadOnlyAdmin(ReadOnlyMixin, Admin):
    """A list and pages of rows that nobody edits."""

    # Django would count the whole table beside the filtered list.
    show_full_result_count = False
    paginator = CappedPaginator
    list_per_page = 50
    actions = None


class ReadOnlyInline(ReadOnlyMixin, TabularInline):
    """Rows that a program writes, on the page of the row that they belong to."""

    extra = 0
    show_change_link = True


class FilteredListAdmin(ReadOnlyAdmin):
    """A list of a table with millions of rows: empty until it is filtered by replica or run."""

    required_parameter: str
    """The GET parameter that filters."""
    hint: Any = _("Open this list from the page of a run: it shows the rows of one run at a time.")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Say why the list is empty, when it is not filtered."""
        context = dict(extra_context or {})
        if not self._is_filtered(request):
            context["subtitle"] = self.hint

        return super().changelist_view(request, context)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return all rows for the page of one of them, and for the list none unless it is filtered."""
        rows = super().get_queryset(request)
        # The page of one row asks here as well, and that row must be found without a filter.
        is_list = request.resolver_match is not None and str(request.resolver_match.url_name).endswith("_changelist")

        if is_list and not self._is_filtered(request):
            return rows.none()
        return rows

    def _is_filtered(self, request: HttpRequest) -> bool:
        return request.GET.get(self.required_parameter, "").isdecimal()


class EvidenceAdmin(Admin):
    """Rows that can be deleted only while no evidence refers to them; afterwards they can be archived."""

    actions = None
    evidence: tuple[str, ...] = ()
    """Related names; a row in any of them is evidence."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether this person may delete, and no evidence would be lost."""
        if not super().has_delete_permission(request, obj):
            return False
        # Django asks without a row when it draws menus and lists.
        if obj is None:
            return True
        return not any(getattr(obj, name).exists() for name in self.evidence)
