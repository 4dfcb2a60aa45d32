"""The page of a group."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from checker import work_time
from scanner.access import PageRequest, page
from scanner.models import Group


@page
def group_page(request: PageRequest, uuid: UUID) -> HttpResponse:
    """A group: how long the runs of its replicas took."""
    group = get_object_or_404(Group, uuid=uuid)
    return render(request, "checker/group.html", {"group": group, "chart": work_time.of_group(group)})
