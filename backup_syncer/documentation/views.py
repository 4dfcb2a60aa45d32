"""Answer requests for pages of the documentation."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language

from backup_syncer.documentation.render import INDEX, list_pages, load_page
from scanner.decorators import PageRequest, page_view


@page_view
def documentation_page(request: PageRequest, page: str = INDEX) -> HttpResponse:
    """Show a page of the documentation in the reader's language.

    The documentation holds no secrets. It is shown to people with a role all the same, like every other page: a
    stranger learns nothing about the installation, not even its version.
    """
    language = get_language() or settings.LANGUAGE_CODE
    documentation = load_page(page, language)
    if documentation is None:
        raise Http404

    context = {"documentation": documentation, "pages": list_pages(language)}
    return render(request, "docs/page.html", context)
