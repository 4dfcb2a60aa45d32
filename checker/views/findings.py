"""Serve the pages of findings, and carry out what a person decides there."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from checker.changes import queries
from checker.findings import actions, declarations, description, listing
from checker.findings.declarations import DamagedContent
from checker.findings.listing import FindingListQuery
from checker.findings.replicas import members
from checker.forms import AcceptForm, ReasonForm
from checker.models import Finding
from checker.views import contents
from scanner.decorators import PageRequest, action_view, page_view
from scanner.errors import InvalidPageToken
from scanner.formatting.names import FOLDED_FROM
from scanner.listing import PageQuery, with_parameters
from scanner.models import Group, Replica
from scanner.roles import OPERATE

MAX_MEMBERS = 100
"""Paths of a folded finding on a page."""
MAX_LINKED = 50
"""Findings about the same path on a page."""
ACTIONS = ("accept", "undo", "release")


@page_view
def findings_page(request: PageRequest) -> HttpResponse:
    """Show findings, the most severe first. With htmx only the rows that follow."""
    list_query = FindingListQuery.read(request.GET)
    try:
        finding_page = listing.list_findings(list_query.filter, list_query.after)
    except InvalidPageToken as error:
        raise Http404 from error

    context = {
        "finding_page": finding_page,
        "list_query": list_query,
        "filter_options": listing.filter_options(list_query),
        "states": Finding.State.choices,
        "severities": Finding.Severity.choices,
        "groups": Group.objects.filter(findings__isnull=False).distinct(),
        "next_page": list_query.address(after=finding_page.after),
        "filter_address": list_query.address(after=""),
        "may_operate": request.user.has_perm(OPERATE),
        "last_compared_at": listing.last_compared_at(),
        "form": ReasonForm(),
    }
    return render(request, "checker/_finding_rows.html" if request.htmx else "checker/findings.html", context)


@page_view
def finding_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """Show a finding: what happened, why it is one, what it means, what to do next, and what was done."""
    return _show(request, _finding(uuid))


@action_view
def act(request: HttpRequest, uuid: UUID, act: str) -> HttpResponse:
    """Accept a finding, undo that, or release a replica. A form with errors is shown again with what is wrong."""
    finding = _finding(uuid)
    if act not in ACTIONS:
        raise Http404

    form = AcceptForm(request.POST) if act == "accept" else ReasonForm(request.POST)
    if not form.is_valid():
        return _show(request, finding, form, status=422)

    try:
        _carry_out(request, finding, act, form)
    except actions.ActionRefused as refused:
        form.add_error(None, str(refused))
        # The refusal says that the finding has changed: the page shows it as it is now.
        return _show(request, _finding(uuid), form, status=422)

    messages.success(request, DONE_MESSAGES[act])
    return redirect("finding", uuid)


@action_view
def decide_content(request: HttpRequest, uuid: UUID, act: str) -> HttpResponse:
    """Declare a damaged content of the finding's path good, or withdraw that."""
    finding = _finding(uuid)
    if finding.folded or not finding.path:
        raise Http404
    contents.decide(request, finding.group, finding.path, act)
    return redirect("finding", uuid)


@action_view
def accept_many(request: HttpRequest) -> HttpResponse:
    """Accept the selected findings for one reason. Damage is never among them."""
    form = ReasonForm(request.POST)
    seen_revisions = _seen_revisions(request.POST.getlist("finding"))
    findings = list(Finding.objects.filter(uuid__in=seen_revisions))

    if not findings or not form.is_valid():
        messages.error(request, _("Select findings and enter a reason."))
        return _back_to_list(request)

    user = cast(User, request.user)
    try:
        accepted = actions.accept_all(findings, user, form.cleaned_data["reason"], seen_revisions)
    except actions.ActionRefused as refused:
        messages.error(request, str(refused))
        return _back_to_list(request)

    text = ngettext("%(n)d finding has been accepted.", "%(n)d findings have been accepted.", accepted)
    messages.success(request, text % {"n": accepted})
    return _back_to_list(request)


DONE_MESSAGES = {
    "accept": gettext_lazy("The finding has been accepted."),
    "undo": gettext_lazy("The finding is open again."),
    "release": gettext_lazy("The replica is no longer on hold."),
}


