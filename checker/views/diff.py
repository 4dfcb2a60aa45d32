"""The pages of what changed between two runs of a replica, and their downloads."""

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
from checker.jobs import run_comparisons
from checker.models import Comparison
from scanner.decorators import PageRequest, page_view
from scanner.errors import InvalidPageToken
from scanner.listing import breadcrumbs
from scanner.models import Replica, Run

PAGE = 100
"""Rows on a page."""


@page_view
def changes_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """What a run brought: its changes against the complete run before."""
    run = _run(uuid)
    comparison = run_comparisons.find_adjacent(run)
    return _show(request, run, comparison)


@page_view
def diff_page(request: PageRequest, base: UUID, uuid: UUID) -> HttpResponse:
    """The changes between any two complete runs of a replica."""
    try:
        comparison = run_comparisons.get_or_request(_run(base), _run(uuid))
    except LookupError as error:
        raise Http404(str(error)) from error
    if comparison.base is not None and comparison.base.uuid != base:
        ordered = reverse("diff", args=[comparison.base.uuid, comparison.run.uuid])
        return redirect(f"{ordered}?{request.GET.urlencode()}" if request.GET else ordered)
    return _show(request, _run(comparison.run.uuid), comparison)


@page_view
def pick(request: PageRequest, uuid: UUID) -> HttpResponse:
    """From two numbers of runs to the page of their changes; or, with what is wrong with them, to the replica's."""
    replica = get_object_or_404(Replica, uuid=uuid)
    numbers = [request.GET.get(name, "") for name in ("from", "to")]
    if not all(number.isdecimal() and number.isascii() and len(number) < 10 for number in numbers):
        return _refuse(request, uuid, _("Enter the numbers of two runs."))
    if int(numbers[0]) == int(numbers[1]):
        return _refuse(request, uuid, _("Choose two different runs."))
    found = {run.sequence: run for run in Run.objects.filter(replica=replica, sequence__in=map(int, numbers))}
    for number in map(int, numbers):
        run = found.get(number)
        if run is None:
            return _refuse(request, uuid, _("This replica has no run %(number)s.") % {"number": number})
        if run.state != Run.State.INGESTED:
            facts = {"number": number, "state": run.get_state_display()}
            return _refuse(request, uuid, _("Run %(number)s is not complete: %(state)s.") % facts)
    return redirect("diff", *(found[int(number)].uuid for number in numbers))


def _refuse(request: PageRequest, uuid: UUID, reason: str) -> HttpResponse:
    messages.error(request, reason)
    return redirect("replica", uuid)


@page_view
def download(request: PageRequest, base: UUID, uuid: UUID) -> HttpResponse | StreamingHttpResponse:
    """The changes that a page shows, all of them, as a file."""
    form = request.GET.get("format", "")
    if form not in export.CONTENT_TYPES:
        raise Http404
    try:
        comparison = run_comparisons.get_or_request(_run(base), _run(uuid))
    except LookupError as error:
        raise Http404(str(error)) from error
    if comparison.state != Comparison.State.DONE:
        return redirect("diff", base, uuid)
    lines = export.export_bytes(comparison, listing.read_query(request.GET).filter, form)
    response = StreamingHttpResponse(lines, content_type=export.CONTENT_TYPES[form])
    response["Content-Disposition"] = f'attachment; filename="{export.file_name(comparison, form)}"'
    return response


def _show(request: PageRequest, run: Run, comparison: Comparison | None) -> HttpResponse:
    ask = listing.read_query(request.GET)
    context: dict[str, Any] = {"run": run, "comparison": comparison, "ask": ask, "active": "changes"}
    context["last"] = Run.objects.filter(replica=run.replica_id, state=Run.State.INGESTED).latest("sequence")
    if comparison is None or comparison.state != Comparison.State.DONE:
        waiting = comparison is None or comparison.state == Comparison.State.WAITING
        if request.htmx and request.GET.get("poll"):
            template = "checker/_comparing.html"
            return (
                render(request, template, context | _progress(comparison)) if waiting else HttpResponseClientRefresh()
            )
        return render(request, "checker/diff.html", context | {"waiting": waiting} | _progress(comparison))
    if request.htmx and request.GET.get("poll"):
        return HttpResponseClientRefresh()
    try:
        context |= _found(comparison, ask)
    except InvalidPageToken as error:
        raise Http404 from error
    fragment = request.htmx and not request.htmx.boosted
    return render(request, f"checker/{'_changes' if fragment else 'diff'}.html", context)


def _found(comparison: Comparison, ask: ChangeListQuery) -> dict[str, Any]:
    """A page of the list, or a level of the tree: directories until there are no more, then what lies in it."""
    found: dict[str, Any] = {
        "chips": listing.filter_options(comparison, ask),
        "total": listing.count_changes(comparison),
        "stepped_over": run_comparisons.skipped_runs(comparison),
        "steps": breadcrumbs(ask.below),
        "levels": [],
        "tree_url": ask.query(view="tree", search="", after=""),
        "list_url": ask.query(view="list", after=""),
        "all_url": ask.query(kinds=(), below="", search="", after=""),
    }
    if ask.view != "tree":
        changes = queries.read_page(comparison, ask.filter, ask.after, PAGE)
        return found | {"rows": changes.rows, "more": changes.after and ask.query(after=changes.after)}
    if not ask.after.startswith("."):
        levels, after = queries.read_subdirectories(comparison, ask.filter, ask.after, PAGE)
        found["levels"] = levels
        if after:
            return found | {"rows": [], "more": ask.query(after=after)}
    changes = queries.read_directory_page(comparison, ask.filter, ask.after.removeprefix("."), PAGE)
    return found | {"rows": changes.rows, "more": changes.after and ask.query(after="." + changes.after)}


def _progress(comparison: Comparison | None) -> dict[str, Any]:
    return {"done": comparison.steps_done if comparison else 0, "steps_all": len(run_comparisons.STEPS)}


def _run(uuid: UUID) -> Run:
    """A run that has a state; others cannot be compared."""
    runs = Run.objects.defer("envelope").select_related("replica__group", "replica__server")
    return get_object_or_404(runs, uuid=uuid, state=Run.State.INGESTED)
