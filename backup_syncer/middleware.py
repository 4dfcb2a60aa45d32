"""Refuse addresses that no page can answer."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

Responder = Callable[[HttpRequest], HttpResponseBase]


def refuse_nul_in_admin(get_response: Responder) -> Responder:
    """Return a middleware that answers 400 to an address of the admin with a NUL in its parameters.

    PostgreSQL stores no NUL and refuses it in a comparison, and the filters of Django's admin pass on what they get.
    The other pages ignore what their parameters cannot mean.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        is_admin = request.path.startswith(reverse("admin:index"))
        if is_admin and any("\0" in text for name, values in request.GET.lists() for text in (name, *values)):
            raise BadRequest("a NUL in a parameter")
        return get_response(request)

    return middleware
