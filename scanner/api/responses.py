"""Build the responses of the API: a signed envelope on success, one JSON shape for everything else."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt

from scanner import central_key
from scanner.api.schema import ENVELOPE_TYPE, Reply
from scanner.errors import Malformed, MethodNotAllowed, NotFound, Refusal
from scanner.models import Server

View = Callable[..., HttpResponseBase]
NOTHING_HERE = "There is nothing at this address."


def signed_response(reply: Reply, server: Server, status: int = 200) -> HttpResponse:
    """Return a reply to `server`, signed with the central server's key."""
    line = central_key.sign_reply(reply.purpose, server, **reply.model_dump())
    return HttpResponse(line, content_type=ENVELOPE_TYPE, status=status)


def refusal_response(refusal: Refusal) -> JsonResponse:
    """Return the one shape of a refusal: {"error", "detail", …}."""
    response = JsonResponse(refusal.body(), status=refusal.status)
    if refusal.retry_after is not None:
        response["Retry-After"] = str(refusal.retry_after)
    # A 401 without this header is malformed (RFC 9110, section 15.5.2).
    if refusal.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def never_html(view: View) -> View:
    """Make a view answer unknown addresses and methods in the API's shape, too."""

    # A collector has a bearer token and no cookie, so nobody can make it send a request that it does not mean.
    @csrf_exempt
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = view(request, *args, **kwargs)
        except Http404:
            return refusal_response(NotFound(NOTHING_HERE))
        # The framework answers a wrong method by itself, outside its exception handlers.
        if response.status_code != 405:
            return response

        not_allowed = refusal_response(MethodNotAllowed("This address does not know the method."))
        not_allowed["Allow"] = response["Allow"]
        return not_allowed

    return wrapped


@csrf_exempt
def not_found(_: HttpRequest) -> JsonResponse:
    """Answer at every address of the API that does not exist."""
    return refusal_response(NotFound(NOTHING_HERE))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that is refused before any view is called, such as a wrong Host: no HTML below /api/."""
    if request.path_info.startswith("/api/"):
        return refusal_response(Malformed("The request cannot be read, or its Host is not one of this server."))
    return defaults.bad_request(request, exception)
