"""Groups and replicas in the admin."""

from __future__ import annotations

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

from scanner.admin.actions import Act, ActsAdmin, Done, archive_acts
from scanner.admin.base import KeptAdmin, TabularInline
from scanner.format.errors import ExcludeError
from scanner.format.excludes import parse_excludes
from scanner.formatting.numbers import interval, time_span
from scanner.models import Group, Replica, Server

if TYPE_CHECKING:
    GroupModelForm = forms.ModelForm[Group]
    ReplicaModelForm = forms.ModelForm[Replica]
else:
    GroupModelForm = ReplicaModelForm = forms.ModelForm

INTERVALS = [timedelta(hours=hours) for hours in (1, 6, 12, 24, 48, 168, 336, 720)]
LAGS = [timedelta(hours=hours) for hours in (1, 6, 12, 24, 36, 48, 72, 168)]


class GroupForm(GroupModelForm):
    """A group, with its interval to choose and its excludes read line by line."""

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
            "name", "note", "expected_interval", "policy", "keep_days", "limit_files", "limit_share", "excludes",
            "engine", "cross_mounts", "relation", "lag",
        ]  # fmt: skip
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
        for name, say, spans in (("expected_interval", interval, INTERVALS), ("lag", time_span, LAGS)):
            chosen = getattr(self.instance, name)
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [(int(span.total_seconds()), say(span)) for span in sorted({*spans, chosen})]
            self.initial[name] = int(chosen.total_seconds())

    def clean(self) -> dict[str, Any]:
        """Rotating data has an age at which files go; other data has none."""
        given: dict[str, Any] = super().clean() or {}
        rotating = given.get("policy") == Group.Policy.ROTATING
        if rotating and not given.get("keep_days"):
            self.add_error("keep_days", gettext("Enter after how many days a file may be removed."))
        if not rotating:
            given["keep_days"] = None
        return given

    def clean_limit_share(self) -> int | None:
        """A share of all files is at most the whole."""
        share: int | None = self.cleaned_data["limit_share"]
        if share is not None and share > 100:
            raise ValidationError(gettext("At most 100 percent."))
        return share

    def clean_excludes(self) -> str:
        """The patterns; each line that is none is named by its number."""
        text: str = self.cleaned_data["excludes"]
        errors = []
        for number, line in enumerate(text.splitlines(), 1):
            try:
                parse_excludes(line)
            except ExcludeError as error:
                errors.append(gettext("Line %(number)d: %(error)s") % {"number": number, "error": error})
        if errors:
            raise ValidationError(errors)
        return text


class ReplicaForm(ReplicaModelForm):
    """A replica; server and root are fixed once it exists: another root is another replica."""

    class Meta:
        model = Replica
        fields = ["server", "root", "enabled", "leads", "keeps"]
        widgets = {
            "root": forms.TextInput(attrs={"size": 50, "placeholder": "/srv/photos", "class": "mono"}),
            "keeps": forms.Textarea(attrs={"rows": 2, "cols": 30, "class": "mono", "spellcheck": "false"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("group", "server", "root"):
            if name in self.fields and self.instance.pk is not None:
                self.fields[name].disabled = True


class ReplicaInline(TabularInline):
    """The replicas of a group, on its page."""

    model = Replica
    form = ReplicaForm
    extra = 1
    can_delete = False
    show_change_link = True

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """A plain choice of the servers in use: they are made and changed on their own pages."""
        if db_field.name == "server":
            kwargs["queryset"] = Server.objects.filter(Q(archived_at=None) | Q(replicas__isnull=False)).distinct()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Without the icons that open windows of related rows."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        for name in ("can_add_related", "can_change_related", "can_delete_related", "can_view_related"):
            if field is not None and hasattr(field.widget, name):
                setattr(field.widget, name, False)
        return field

    def get_queryset(self, request: HttpRequest) -> QuerySet[Replica]:
        """Those in use."""
        rows: QuerySet[Replica] = super().get_queryset(request)
        return rows.filter(archived_at=None)


@admin.register(Group)
class GroupAdmin(KeptAdmin, ActsAdmin):
    """Groups, each with its replicas."""

    form = GroupForm
    inlines = [ReplicaInline]
    acts = archive_acts("scanner.change_group")
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

    @admin.display(description=_("expected interval"), ordering="expected_interval")
    def interval(self, group: Group) -> str:
        """How often a run is expected."""
        return interval(group.expected_interval)


def _accept_root(_request: HttpRequest, replica: Replica, _reason: str) -> Done:
    replica.accept_root = True
    replica.save(update_fields=["accept_root"])
    return Done(gettext("The next run will accept what it finds below the root."))


def _stop_accepting(_request: HttpRequest, replica: Replica, _reason: str) -> Done:
    replica.accept_root = False
    replica.save(update_fields=["accept_root"])
    return Done(gettext("The next run will no longer accept a changed root."))


@admin.register(Replica)
class ReplicaAdmin(KeptAdmin, ActsAdmin):
    """Replicas by themselves: what is done to one of them."""

    form = ReplicaForm
    fields = ["group", "server", "root", "enabled", "leads", "keeps", "origin", "accept_root", "page"]
    readonly_fields = ["origin", "accept_root", "page"]
    evidence = ("runs",)
    list_display = ["group", "server", "root", "enabled", "accept_root", "archived_at"]
    list_display_links = ["root"]
    list_filter = ["enabled", ("archived_at", admin.EmptyFieldListFilter), "origin"]
    list_select_related = ["group", "server"]
    search_fields = ["root", "group__name", "server__name"]
    acts = (
        Act(
            "accept-root",
            _("Accept a changed root once"),
            _(
                "The next run accepts the root even if it is on another file system or empty: files that are "
                "gone count as removed. Do this only if the disk has really been replaced. The permission ends "
                "with the run that uses it."
            ),
            _accept_root,
            applies=lambda replica: not replica.accept_root,
            needs_reason=True,
        ),
        Act(
            "refuse-root",
            _("Stop accepting a changed root"),
            _("A run that finds another file system at the root will fail again, and the history will stay unchanged."),
            _stop_accepting,
            applies=lambda replica: bool(replica.accept_root),
        ),
        *archive_acts("scanner.change_replica"),
    )

    @admin.display(description=_("page"))
    def page(self, replica: Replica) -> str:
        """Where its runs are shown."""
        return format_html(
            '<a href="{}">{}</a>', reverse("replica", args=[replica.uuid]), gettext("Runs of this replica")
        )
