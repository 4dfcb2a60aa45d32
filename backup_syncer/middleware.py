"""Refuse addresses that no page can answer."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBase


def refuse_nul(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Return a middleware that answers 400 to an address with a NUL in its parameters.

    PostgreSQL stores no NUL and refuses it in a comparison, and the filters of Django's admin pass on what they get.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if any("\0" in text for name, values in request.GET.lists() for text in (name, *values)):
            raise BadRequest("a NUL in a parameter")
        return get_response(request)

    return middleware
