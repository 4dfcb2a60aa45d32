"""Serve the pages of duplicates, of a replica and of a group, and their downloads."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from checker.duplicates import export, places, queries
from checker.duplicates.listing import DuplicateListQuery
from checker.duplicates.places import Place
from checker.forms import DownloadForm
from scanner.decorators import PageRequest, page_view
from scanner.errors import InvalidPageToken

PAGE_SIZE = 50
"""Contents on a page."""
MAX_NAMES = 20
"""Paths of a content that a page names for each replica."""


@page_view
def replica_page(request: PageRequest, uuid: UUID) -> HttpResponseBase:
    """Show what a replica holds more than once; with `format`, as a file."""
    try:
        return _show(request, places.find_replica(uuid))
    except (LookupError, InvalidPageToken) as error:
        raise Http404 from error


@page_view
def group_page(request: PageRequest, uuid: UUID) -> HttpResponseBase:
    """Show what each replica of a group holds more than once; with `format`, as a file."""
    try:
        return _show(request, places.find_group(uuid))
    except (LookupError, InvalidPageToken) as error:
        raise Http404 from error


def _show(request: PageRequest, place: Place) -> HttpResponseBase:
    list_query = DuplicateListQuery.read(request.GET)
    download_form = DownloadForm(request.GET)
    if not download_form.is_valid():
        # A format that does not exist is no page either.
        raise Http404
    file_format = download_form.text("format")
    if file_format:
        return _download(place, list_query, file_format)

    duplicates = queries.read_page(place, list_query.filter, list_query.after, PAGE_SIZE, MAX_NAMES)
    context = {
        "place": place,
        "list_query": list_query,
        "duplicates": duplicates,
        "next_page": list_query.address(after=duplicates.after) if duplicates.after else "",
        "file_query": list_query.address(after=""),
    }
    # A boosted link of a page comes through htmx, too, and wants the whole page.
    is_fragment = request.htmx and not request.htmx.boosted
    template = "checker/_duplicate_rows.html" if is_fragment else "checker/duplicates.html"
    return render(request, template, context)


def _download(place: Place, list_query: DuplicateListQuery, file_format: str) -> StreamingHttpResponse:
    """Stream all contents that match, with all their paths."""
    lines = export.export_bytes(place, list_query.filter, file_format)
    response = StreamingHttpResponse(lines, content_type=export.CONTENT_TYPES[file_format])
    response["Content-Disposition"] = f'attachment; filename="{export.file_name(place, file_format)}"'
    return response
