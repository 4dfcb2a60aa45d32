"""The pages of duplicates, of a replica and of a group, and their downloads."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from checker.duplicates import export, listing, places, queries
from checker.duplicates.places import Place
from scanner.decorators import PageRequest, page_view
from scanner.errors import InvalidPageToken

PAGE = 50
"""Contents on a page."""
NAMES = 20
"""Names of a content that a page tells of each replica."""


@page_view
def replica_page(request: PageRequest, uuid: UUID) -> HttpResponseBase:
    """What a replica holds more than once; with `format`, as a file."""
    try:
        return _show(request, places.find_replica(uuid))
    except (LookupError, InvalidPageToken) as error:
        raise Http404 from error


@page_view
def group_page(request: PageRequest, uuid: UUID) -> HttpResponseBase:
    """What the replicas of a group hold more than once, each by itself; with `format`, as a file."""
    try:
        return _show(request, places.find_group(uuid))
    except (LookupError, InvalidPageToken) as error:
        raise Http404 from error


def _show(request: PageRequest, place: Place) -> HttpResponseBase:
    ask = listing.read_query(request.GET)
    form = request.GET.get("format", "")
    if form:
        return _download(place, ask, form)
    found = queries.read_page(place, ask.filter, ask.after, PAGE, NAMES)
    more = found.after and ask.query(after=found.after)
    context = {"place": place, "ask": ask, "found": found, "more": more, "file_query": ask.query(after="")}
    fragment = request.htmx and not request.htmx.boosted
    return render(request, f"checker/{'_duplicates' if fragment else 'duplicates'}.html", context)


def _download(place: Place, ask: listing.DuplicateListQuery, form: str) -> HttpResponse | StreamingHttpResponse:
    """The contents that a page shows, all of them and with all their names."""
    if form not in export.CONTENT_TYPES:
        raise Http404
    response = StreamingHttpResponse(
        export.export_bytes(place, ask.filter, form), content_type=export.CONTENT_TYPES[form]
    )
    response["Content-Disposition"] = f'attachment; filename="{export.file_name(place, form)}"'
    return response
