"""Acts in the admin: what a person decides once, with a page that says what follows, a reason and a line in the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from scanner.roles import OPERATE

if TYPE_CHECKING:
    Admin = admin.ModelAdmin[Any]
else:
    Admin = admin.ModelAdmin

Text = str | Promise


class Refused(Exception):
    """The act cannot be done now; the text says why."""


class Done(NamedTuple):
    """What an act came to."""

    message: str
    """For the person and for the log."""
    command: str = ""
    """A command line to be shown this once; it is stored nowhere."""


@dataclass(frozen=True)
class Act:
    """Something that can be done to a row, other than to edit it."""

    name: str
    """Part of its address."""
    title: Text
    follows: Text
    """What will follow from it, in plain words."""
    do: Callable[[HttpRequest, Any, str], Done]
    """Called with the row locked and the reason given; may raise Refused."""
    applies: Callable[[Any], bool] = lambda _row: True
    needs_reason: bool = False
    permission: str = OPERATE


class ReasonForm(forms.Form):
    """The reason, where one is asked for."""

    reason = forms.CharField(
        label=_("Reason"), max_length=1000, widget=forms.Textarea(attrs={"rows": 3, "cols": 60, "autofocus": True})
    )


class ActsAdmin(Admin):
    """A ModelAdmin whose rows can be acted upon; each act is a button of the row's page."""

    acts: tuple[Act, ...] = ()
    change_form_template = "admin/scanner/acts_change_form.html"

    def get_urls(self) -> list[URLPattern]:
        """The stock addresses, and one for each act."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_act"
        return [
            path("<int:pk>/act/<slug:act>/", self.admin_site.admin_view(self.act_view), name=name),
            *super().get_urls(),
        ]

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        """The row's page with the buttons of what this person may do to it now."""
        may = [act for act in self.acts if request.user.has_perm(act.permission)]
        context |= {"acts": [act for act in may if obj is not None and act.applies(obj)], "row": obj}
        return super().render_change_form(request, context, add, change, form_url, obj)

    def act_view(self, request: HttpRequest, pk: int, act: str) -> HttpResponseBase:
        """What will follow, by GET; the act itself, by POST."""
        chosen = next((one for one in self.acts if one.name == act), None)
        if chosen is None:
            raise Http404
        if not (request.user.has_perm(chosen.permission) and self.has_view_permission(request)):
            raise PermissionDenied
        form = ReasonForm(request.POST or None) if chosen.needs_reason else None
        if request.method == "POST" and (form is None or form.is_valid()):
            return self._do(request, pk, chosen, form.cleaned_data["reason"] if form else "")
        row = self.get_queryset(request).filter(pk=pk).first()
        if row is None:
            raise Http404
        return self._ask(request, row, chosen, form)

    def _ask(self, request: HttpRequest, row: Model, act: Act, form: forms.Form | None) -> HttpResponseBase:
        context = {
            "title": act.title,
            "act": act,
            "row": row,
            "form": form,
            "applies": act.applies(row),
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/scanner/act.html", self.admin_site.each_context(request) | context)

    def _do(self, request: HttpRequest, pk: int, act: Act, reason: str) -> HttpResponseBase:
        here = redirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk]))
        try:
            with transaction.atomic():
                row = self.model.objects.select_for_update(of=("self",)).filter(pk=pk).first()
                if row is None:
                    raise Http404
                if not act.applies(row):
                    raise Refused(_("Nothing to do: this was already done, or the situation has changed."))
                done = act.do(request, row, reason)
                self.log_change(request, row, f"{done.message} {reason}".strip())
        except Refused as refused:
            self.message_user(request, str(refused), messages.ERROR)
            return here
        if done.command:
            context = {"title": act.title, "act": act, "row": row, "done": done, "opts": self.opts}
            return TemplateResponse(request, "admin/scanner/once.html", self.admin_site.each_context(request) | context)
        self.message_user(request, done.message, messages.SUCCESS)
        return here


def _archive(_request: HttpRequest, row: Any, _reason: str) -> Done:
    row.archived_at = timezone.now()
    row.save(update_fields=["archived_at"])
    return Done(str(_("Archived.")))


def _restore(_request: HttpRequest, row: Any, _reason: str) -> Done:
    row.archived_at = None
    row.save(update_fields=["archived_at"])
    return Done(str(_("Restored from the archive.")))


def archive_acts(permission: str) -> tuple[Act, Act]:
    """To put a row with evidence away, and to fetch it back; it is never deleted."""
    return (
        Act(
            "archive",
            _("Archive"),
            _(
                "The pages will no longer show it, and collectors will no longer be told about it. All evidence "
                "is kept."
            ),
            _archive,
            applies=lambda row: row.archived_at is None,
            permission=permission,
        ),
        Act(
            "restore",
            _("Restore from the archive"),
            _("The pages will show it again, and its runs will be expected again."),
            _restore,
            applies=lambda row: row.archived_at is not None,
            permission=permission,
        ),
    )
