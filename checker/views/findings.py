"""The pages of findings, and what a person does there."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, time
from typing import cast
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from checker.changes import queries
from checker.findings import actions, description, listing
from checker.findings.listing import FindingFilter
from checker.findings.replicas import members
from checker.models import Finding
from scanner.decorators import PageRequest, action_view, page_view
from scanner.errors import InvalidPageToken
from scanner.formatting.names import FOLDED_FROM
from scanner.models import Group, Replica

MEMBERS = 100


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"), max_length=1000, widget=forms.Textarea(attrs={"rows": 3, "class": "form-control"})
    )


class AcceptForm(ReasonForm):
    """Why, and until when."""

    until = forms.DateField(
        label=gettext_lazy("Expires (empty: never)"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date", "class": "form-control"}),
    )

    def expires_at(self) -> datetime | None:
        """The end of the day that was named."""
        day = self.cleaned_data["until"]
        return None if day is None else timezone.make_aware(datetime.combine(day, time(23, 59, 59)))


@page_view
def findings_page(request: PageRequest) -> HttpResponse:
    """Findings, the gravest first; with htmx only the rows that follow."""
    given = {name: str(request.GET.get(name, default)) for name, default in FindingFilter()._asdict().items()}
    filters = FindingFilter(**{name: text.replace("\0", "")[:200] for name, text in given.items()})
    after = request.GET.get("after", "")
    try:
        found = listing.list_findings(filters, after)
    except InvalidPageToken as error:
        raise Http404 from error
    said = {name: value for name, value in filters._asdict().items() if value != getattr(FindingFilter(), name)}
    context = {
        "page": found,
        "after": after,
        "filters": filters,
        "kinds": listing.count_by_kind(filters),
        "states": Finding.State.choices,
        "severities": Finding.Severity.choices,
        "groups": Group.objects.filter(findings__isnull=False).distinct(),
        "more": "?" + urlencode(said | {"after": found.after}),
        "here": urlencode(said),
        "query": urlencode({name: value for name, value in said.items() if name != "kind"}),
        "acts": request.user.has_perm("scanner.operate"),
        "newest": listing.last_compared_at(),
        "form": ReasonForm(),
    }
    return render(request, f"checker/{'_findings' if request.htmx else 'findings'}.html", context)


@page_view
def finding_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """A finding: what it is, why, what it means, what to do next, and what was done."""
    return _show(request, _finding(uuid))


@action_view
def act(request: HttpRequest, uuid: UUID, act: str) -> HttpResponse:
    """Accept, undo or release; a form that does not do shows the page again with what is wrong."""
    finding, user = _finding(uuid), cast(User, request.user)
    form = AcceptForm(request.POST) if act == "accept" else ReasonForm(request.POST)
    if act not in ("accept", "undo", "release"):
        raise Http404
    if form.is_valid():
        reason, seen = form.cleaned_data["reason"], request.POST.get("seen", "")
        try:
            if isinstance(form, AcceptForm):
                actions.accept(finding, user, reason, form.expires_at(), seen)
            elif act == "undo":
                actions.undo(finding, user, reason)
            else:
                actions.release(finding, user, reason, seen)
        except actions.ActionRefused as refused:
            form.add_error(None, str(refused))
            finding = _finding(uuid)
        else:
            messages.success(request, _DONE[act])
            return redirect("finding", uuid)
    return _show(request, finding, form, status=422)


@action_view
def accept_many(request: HttpRequest) -> HttpResponse:
    """Accept the chosen findings for one reason; damage is never among them."""
    form, user = ReasonForm(request.POST), cast(User, request.user)
    seen_revisions = _seen_revisions(request.POST.getlist("finding"))
    chosen = list(Finding.objects.filter(uuid__in=seen_revisions))
    if not chosen or not form.is_valid():
        messages.error(request, _("Select findings and enter a reason."))
        return _back(request)
    try:
        done = actions.accept_all(chosen, user, form.cleaned_data["reason"], seen_revisions)
    except actions.ActionRefused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(
            request,
            ngettext("%(n)d finding has been accepted.", "%(n)d findings have been accepted.", done) % {"n": done},
        )
    return _back(request)


def _back(request: HttpRequest) -> HttpResponse:
    """To the findings, filtered as they were."""
    return redirect(f"{reverse('findings')}?{request.GET.urlencode()}" if request.GET else "findings")


_DONE = {
    "accept": gettext_lazy("The finding has been accepted."),
    "undo": gettext_lazy("The finding is open again."),
    "release": gettext_lazy("The replica is no longer on hold."),
}


def _show(request: HttpRequest, finding: Finding, form: forms.Form | None = None, status: int = 200) -> HttpResponse:
    after = request.GET.get("after", "")
    try:
        paths = _members(finding, after) if finding.folded else None
    except InvalidPageToken as error:
        raise Http404 from error
    open_now, accepted = finding.state == Finding.State.OPEN, finding.state == Finding.State.ACCEPTED
    held, said = finding.kind == Finding.Kind.MASS_CHANGE, description.describe(finding)
    context = {
        "finding": finding,
        "description": said,
        "whole_path": finding.path if len(said.title) > FOLDED_FROM else "",
        "audit_log": finding.audit_entries.select_related("run").all(),
        "members": paths,
        "place": finding.replica or _place(finding),
        "may_act": request.user.has_perm("scanner.operate"),
        "act": "release" if open_now and held else "accept" if open_now else "undo" if accepted else "",
        "form": form or (AcceptForm() if open_now and not held else ReasonForm()),
    }
    return render(request, "checker/finding.html", context, status=status)


def _finding(uuid: UUID) -> Finding:
    found = Finding.objects.select_related(
        "group", "replica__server", "replica__group", "first_run", "last_run", "accepted_by"
    )
    return get_object_or_404(found, uuid=uuid)


def _members(finding: Finding, after: str) -> queries.ChangePage | members.PathPage:
    if finding.replica_id is None:
        return members.list_paths(finding, after, MEMBERS)
    return queries.read_finding_page(finding.pk, after, MEMBERS)


def _place(finding: Finding) -> Replica | None:
    """A replica that a finding between replicas concerns: from there the life of a path is shown."""
    found = Replica.objects.filter(group=finding.group).select_related("server")
    return found.filter(pk__in=finding.concerns).first() or found.first()


def _seen_revisions(chosen: list[str]) -> dict[UUID, str]:
    """What was seen of each finding that was chosen; what names none is left out."""
    found = {}
    for name, _blank, seen in (text.partition(" ") for text in chosen):
        with suppress(ValueError):
            found[UUID(name)] = seen
    return found
