"""Serve the page of one path."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from checker.findings import declarations
from checker.forms import PathForm
from checker.pages import file_history, replica_facts
from checker.views import contents
from scanner.decorators import PageRequest, action_view, page_view
from scanner.listing import with_parameters
from scanner.models import Replica
from scanner.roles import OPERATE


@page_view
def file_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """Show the history of a path on a replica, and what the other replicas of the group hold under it."""
    replica = get_object_or_404(replica_facts.all_replicas(), uuid=uuid)
    path = PathForm(request.GET).text("path")
    if not path:
        raise Http404

    history = file_history.read_file_history(replica, path, timezone.now())
    context = {
        "replica": replica,
        "path": path,
        "history": history,
        "damaged_contents": declarations.read_damaged_contents(replica.group, path),
        "declare_address": _content_address(replica, path, "declare-good"),
        "withdraw_address": _content_address(replica, path, "withdraw"),
        "may_operate": request.user.has_perm(OPERATE),
    }
    # The page says that there is no such path; to a program it is not found.
    return render(request, "checker/file.html", context, status=200 if history else 404)


@action_view
def decide_content(request: HttpRequest, uuid: UUID, act: str) -> HttpResponse:
    """Declare a damaged content of a path good, or withdraw that."""
    replica = get_object_or_404(Replica.objects.select_related("group"), uuid=uuid)
    path = PathForm(request.GET).text("path")
    if not path:
        raise Http404

    contents.decide(request, replica.group, path, act)
    return redirect(with_parameters(reverse("file", args=[uuid]), request.GET))


def _content_address(replica: Replica, path: str, act: str) -> str:
    """Return the address to which a form of the page sends a declaration."""
    # The path stands in the address, since forms change line ends in their fields.
    return reverse("file-content", args=[replica.uuid, act], query={"path": path})
