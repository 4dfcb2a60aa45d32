"""Serve the page of a run, from its first message to its proof."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django_htmx.http import HttpResponseClientRefresh

from checker.forms import RunProgressForm
from checker.pages import run_detail
from scanner.decorators import PageRequest, page_view
from scanner.export import formats


@page_view
def run_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """Show a run: what it found, who signed it, whether it is proven. Before its report has arrived, how far it is."""
    run_progress = run_detail.track_run(uuid, timezone.now())
    if run_progress is None:
        raise Http404

    if run_progress.run is None:
        return render(request, "checker/progress.html", {"run_progress": run_progress})

    context = {
        "run_progress": run_progress,
        "run": run_progress.run,
        "detail": run_detail.describe_run(run_progress.run),
        "export_forms": formats.available_formats(run_progress.run).items(),
    }
    return render(request, "checker/run.html", context)


@page_view
def progress_fragment(request: PageRequest, uuid: UUID) -> HttpResponse:
    """Show how far a run is. Reload the whole page when it is over or at another stage than the page shows."""
    run_progress = run_detail.track_run(uuid, timezone.now())
    shown_stage = RunProgressForm(request.GET).text("stage")

    # A fragment cannot turn into another page.
    if run_progress is not None and (run_progress.is_over or run_progress.stage != shown_stage):
        return HttpResponseClientRefresh()
    return render(request, "checker/_run_progress.html", {"run_progress": run_progress, "uuid": uuid})
