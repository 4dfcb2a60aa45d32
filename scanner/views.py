"""Show the entries of a run as a list and as a tree, its notes, its report and its exports."""

from __future__ import annotations

from itertools import chain
from uuid import UUID

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render

from scanner.db.entries import list_children, list_entries, list_notes
from scanner.decorators import PageRequest, page_view
from scanner.errors import ExportError, InvalidPageToken
from scanner.export import formats
from scanner.export import report as report_export
from scanner.export.omissions import Omissions
from scanner.forms import TYPE_CHOICES, EntryListQuery, TreeQuery
from scanner.listing import PageQuery, breadcrumbs
from scanner.models import Run

PAGE_ROWS = 100


@page_view
def entries(request: PageRequest, uuid: UUID) -> HttpResponse:
    """Show entries as a list, searched, filtered and ordered; with htmx only the rows that follow."""
    run = _get_complete_run(uuid)
    query = EntryListQuery.read(request.GET)
    try:
        listing = list_entries(run, query.filter, order=query.effective_order, after=query.after, limit=PAGE_ROWS)
    except InvalidPageToken as error:
        raise Http404 from error

    active = "entries"
    if query.type == "error":
        active = "errors"

    context = {
        "run": run,
        "query": query,
        "listing": listing,
        "more": query.address(after=listing.after),
        "by_path": query.address(order="path", after=""),
        "by_size": query.address(order="-size", after=""),
        "types": TYPE_CHOICES,
        "active": active,
    }
    template = "scanner/entries.html"
    if request.htmx:
        template = "scanner/_entry_rows.html"
    return render(request, template, context)


@page_view
def tree(request: PageRequest, uuid: UUID) -> HttpResponse:
    """Show one directory; with htmx only the rows that follow."""
    run = _get_complete_run(uuid)
    query = TreeQuery.read(request.GET)
    try:
        level = list_children(run, query.below, query.after, PAGE_ROWS)
    except InvalidPageToken as error:
        raise Http404 from error

    context = {
        "run": run,
        "below": query.below,
        "steps": breadcrumbs(query.below),
        "level": level,
        "after": query.after,
        "more": query.address(after=level.after),
        "active": "tree",
    }
    template = "scanner/tree.html"
    if request.htmx:
        template = "scanner/_tree_rows.html"
    return render(request, template, context)


@page_view
def notes(request: PageRequest, uuid: UUID) -> HttpResponse:
    """Show the notes, which are no part of the state; with htmx only the rows that follow."""
    run = _get_complete_run(uuid)
    query = PageQuery.read(request.GET)
    try:
        listing = list_notes(run, query.after, PAGE_ROWS)
    except InvalidPageToken as error:
        raise Http404 from error

    context = {
        "run": run,
        "listing": listing,
        "after": query.after,
        "more": query.address(after=listing.after),
        "active": "notes",
    }
    template = "scanner/notes.html"
    if request.htmx:
        template = "scanner/_note_rows.html"
    return render(request, template, context)


@page_view
def report(_request: PageRequest, uuid: UUID) -> StreamingHttpResponse:
    """Send the report as its server signed it, byte for byte. The download breaks off where the rows were changed."""
    run = get_object_or_404(Run.objects.select_related("replica"), uuid=uuid)
    try:
        pieces = report_export.export_report(run)
        # The first piece now, while an error can still become a 404.
        first_piece = next(pieces, b"")
    except ExportError as error:
        raise Http404 from error

    response = StreamingHttpResponse(chain([first_piece], pieces), content_type="application/octet-stream")
    # The name is made of ids alone: nothing in it can break the header.
    response["Content-Disposition"] = f'attachment; filename="{report_export.file_name(run)}"'
    return response


@page_view
def export_form(_request: PageRequest, uuid: UUID, form: str) -> StreamingHttpResponse:
    """Send a complete run in a format of another tool. The download breaks off where the rows were changed."""
    run = _get_complete_run(uuid)
    if form not in formats.available_formats(run):
        raise Http404

    pieces = formats.export_run(run, form, Omissions())
    response = StreamingHttpResponse(pieces, content_type=formats.FORMATS[form].content_type)
    response["Content-Disposition"] = f'attachment; filename="{formats.file_name(run, form)}"'
    return response


def _get_complete_run(uuid: UUID) -> Run:
    """Return a run that has a state, or answer 404: others have no entries."""
    # Without the envelope, which may have 128 KiB and is shown by none of these pages.
    runs = Run.objects.defer("envelope").select_related("replica__group", "replica__server")
    return get_object_or_404(runs, uuid=uuid, state=Run.State.INGESTED)
