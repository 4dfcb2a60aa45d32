"""Serve the page of a server."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from checker.pages import overview, work_time
from scanner.decorators import PageRequest, page_view
from scanner.models import Server


@page_view
def server_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """Show a server: its replicas with their statuses, most urgent first, and how long their runs took."""
    server = get_object_or_404(Server, uuid=uuid)
    context = {
        "server": server,
        "reused_tokens": server.enrolment_tokens.exclude(reused_at=None).order_by("-reused_at"),
        "sections": overview.server_sections(server, timezone.now()),
        "work_time": work_time.server_work_time(server),
    }
    return render(request, "checker/server.html", context)
