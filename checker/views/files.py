"""The page of one path."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from checker.pages import file_history, replica_facts
from scanner.decorators import PageRequest, page_view
from scanner.listing import breadcrumbs

LONGEST = 32_000


@page_view
def file_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """The life of a path on a replica, and what the other replicas of the group hold under it."""
    replica = get_object_or_404(replica_facts.all_replicas(), uuid=uuid)
    path = request.GET.get("path", "")[:LONGEST].replace("\0", "")
    if not path:
        raise Http404
    life = file_history.tell(replica, path, timezone.now())
    context = {"replica": replica, "path": path, "life": life, "steps": breadcrumbs(path)}
    return render(request, "checker/file.html", context, status=200 if life else 404)