def _carry_out(request: HttpRequest, finding: Finding, act: str, form: ReasonForm) -> None:
    """Do what the form asks for. Raise ActionRefused when the finding is no longer what its reader has seen."""
    user = cast(User, request.user)
    reason = form.cleaned_data["reason"]
    # What its reader has seen: if the finding has changed since, the decision was about something else.
    seen_revision = request.POST.get("seen", "")

    if isinstance(form, AcceptForm):
        actions.accept(finding, user, reason, form.expires_at(), seen_revision)
    elif act == "undo":
        actions.undo(finding, user, reason)
    else:
        actions.release(finding, user, reason, seen_revision)


def _back_to_list(request: HttpRequest) -> HttpResponse:
    """Redirect to the findings, filtered as they were."""
    return redirect(with_parameters(reverse("findings"), request.GET))


def _show(request: HttpRequest, finding: Finding, form: forms.Form | None = None, status: int = 200) -> HttpResponse:
    finding_description = description.describe(finding)
    action = _possible_action(finding)
    if form is None:
        form = AcceptForm() if action == "accept" else ReasonForm()

    context = {
        "finding": finding,
        "description": finding_description,
        # A long path is cut in the title, so it stands whole once below.
        "whole_path": finding.path if len(finding_description.title) > FOLDED_FROM else "",
        "audit_log": finding.audit_entries.select_related("run").all(),
        "linked_findings": _linked_findings(finding),
        "members": _members(request, finding) if finding.folded else None,
        "damaged_contents": _damaged_contents(finding),
        "declare_address": reverse("finding-content", args=[finding.uuid, "declare-good"]),
        "withdraw_address": reverse("finding-content", args=[finding.uuid, "withdraw"]),
        "replica_with_history": finding.replica or _concerned_replica(finding),
        "may_operate": request.user.has_perm(OPERATE),
        "action": action,
        "form": form,
    }
    return render(request, "checker/finding.html", context, status=status)


def _linked_findings(finding: Finding) -> list[tuple[Finding, str]]:
    """Return the findings about the same path, each with its title: that between the replicas, or theirs."""
    findings = Finding.objects.select_related("group", "replica__server", "replica__group", "first_run", "last_run")
    if finding.replica is None:
        linked = findings.filter(group_finding=finding)
    else:
        linked = findings.filter(replica_findings=finding)
    return [(row, description.title(row)) for row in linked.order_by("-pk")[:MAX_LINKED]]


def _damaged_contents(finding: Finding) -> list[DamagedContent]:
    """Return the known damage of the path that a finding is about."""
    if finding.folded or not finding.path:
        return []
    return declarations.read_damaged_contents(finding.group, finding.path)


def _possible_action(finding: Finding) -> str:
    """Return the action that a person may take now; empty for none."""
    if finding.state == Finding.State.OPEN:
        return "release" if finding.kind == Finding.Kind.MASS_CHANGE else "accept"
    if finding.state == Finding.State.ACCEPTED:
        return "undo"
    return ""


def _finding(uuid: UUID) -> Finding:
    findings = Finding.objects.select_related(
        "group", "replica__server", "replica__group", "first_run", "last_run", "accepted_by"
    )
    return get_object_or_404(findings, uuid=uuid)


def _members(request: HttpRequest, finding: Finding) -> Any:
    """Return a page of the paths that a folded finding stands for."""
    after = PageQuery.read(request.GET).after
    try:
        if finding.replica_id is None:
            return members.list_paths(finding, after, MAX_MEMBERS)
        return queries.read_finding_page(finding.pk, after, MAX_MEMBERS)
    except InvalidPageToken as error:
        raise Http404 from error


def _concerned_replica(finding: Finding) -> Replica | None:
    """Return a replica that a finding between replicas concerns. Its page shows the history of the path."""
    replicas = Replica.objects.filter(group=finding.group).select_related("server")
    return replicas.filter(pk__in=finding.concerns).first() or replicas.first()


def _seen_revisions(selected: list[str]) -> dict[UUID, str]:
    """Return the revision that a person has seen of each selected finding. What names no finding is left out."""
    revisions = {}
    for value in selected:
        uuid, _space, revision = value.partition(" ")
        with suppress(ValueError):
            revisions[UUID(uuid)] = revision
    return revisions
