"""The pages of what a run found: its entries as a list and as a tree, its notes, its report, its exports."""

from __future__ import annotations

from itertools import chain
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render

from scanner import listing as entry_list
from scanner.db import entries as queries
from scanner.decorators import PageRequest, page_view
from scanner.errors import ExportError, InvalidPageToken
from scanner.export import formats
from scanner.export import report as export
from scanner.export.omissions import Omissions
from scanner.models import Run

PAGE = 100
"""Rows on a page."""


@page_view
def entries(request: PageRequest, uuid: UUID) -> HttpResponse:
    """A run's entries as a list: searched, filtered, largest first or by path; with htmx only the rows that follow."""
    run, wish = _run(uuid), entry_list.read(request.GET)
    try:
        listing = queries.list_entries(
            run,
            queries.EntryFilter(wish.search, wish.prefix, wish.type_number),
            order=wish.actual_order,
            after=wish.after,
            limit=PAGE,
        )
    except InvalidPageToken as error:
        raise Http404 from error
    context = {
        "run": run,
        "wish": wish,
        "listing": listing,
        "more": wish.query(after=listing.after),
        "by_path": wish.query(order="path", after=""),
        "by_size": wish.query(order="-size", after=""),
        "types": entry_list.LABELS.items(),
        "active": "errors" if wish.type == "error" else "entries",
    }
    return render(request, f"scanner/{'_entries' if request.htmx else 'entries'}.html", context)


@page_view
def tree(request: PageRequest, uuid: UUID) -> HttpResponse:
    """One directory of a run; with htmx only the rows that follow."""
    run, below, after = _run(uuid), entry_list.directory(request.GET.get("below", "")), request.GET.get("after", "")
    try:
        level = queries.list_children(run, below, after, PAGE)
    except InvalidPageToken as error:
        raise Http404 from error
    context = {
        "run": run,
        "below": below,
        "steps": entry_list.steps(below),
        "level": level,
        "after": after,
        "more": "?" + urlencode({"below": below, "after": level.after}),
        "active": "tree",
    }
    return render(request, f"scanner/{'_tree' if request.htmx else 'tree'}.html", context)


@page_view
def notes(request: PageRequest, uuid: UUID) -> HttpResponse:
    """What happened in a run that is no part of its state; with htmx only the rows that follow."""
    run, after = _run(uuid), request.GET.get("after", "")
    try:
        listing = queries.list_notes(run, after, PAGE)
    except InvalidPageToken as error:
        raise Http404 from error
    more = "?" + urlencode({"after": listing.after})
    context = {"run": run, "listing": listing, "after": after, "more": more, "active": "notes"}
    return render(request, f"scanner/{'_notes' if request.htmx else 'notes'}.html", context)


@page_view
def report(_request: PageRequest, uuid: UUID) -> StreamingHttpResponse:
    """The report as its server signed it, byte for byte, as a download; it breaks off where the rows are not that."""
    run = get_object_or_404(Run.objects.select_related("replica"), uuid=uuid)
    try:
        pieces = export.export_report(run)
        first = next(pieces, b"")
    except ExportError as error:
        raise Http404 from error
    response = StreamingHttpResponse(chain([first], pieces), content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{export.file_name(run)}"'
    return response


@page_view
def export_form(_request: PageRequest, uuid: UUID, form: str) -> StreamingHttpResponse:
    """A complete run in the form of another tool, as a download; it breaks off where the rows are not what was
    signed."""
    run = _run(uuid)
    if form not in formats.available_formats(run):
        raise Http404
    response = StreamingHttpResponse(
        formats.export_run(run, form, Omissions()), content_type=formats.FORMATS[form].content_type
    )
    response["Content-Disposition"] = f'attachment; filename="{formats.file_name(run, form)}"'
    return response


def _run(uuid: UUID) -> Run:
    """A run that has a state; others have no entries."""
    runs = Run.objects.defer("envelope").select_related("replica__group", "replica__server")
    return get_object_or_404(runs, uuid=uuid, state=Run.State.INGESTED)
