"""Serve the page of a group: its replicas side by side, and where they differ."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django_htmx.http import HttpResponseClientRefresh

from checker.divergences import listing
from checker.divergences.listing import DivergenceListQuery
from checker.findings import listing as finding_listing
from checker.forms import DownloadForm, PollForm
from checker.jobs import group_comparisons
from checker.models import GroupComparison
from checker.pages import divergence_export, group_matrix, overview, replica_facts, work_time
from checker.pages.replica_row import ReplicaRow
from checker.pages.status import Status
from scanner.decorators import PageRequest, page_view
from scanner.errors import InvalidPageToken
from scanner.models import Group

MAX_FINDINGS = 8
DATETIME_INPUT = "%Y-%m-%dT%H:%M"
"""Format of a datetime-local field."""


@page_view
def group_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """Show a group: its replicas, their work time, and the matrix of divergences. With htmx only more rows of it."""
    group = get_object_or_404(Group, uuid=uuid)
    list_query = DivergenceListQuery.read(request.GET)
    comparison = _comparison(group, list_query)
    is_done = comparison is not None and comparison.state == GroupComparison.State.DONE

    # A page that waits asks again by itself, until there is something to load.
    if request.htmx and PollForm(request.GET).text("poll"):
        if is_done:
            return HttpResponseClientRefresh()
        return render(request, "checker/_group_comparison_progress.html", {"list_query": list_query})

    rows = overview.replica_rows(replica_facts.replicas_in_use().filter(group=group), timezone.now())
    context: dict[str, Any] = {
        "group": group,
        "comparison": comparison,
        "is_done": is_done,
        "list_query": list_query,
        "columns": group_matrix.read_columns(comparison, rows) if comparison is not None else [],
    }
    # The newest comparison shows its last result while it is updated; one of a moment shows nothing until it is done.
    has_result = comparison is not None and comparison.computed_at is not None
    if comparison is not None and has_result and (is_done or list_query.time is None):
        context |= _matrix_context(comparison, list_query)

    # A boosted link of a page comes through htmx, too, and wants the whole page.
    if request.htmx and not request.htmx.boosted:
        return render(request, "checker/_matrix_rows.html", context)
    return render(request, "checker/group.html", context | _group_context(group, rows, context))


@page_view
def download(request: PageRequest, uuid: UUID) -> HttpResponse | StreamingHttpResponse:
    """Stream all divergences that match, as a file."""
    file_format = DownloadForm(request.GET).text("format")
    if not file_format:
        raise Http404

    group = get_object_or_404(Group, uuid=uuid)
    list_query = DivergenceListQuery.read(request.GET)
    comparison = _comparison(group, list_query)
    # Without a result there is no file: the page says what it waits for.
    if comparison is None or comparison.computed_at is None or comparison.participants.exclude(run=None).count() < 2:
        return redirect("group", uuid)

    batches = divergence_export.export_bytes(comparison, list_query.filter, file_format)
    response = StreamingHttpResponse(batches, content_type=divergence_export.CONTENT_TYPES[file_format])
    name = divergence_export.file_name(comparison, file_format)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _comparison(group: Group, list_query: DivergenceListQuery) -> GroupComparison | None:
    if list_query.time is None:
        return group_comparisons.newest_comparison(group)
    return group_comparisons.get_or_request(group, list_query.time)


def _matrix_context(comparison: GroupComparison, list_query: DivergenceListQuery) -> dict[str, Any]:
    try:
        matrix = group_matrix.read_matrix(comparison, list_query)
    except InvalidPageToken as error:
        raise Http404 from error

    return {
        "matrix": matrix,
        "divergence_count": listing.count_divergences(comparison),
        "filter_options": listing.filter_options(comparison, list_query),
    }


def _group_context(group: Group, rows: list[ReplicaRow], context: dict[str, Any]) -> dict[str, Any]:
    """Return what stands around the matrix."""
    findings = finding_listing.list_findings(finding_listing.FindingFilter(group=str(group.uuid)), limit=MAX_FINDINGS)
    statuses = [row.assessment.status for row in rows]
    return {
        "rows": rows,
        "status": min(statuses, key=lambda status: status.urgency, default=Status.UNKNOWN),
        "holds": group_matrix.describe_holds(rows),
        "first_check": group_matrix.first_server_to_check(context["columns"]),
        "findings": findings,
        "work_time": work_time.group_work_time(group),
        "now": timezone.localtime().strftime(DATETIME_INPUT),
    }
