"""Serve the page of a replica."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from checker.findings import listing
from checker.forms import RunListForm
from checker.pages import overview, replica_facts, replica_runs
from scanner.decorators import PageRequest, page_view
from scanner.intervals import grace

MAX_FINDINGS = 10


@page_view
def replica_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """Show a replica: its status and why, charts, and its runs. With htmx only the runs that follow."""
    replica = get_object_or_404(replica_facts.all_replicas(), uuid=uuid)
    before = RunListForm(request.GET).number("before")
    run_page = replica_runs.list_runs(replica, before)
    if request.htmx:
        return render(request, "checker/_run_rows.html", {"replica": replica, "run_page": run_page})

    (row,) = overview.replica_rows([replica], timezone.now())
    findings = listing.list_findings(listing.FindingFilter(replica=str(uuid)), limit=MAX_FINDINGS)
    context = {
        "replica": replica,
        "row": row,
        "grace": grace(replica.group.expected_interval),
        "findings": findings.rows,
        "run_page": run_page,
        "charts": replica_runs.run_charts(replica) if before is None else None,
    }
    return render(request, "checker/replica.html", context)
