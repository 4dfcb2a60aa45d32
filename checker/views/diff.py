"""Serve the pages of the changes between two runs of a replica, and their downloads."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRefresh

from checker.changes import export, listing, queries
from checker.changes.listing import ChangeListQuery
from checker.forms import CompareRunsForm, DownloadForm, PollForm
from checker.jobs import run_comparisons
from checker.models import Comparison
from checker.pages import change_list
from scanner.decorators import PageRequest, page_view
from scanner.errors import InvalidPageToken
from scanner.listing import with_parameters
from scanner.models import Replica, Run


@page_view
def changes_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """Show the changes of a run against the complete run before it."""
    run = _complete_run(uuid)
    return _show(request, run, run_comparisons.find_adjacent(run))


@page_view
def diff_page(request: PageRequest, base: UUID, uuid: UUID) -> HttpResponse:
    """Show the changes between any two complete runs of a replica."""
    comparison = _comparison(base, uuid)
    if comparison.base is not None and comparison.base.uuid != base:
        # The runs were named in the wrong order.
        url = reverse("diff", args=[comparison.base.uuid, comparison.run.uuid])
        return redirect(with_parameters(url, request.GET))
    return _show(request, _complete_run(comparison.run.uuid), comparison)


@page_view
def compare_runs(request: PageRequest, uuid: UUID) -> HttpResponse:
    """Redirect from the numbers of two runs to their changes, or to the replica with what is wrong with the numbers."""
    replica = get_object_or_404(Replica, uuid=uuid)
    form = CompareRunsForm(request.GET)
    if not form.is_valid():
        return _refuse(request, uuid, form.problem())

    numbers = [form.cleaned_data["from"], form.cleaned_data["to"]]
    runs = {run.sequence: run for run in Run.objects.filter(replica=replica, sequence__in=numbers)}

    for number in numbers:
        run = runs.get(number)
        if run is None:
            return _refuse(request, uuid, _("This replica has no run %(number)s.") % {"number": number})
        if run.state != Run.State.INGESTED:
            values = {"number": number, "state": run.get_state_display()}
            return _refuse(request, uuid, _("Run %(number)s is not complete: %(state)s.") % values)

    return redirect("diff", *(runs[number].uuid for number in numbers))


@page_view
def download(request: PageRequest, base: UUID, uuid: UUID) -> HttpResponse | StreamingHttpResponse:
    """Stream all changes that match, as a file."""
    file_format = DownloadForm(request.GET).text("format")
    if not file_format:
        raise Http404

    comparison = _comparison(base, uuid)
    # A file of half a comparison would look like a whole one.
    if comparison.state != Comparison.State.DONE:
        return redirect("diff", base, uuid)

    lines = export.export_bytes(comparison, ChangeListQuery.read(request.GET).filter, file_format)
    response = StreamingHttpResponse(lines, content_type=export.CONTENT_TYPES[file_format])
    response["Content-Disposition"] = f'attachment; filename="{export.file_name(comparison, file_format)}"'
    return response


def _comparison(base: UUID, uuid: UUID) -> Comparison:
    try:
        return run_comparisons.get_or_request(_complete_run(base), _complete_run(uuid))
    except LookupError as error:
        raise Http404(str(error)) from error


def _complete_run(uuid: UUID) -> Run:
    """Return a run that is part of the history. Others cannot be compared."""
    runs = Run.objects.defer("envelope").select_related("replica__group", "replica__server")
    return get_object_or_404(runs, uuid=uuid, state=Run.State.INGESTED)


def _refuse(request: PageRequest, uuid: UUID, reason: str) -> HttpResponse:
    messages.error(request, reason)
    return redirect("replica", uuid)


def _show(request: PageRequest, run: Run, comparison: Comparison | None) -> HttpResponse:
    polls = bool(request.htmx) and bool(PollForm(request.GET).text("poll"))
    if comparison is None or comparison.state != Comparison.State.DONE:
        return _show_unfinished(request, run, comparison, polls=polls)
    if polls:
        return HttpResponseClientRefresh()

    list_query = ChangeListQuery.read(request.GET)
    try:
        page = change_list.read_change_list(comparison, list_query)
    except InvalidPageToken as error:
        raise Http404 from error

    context = _context(list_query, run, comparison) | {
        "filter_options": listing.filter_options(comparison, list_query),
        "change_count": listing.count_changes(comparison),
        "change_list": page,
        "run_numbers": queries.compared_run_numbers(run.replica_id, page.changes),
        "skipped_runs": run_comparisons.skipped_runs(comparison),
    }
    # A boosted link of a page comes through htmx, too, and wants the whole page.
    is_fragment = request.htmx and not request.htmx.boosted
    return render(request, "checker/_change_rows.html" if is_fragment else "checker/diff.html", context)


def _show_unfinished(request: PageRequest, run: Run, comparison: Comparison | None, *, polls: bool) -> HttpResponse:
    """Show how far a comparison is, or that it was set aside."""
    is_waiting = comparison is None or comparison.state == Comparison.State.WAITING
    if polls and not is_waiting:
        return HttpResponseClientRefresh()

    context = _context(ChangeListQuery.read(request.GET), run, comparison) | {
        "is_waiting": is_waiting,
        "steps_done": comparison.steps_done if comparison else 0,
        "step_count": len(run_comparisons.STEPS),
    }
    return render(request, "checker/_run_comparison_progress.html" if polls else "checker/diff.html", context)


def _context(list_query: ChangeListQuery, run: Run, comparison: Comparison | None) -> dict[str, Any]:
    """Return what the page shows whether the comparison is done or not."""
    complete_runs = Run.objects.filter(replica=run.replica_id, state=Run.State.INGESTED)
    return {
        "run": run,
        "comparison": comparison,
        "list_query": list_query,
        "active": "changes",
        "newest_run": complete_runs.latest("sequence"),
    }
