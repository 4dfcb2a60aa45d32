"""The pages of what is proven: overview, replica, run; and the health check."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRefresh, trigger_client_event

from checker.findings import listing
from checker.pages import health, overview, replica_facts, replica_runs, run_detail
from checker.pages.status import Status
from scanner.decorators import PageRequest, page_view
from scanner.export import formats
from scanner.intervals import grace

REPAIRS = 5
"""Damaged copies that the first page names."""


@page_view
def overview_page(request: PageRequest) -> HttpResponse:
    """Groups and replicas with their states, most urgent first; filtered by name and state."""
    name, state = request.GET.get("name", "").replace("\0", "").strip(), request.GET.get("state", "")
    now = timezone.now()
    shown = overview.overview(now, name, state if state in Status.values else "")
    context = {
        "overview": shown,
        "name": name,
        "state": state,
        "running": overview.running(now),
        "repairs": listing.list_repairable(REPAIRS),
        "steps": None if shown.total else overview.first_steps(),
    }
    return render(request, "checker/overview.html", context)


@page_view
def running_fragment(request: PageRequest) -> HttpResponse:
    """What runs now; when that has changed since `were`, the page is told to look again at the rest."""
    going = overview.running(timezone.now())
    response = render(request, "checker/_running.html", {"running": going})
    if request.GET.get("were", "") != going.key:
        return trigger_client_event(response, "runs-changed")
    return response


@page_view
def replica_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """A replica: its state and why, charts, and its runs."""
    replica = get_object_or_404(replica_facts.all_replicas(), uuid=uuid)
    before = request.GET.get("before", "")
    runs = replica_runs.runs(replica, int(before) if before.isdecimal() and len(before) < 10 else None)
    if request.htmx:
        return render(request, "checker/_runs.html", {"replica": replica, "page": runs})
    (line,) = overview.replica_rows([replica], timezone.now())
    context = {
        "replica": replica,
        "line": line,
        "grace": grace(replica.group.expected_interval),
        "open_findings": listing.list_findings(listing.FindingFilter(replica=str(uuid)), limit=10).rows,
        "page": runs,
        "charts": None if before else replica_runs.charts(replica),
    }
    return render(request, "checker/replica.html", context)


@page_view
def run_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """A run: what it found, who signed it, whether it is proven; before it has arrived, how far it is."""
    course = run_detail.course(uuid, timezone.now())
    if course is None:
        raise Http404
    if course.run is None:
        return render(request, "checker/progress.html", {"course": course})
    context = {
        "course": course,
        "story": run_detail.tell(course.run),
        "run": course.run,
        "forms": formats.available_formats(course.run).items(),
    }
    return render(request, "checker/run.html", context)


@page_view
def progress_fragment(request: PageRequest, uuid: UUID) -> HttpResponse:
    """How far a run is; when it is over, or has arrived, the whole page is made anew."""
    course = run_detail.course(uuid, timezone.now())
    stage = request.GET.get("stage", "")
    if course is not None and (course.over or stage != course.stage):
        return HttpResponseClientRefresh()
    return render(request, "checker/_course.html", {"course": course, "uuid": uuid})


@require_safe
@never_cache
def health_check(_request: HttpRequest) -> JsonResponse:
    """Whether database and tasks work: 200 when all do, else 503. For machines, so without a login."""
    found = health.look()
    return JsonResponse(found._asdict(), status=200 if all(found) else 503)
