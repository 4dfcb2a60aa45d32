"""The shape of the API's answers: a signed envelope when all is well, one JSON shape for everything else."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt

from scanner import central_key
from scanner.errors import Malformed, MethodNotAllowed, NotFound, Refusal
from scanner.models import Server

ENVELOPE_TYPE = "application/vnd.dsse.envelope.v1+json"
View = Callable[..., HttpResponseBase]


def signed(for_: str, server: Server, status: int = 200, **members: Any) -> HttpResponse:
    """A reply that the central server has signed."""
    return HttpResponse(central_key.sign_reply(for_, server, **members), content_type=ENVELOPE_TYPE, status=status)


def refusal(refused: Refusal) -> JsonResponse:
    """The one shape of a refusal: {"error", "detail", …}."""
    response = JsonResponse(refused.body(), status=refused.status)
    if refused.retry_after is not None:
        response["Retry-After"] = str(refused.retry_after)
    if refused.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def never_html(view: View) -> View:
    """`view`, whose unknown addresses and methods are refused in the API's shape too."""

    @csrf_exempt
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = view(request, *args, **kwargs)
        except Http404:
            return refusal(NotFound("There is nothing at this address."))
        if response.status_code != 405:
            return response
        allowed = refusal(MethodNotAllowed("This address does not know the method."))
        allowed["Allow"] = response["Allow"]
        return allowed

    return wrapped


@csrf_exempt
def not_found(_: HttpRequest) -> JsonResponse:
    """The answer at every address of the API that does not exist."""
    return refusal(NotFound("There is nothing at this address."))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The answer to what is refused before any view is asked, such as a wrong Host: no HTML below /api/."""
    if request.path_info.startswith("/api/"):
        return refusal(Malformed("The request cannot be read, or its Host is not one of this server."))
    return defaults.bad_request(request, exception)
