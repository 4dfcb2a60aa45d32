"""Serve the overview, and the list of runs that are in progress on it."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django_htmx.http import trigger_client_event

from checker.findings import listing
from checker.forms import OverviewQuery, RunningForm
from checker.pages import overview
from scanner.decorators import PageRequest, page_view

MAX_REPAIRS = 5
"""Damaged copies that the overview names."""


@page_view
def overview_page(request: PageRequest) -> HttpResponse:
    """Show groups and replicas with their statuses, most urgent first, filtered by name and status."""
    list_query = OverviewQuery.read(request.GET)
    now = timezone.now()
    shown = overview.read_overview(now, list_query.name, list_query.status)

    context = {
        "overview": shown,
        "list_query": list_query,
        "running": overview.running_runs(now),
        "repairs": listing.list_repairable(MAX_REPAIRS),
        # They are for whoever has no replica yet.
        "steps": None if shown.replica_count else overview.first_steps(),
    }
    return render(request, "checker/overview.html", context)


@page_view
def running_fragment(request: PageRequest) -> HttpResponse:
    """Show the runs in progress. Tell the page to refresh the rest when runs have started or ended since `were`."""
    running = overview.running_runs(timezone.now())
    response = render(request, "checker/_running_runs.html", {"running": running})

    # The rest of the page takes more queries, and changes only when a run starts or ends.
    if RunningForm(request.GET).text("were") != running.key:
        return trigger_client_event(response, "runs-changed")
    return response
