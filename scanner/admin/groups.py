"""Administer groups and replicas."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from scanner.admin.actions import ActionResult, RowAction, RowActionsAdmin, archive_actions
from scanner.admin.base import EvidenceAdmin, TabularInline
from scanner.format.errors import ExcludeError
from scanner.format.excludes import parse_excludes
from scanner.formatting.numbers import interval, time_span
from scanner.formatting.reasons import reason_text
from scanner.models import Group, Replica, Server

if TYPE_CHECKING:
    GroupModelForm = forms.ModelForm[Group]
    ReplicaModelForm = forms.ModelForm[Replica]
else:
    GroupModelForm = ReplicaModelForm = forms.ModelForm

INTERVALS = [timedelta(hours=hours) for hours in (1, 6, 12, 24, 48, 168, 336, 720)]
LAGS = [timedelta(hours=hours) for hours in (1, 6, 12, 24, 36, 48, 72, 168)]


class GroupForm(GroupModelForm):
    """A group. Its times are chosen from a list, and its excludes are checked line by line."""

    expected_interval = forms.TypedChoiceField(
        label=_("A complete run is expected"),
        coerce=lambda seconds: timedelta(seconds=int(seconds)),
        help_text=_(
            "A replica needs attention when its run is late by a quarter of this interval, but at least an hour."
        ),
    )

    lag = forms.TypedChoiceField(
        label=_("Allowed lag"),
        coerce=lambda seconds: timedelta(seconds=int(seconds)),
        help_text=_(
            "Only if there is a primary replica: what it has had for less than this time may be missing or "
            "older on the others."
        ),
    )

    class Meta:
        model = Group
        fields = [
            "name",
            "note",
            "expected_interval",
            "policy",
            "keep_days",
            "limit_files",
            "limit_share",
            "excludes",
            "engine",
            "cross_mounts",
            "relation",
            "lag",
        ]
        widgets = {
            "note": forms.Textarea(attrs={"rows": 2}),
            "excludes": forms.Textarea(attrs={"rows": 8, "class": "vLargeTextField mono", "spellcheck": "false"}),
        }
        help_texts = {
            "excludes": _(
                "One pattern per line. * and ? do not match /, ** does. A pattern without / matches a name at "
                "any depth; a pattern with / starts at the root. A trailing / means a directory and everything "
                "below it."
            ),
            "engine": _("How the servers compute digests."),
            "policy": _(
                "Decides which changes become findings. Damage, changed content with an unchanged date, and "
                "unreadable paths always do."
            ),
            "keep_days": _("For rotating data: removing a file that has reached this age is expected."),
            "limit_files": _(
                "A run that changes or removes more files than this, and also a larger share than the one "
                "below, puts its replica on hold until a person releases it. Empty: three times the highest "
                "number so far, but at least 100. 0: nothing may change."
            ),
            "relation": _(
                "Mirrors are compared with one another. If there is a primary replica, mark it below: the "
                "others may lag for a while and may keep what it has removed. If replicas keep parts, enter "
                "below what each of them keeps."
            ),
            "limit_share": _("Percent of all files. Empty: three times the highest share so far, but at least 10."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._set_choices("expected_interval", INTERVALS, interval)
        self._set_choices("lag", LAGS, time_span)

    def _set_choices(self, name: str, spans: list[timedelta], label: Callable[[timedelta], str]) -> None:
        """Offer `spans`, and the present value where it is another one."""
        present: timedelta = getattr(self.instance, name)
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)

        # A value that was set otherwise stays selectable: saving the form must not change it silently.
        field.choices = [(int(span.total_seconds()), label(span)) for span in sorted({*spans, present})]

        self.initial[name] = int(present.total_seconds())

    def clean(self) -> dict[str, Any]:
        """Require the age at which files go for rotating data, and drop it for other data."""
        cleaned: dict[str, Any] = super().clean() or {}
        is_rotating = cleaned.get("policy") == Group.Policy.ROTATING

        if is_rotating and not cleaned.get("keep_days"):
            self.add_error("keep_days", gettext("Enter after how many days a file may be removed."))
        if not is_rotating:
            cleaned["keep_days"] = None
        return cleaned

    def clean_limit_share(self) -> int | None:
        """Refuse a share of more than the whole."""
        share: int | None = self.cleaned_data["limit_share"]
        if share is not None and share > 100:
            raise ValidationError(gettext("At most 100 percent."))
        return share

    def clean_excludes(self) -> str:
        """Check the patterns, and name each bad line by its number."""
        text: str = self.cleaned_data["excludes"]

        # Line by line, and not the text as a whole: each bad line is named, and not only the first.
        errors = []
        for number, line in enumerate(text.splitlines(), 1):
            try:
                parse_excludes(line)
            except ExcludeError as error:
                values = {"number": number, "error": reason_text(str(error))}
                errors.append(gettext("Line %(number)d: %(error)s") % values)

        if errors:
            raise ValidationError(errors)
        return text


class ReplicaForm(ReplicaModelForm):
    """A replica. Server and root are fixed once it exists: another root is another replica."""

    class Meta:
        model = Replica
        fields = ["server", "root", "enabled", "leads", "keeps"]
        widgets = {
            "root": forms.TextInput(attrs={"size": 30, "placeholder": "/srv/photos", "class": "mono"}),
            "keeps": forms.Textarea(attrs={"rows": 2, "cols": 20, "class": "mono", "spellcheck": "false"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

        # Disabled and not only read-only on the page: Django ignores whatever is posted for a disabled field.
        for name in ("group", "server", "root"):
            if name in self.fields and self.instance.pk is not None:
                self.fields[name].disabled = True


def _without_icons(field: Any) -> Any:
    """Return a form field without the icons that add, change, delete and show the related row."""
    for name in ("can_add_related", "can_change_related", "can_delete_related", "can_view_related"):
        if field is not None and hasattr(field.widget, name):
            setattr(field.widget, name, False)
    return field


class ReplicaInline(TabularInline):
    """The replicas of a group, on its page."""

    model = Replica
    form = ReplicaForm
    extra = 1
    can_delete = False
    show_change_link = True

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the servers in use: they are added and changed on their own pages."""
        if db_field.name == "server":
            # With the servers that have replicas: a replica of an archived server is valid as it is.
            kwargs["queryset"] = Server.objects.filter(Q(archived_at=None) | Q(replicas__isnull=False)).distinct()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Leave out the icons that open windows of related rows."""
        return _without_icons(super().formfield_for_dbfield(db_field, request, **kwargs))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Replica]:
        """Return the replicas in use."""
        rows: QuerySet[Replica] = super().get_queryset(request)
        return rows.filter(archived_at=None)


@admin.register(Group)
class GroupAdmin(EvidenceAdmin, RowActionsAdmin):
    """Groups, each with its replicas."""

    form = GroupForm
    inlines = [ReplicaInline]
    row_actions = archive_actions("scanner.change_group")
    evidence = ("replicas",)
    fieldsets = [
        (None, {"fields": ["name", "note", "expected_interval"]}),
        (_("What may change"), {"fields": ["policy", "keep_days", "limit_files", "limit_share"]}),
        (_("How copies relate"), {"fields": ["relation", "lag"]}),
        (_("What is read, and how"), {"fields": ["excludes", "engine", "cross_mounts"]}),
    ]
    list_display = ["name", "policy", "interval", "engine", "archived_at"]
    list_filter = [("archived_at", admin.EmptyFieldListFilter)]
    search_fields = ["name"]

    def view_on_site(self, group: Group) -> str:
        """Return the address of the group's page."""
        return reverse("group", args=[group.uuid])

    @admin.display(description=_("expected interval"), ordering="expected_interval")
    def interval(self, group: Group) -> str:
        """Return how often a run is expected."""
        return interval(group.expected_interval)


