"""Serve the page of a replica."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from checker.findings import listing
from checker.forms import RunListQuery
from checker.pages import overview, replica_facts, replica_runs
from scanner.decorators import PageRequest, page_view
from scanner.intervals import grace

MAX_FINDINGS = 10


@page_view
def replica_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """Show a replica: its status and why, charts, and its runs. With htmx only the runs that follow."""
    replica = get_object_or_404(replica_facts.all_replicas(), uuid=uuid)
    list_query = RunListQuery.read(request.GET)
    run_page = replica_runs.list_runs(replica, list_query.before)
    context = {
        "replica": replica,
        "run_page": run_page,
        "next_page": list_query.address(before=run_page.before),
    }
    if request.htmx:
        return render(request, "checker/_run_rows.html", context)

    (row,) = overview.replica_rows([replica], timezone.now())
    findings = listing.list_findings(listing.FindingFilter(replica=str(uuid)), limit=MAX_FINDINGS)
    context |= {
        "row": row,
        "grace": grace(replica.group.expected_interval),
        "findings": findings.rows,
        # Charts are of the newest runs, so a page of older ones has none.
        "charts": replica_runs.run_charts(replica) if list_query.before is None else None,
    }
    return render(request, "checker/replica.html", context)
