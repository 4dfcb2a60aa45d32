"""Serve the page of one path."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from checker.forms import PathForm
from checker.pages import file_history, replica_facts
from scanner.decorators import PageRequest, page_view


@page_view
def file_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """Show the history of a path on a replica, and what the other replicas of the group hold under it."""
    replica = get_object_or_404(replica_facts.all_replicas(), uuid=uuid)
    path = PathForm(request.GET).text("path")
    if not path:
        raise Http404

    history = file_history.read_file_history(replica, path, timezone.now())
    context = {"replica": replica, "path": path, "history": history}
    # The page says that there is no such path; to a program it is not found.
    return render(request, "checker/file.html", context, status=200 if history else 404)