def _accept_root(_request: HttpRequest, replica: Replica, _reason: str) -> ActionResult:
    replica.accept_root = True
    replica.save(update_fields=["accept_root"])
    return ActionResult(gettext("The next run will accept what it finds below the root."))


def _stop_accepting(_request: HttpRequest, replica: Replica, _reason: str) -> ActionResult:
    replica.accept_root = False
    replica.save(update_fields=["accept_root"])
    return ActionResult(gettext("The next run will no longer accept a changed root."))


@admin.register(Replica)
class ReplicaAdmin(EvidenceAdmin, RowActionsAdmin):
    """Replicas by themselves, with their actions."""

    form = ReplicaForm
    fields = ["group", "server", "root", "enabled", "leads", "keeps", "origin", "accept_root", "page"]
    readonly_fields = ["origin", "accept_root", "page"]
    evidence = ("runs",)
    list_display = ["group", "server", "root", "enabled", "accept_root", "archived_at"]
    list_display_links = ["root"]
    list_filter = ["enabled", ("archived_at", admin.EmptyFieldListFilter), "origin"]
    list_select_related = ["group", "server"]
    search_fields = ["root", "group__name", "server__name"]
    row_actions = (
        RowAction(
            "accept-root",
            _("Accept a changed root once"),
            _(
                "The next run accepts the root even if it is on another file system or empty: files that are "
                "gone count as removed. Do this only if the disk has really been replaced. The permission ends "
                "with the run that uses it."
            ),
            _accept_root,
            is_applicable=lambda replica: not replica.accept_root,
            needs_reason=True,
        ),
        RowAction(
            "refuse-root",
            _("Stop accepting a changed root"),
            _("A run that finds another file system at the root will fail again, and the history will stay unchanged."),
            _stop_accepting,
            is_applicable=lambda replica: bool(replica.accept_root),
        ),
        *archive_actions("scanner.change_replica"),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Leave out the icons beside group and server: one of them would delete the row."""
        return _without_icons(super().formfield_for_dbfield(db_field, request, **kwargs))

    @admin.display(description=_("page"))
    def page(self, replica: Replica) -> str:
        """Return a link to the page of the replica."""
        return format_html(
            '<a href="{}">{}</a>', reverse("replica", args=[replica.uuid]), gettext("Runs of this replica")
        )
