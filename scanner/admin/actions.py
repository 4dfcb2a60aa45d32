"""Let people act on rows in the admin: a page that says what follows, a reason where one is needed, a line in the log.

Django's own admin actions apply to a selection in a list; a row action is a button on the page of one row.
"""

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

from scanner.errors import ScannerError
from scanner.roles import OPERATE

if TYPE_CHECKING:
    Admin = admin.ModelAdmin[Any]
else:
    Admin = admin.ModelAdmin

Text = str | Promise


class ActionRefused(ScannerError):
    """A row action cannot be performed now; the message says why."""


class ActionResult(NamedTuple):
    """Result of a row action."""

    message: str
    """For the person and for the log."""
    command: str = ""
    """A command line to be shown this once; it is stored nowhere."""


class ReasonForm(forms.Form):
    """The reason of an action, where one is needed."""

    reason = forms.CharField(
        label=_("Reason"), max_length=1000, widget=forms.Textarea(attrs={"rows": 3, "cols": 60, "autofocus": True})
    )


@dataclass(frozen=True)
class RowAction:
    """Something that a person can do to a row, other than to edit it."""

    name: str
    """Part of its address."""
    title: Text
    consequence: Text
    """What will follow from it, in plain words."""
    perform: Callable[[HttpRequest, Any, str], ActionResult]
    """Called with the request, the locked row and the reason. May raise ActionRefused."""
    form: type[ReasonForm] | None = None
    """Asks for more than the reason; `perform` reads it from the request once more."""
    is_applicable: Callable[[Any], bool] = lambda _row: True
    needs_reason: bool = False
    permission: str = OPERATE


class RowActionsAdmin(Admin):
    """A ModelAdmin with row actions; each is a button of the row's page."""

    row_actions: tuple[RowAction, ...] = ()
    change_form_template = "admin/scanner/row_actions_change_form.html"

    def get_urls(self) -> list[URLPattern]:
        """Add one address for all row actions."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_act"
        return [
            path("<int:pk>/act/<slug:name>/", self.admin_site.admin_view(self.row_action_view), name=name),
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
        """Add the buttons of what this person may do to the row now."""
        row_actions = [
            action
            for action in self.row_actions
            if obj is not None and request.user.has_perm(action.permission) and action.is_applicable(obj)
        ]
        context |= {"row_actions": row_actions, "row": obj}
        return super().render_change_form(request, context, add, change, form_url, obj)

    def row_action_view(self, request: HttpRequest, pk: int, name: str) -> HttpResponseBase:
        """Say what will follow, by GET; perform the action, by POST."""
        action = self._find_action(name)
        if action is None:
            raise Http404

        # `admin_view` lets in everybody with access to the admin: what this person may do is checked here, also by GET.
        if not (request.user.has_perm(action.permission) and self.has_view_permission(request)):
            raise PermissionDenied

        form = None
        if action.needs_reason:
            form_class = action.form or ReasonForm
            form = form_class(request.POST or None)
        if request.method == "POST" and (form is None or form.is_valid()):
            reason = ""
            if form is not None:
                reason = form.cleaned_data["reason"]
            return self._perform(request, pk, action, reason)

        # Not locked: this only shows what may follow, and `_perform` looks again.
        row = self.get_queryset(request).filter(pk=pk).first()
        if row is None:
            raise Http404
        return self._confirmation_page(request, row, action, form)

    def _find_action(self, name: str) -> RowAction | None:
        for action in self.row_actions:
            if action.name == name:
                return action
        return None

    def _confirmation_page(
        self, request: HttpRequest, row: Model, action: RowAction, form: forms.Form | None
    ) -> HttpResponseBase:
        context = {
            "title": action.title,
            "action": action,
            "row": row,
            "form": form,
            "is_applicable": action.is_applicable(row),
            "opts": self.opts,
        }
        return TemplateResponse(
            request, "admin/scanner/row_action.html", self.admin_site.each_context(request) | context
        )

    def _perform(self, request: HttpRequest, pk: int, action: RowAction, reason: str) -> HttpResponseBase:
        row_page = redirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk]))
        try:
            with transaction.atomic():
                # Locked, so that two people cannot perform the same action at once. `of`: joined rows stay free.
                row = self.model.objects.select_for_update(of=("self",)).filter(pk=pk).first()
                if row is None:
                    raise Http404

                # Behind the lock: somebody else may have acted since this person saw the page.
                if not action.is_applicable(row):
                    raise ActionRefused(_("Nothing to do: this was already done, or the situation has changed."))
                result = action.perform(request, row, reason)

                # In the same transaction: nothing is done that the log does not say.
                self.log_change(request, row, f"{result.message} {reason}".strip())
        # Outside the transaction, so that what the action had begun is rolled back.
        except ActionRefused as refused:
            self.message_user(request, str(refused), messages.ERROR)
            return row_page

        if not result.command:
            self.message_user(request, result.message, messages.SUCCESS)
            return row_page

        # The answer itself and no redirect: the command is stored nowhere, so no other page could show it.
        context = {"title": action.title, "action": action, "row": row, "result": result, "opts": self.opts}
        return TemplateResponse(
            request, "admin/scanner/command_shown_once.html", self.admin_site.each_context(request) | context
        )


def _archive(_request: HttpRequest, row: Any, _reason: str) -> ActionResult:
    row.archived_at = timezone.now()
    row.save(update_fields=["archived_at"])
    return ActionResult(str(_("Archived.")))


def _restore(_request: HttpRequest, row: Any, _reason: str) -> ActionResult:
    row.archived_at = None
    row.save(update_fields=["archived_at"])
    return ActionResult(str(_("Restored from the archive.")))


def archive_actions(permission: str) -> tuple[RowAction, RowAction]:
    """Return the actions that archive a row with evidence, and restore it; it is never deleted."""
    return (
        RowAction(
            "archive",
            _("Archive"),
            _(
                "The pages will no longer show it, and collectors will no longer be told about it. All evidence "
                "is kept."
            ),
            _archive,
            is_applicable=lambda row: row.archived_at is None,
            permission=permission,
        ),
        RowAction(
            "restore",
            _("Restore from the archive"),
            _("The pages will show it again, and its runs will be expected again."),
            _restore,
            is_applicable=lambda row: row.archived_at is not None,
            permission=permission,
        ),
    )
