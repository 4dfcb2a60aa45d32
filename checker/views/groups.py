"""The page of a group: its replicas side by side, and what they differ in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django_htmx.http import HttpResponseClientRefresh

from checker.divergences import listing
from checker.divergences.listing import DivergenceListQuery
from checker.findings import listing as findings
from checker.jobs import group_comparisons
from checker.models import GroupComparison
from checker.pages import divergence_export, group_matrix, overview, replica_facts, work_time
from checker.pages.replica_row import ReplicaRow
from checker.pages.status import Status
from scanner.decorators import PageRequest, page_view
from scanner.errors import InvalidPageToken
from scanner.listing import breadcrumbs
from scanner.models import Group

OPEN_FINDINGS = 8


@page_view
def group_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """A group: its replicas with their states, their work time, and the matrix of what diverges; or only more rows."""
    group = get_object_or_404(Group, uuid=uuid)
    ask = listing.read_query(request.GET)
    comparison = _comparison(group, ask)
    done = comparison is not None and comparison.state == GroupComparison.State.DONE
    if request.htmx and request.GET.get("poll"):
        return HttpResponseClientRefresh() if done else render(request, "checker/_waiting.html", {"ask": ask})
    context: dict[str, Any] = {"group": group, "comparison": comparison, "done": done, "ask": ask}
    lines = overview.replica_rows(replica_facts.replicas_in_use().filter(group=group), timezone.now())
    if comparison is not None:
        context |= {"seats": group_matrix.seats(comparison, lines)}
    if comparison is not None and comparison.computed_at is not None and (done or ask.time is None):
        context |= _matrix(comparison, ask)
    if request.htmx and not request.htmx.boosted:
        return render(request, "checker/_matrix.html", context)
    return render(request, "checker/group.html", context | _around(group, lines, context))


@page_view
def download(request: PageRequest, uuid: UUID) -> HttpResponse | StreamingHttpResponse:
    """The divergences that a page shows, all of them, as a file."""
    form = request.GET.get("format", "")
    if form not in divergence_export.CONTENT_TYPES:
        raise Http404
    group, ask = get_object_or_404(Group, uuid=uuid), listing.read_query(request.GET)
    comparison = _comparison(group, ask)
    if comparison is None or comparison.computed_at is None or comparison.participants.exclude(run=None).count() < 2:
        return redirect("group", uuid)
    lines = divergence_export.export_bytes(comparison, ask.filter, form)
    response = StreamingHttpResponse(lines, content_type=divergence_export.CONTENT_TYPES[form])
    response["Content-Disposition"] = f'attachment; filename="{divergence_export.file_name(comparison, form)}"'
    return response


def _comparison(group: Group, ask: DivergenceListQuery) -> GroupComparison | None:
    return (
        group_comparisons.newest_comparison(group)
        if ask.time is None
        else group_comparisons.get_or_request(group, ask.time)
    )


def _matrix(comparison: GroupComparison, ask: DivergenceListQuery) -> dict[str, Any]:
    try:
        found = group_matrix.matrix(comparison, ask)
    except InvalidPageToken as error:
        raise Http404 from error
    return {
        "matrix": found,
        "total": listing.count_divergences(comparison),
        "chips": listing.filter_options(comparison, ask),
        "steps": [(step, ask.query(below=step.below, after="", view="")) for step in breadcrumbs(ask.below)],
        "root_url": ask.query(below="", after="", view=""),
        "tree_url": ask.query(view="tree", search="", after=""),
        "list_url": ask.query(view="list", after=""),
        "all_url": ask.query(kinds=(), verdict="", position="", below="", search="", after=""),
    }


def _around(group: Group, lines: list[ReplicaRow], context: dict[str, Any]) -> dict[str, Any]:
    """All that stands around the matrix."""
    opened = findings.list_findings(findings.FindingFilter(group=str(group.uuid)), limit=OPEN_FINDINGS)
    worst = min((line.assessment.status for line in lines), key=lambda state: state.urgency, default=Status.UNKNOWN)
    return {
        "lines": lines,
        "state": worst,
        "look_at": group_matrix.look_at(context.get("seats", [])),
        "findings": opened,
        "chart": work_time.of_group(group),
        "now": timezone.localtime().strftime("%Y-%m-%dT%H:%M"),
    }
