"""The page of a server: all that it keeps."""

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
    """A server: its replicas with their states, most urgent first, and how long their runs took."""
    server = get_object_or_404(Server, uuid=uuid)
    sections = overview.of_server(server, timezone.now())
    context = {"server": server, "sections": sections, "chart": work_time.of_server(server)}
    return render(request, "checker/server.html", context)
