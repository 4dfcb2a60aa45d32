"""Route the API that collectors speak, `/api/v1/`: who calls, what is asked, who answers."""

from __future__ import annotations

import logging
from typing import cast

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string
from django.views.decorators.http import require_safe
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.security import HttpBearer

from scanner import central_key, enrolment
from scanner.api import clock, progress, schema, throttling
from scanner.api.body import read_small_body
from scanner.api.replicas import list_assigned_replicas
from scanner.api.responses import refusal_response, signed_response
from scanner.api.upload import receive_upload
from scanner.errors import Busy, Malformed, Refusal, Unauthorised
from scanner.models import Server

logger = logging.getLogger(__name__)


class Bearer(HttpBearer):
    """The token that enrolment gave to a server."""

    def authenticate(self, _: HttpRequest, token: str) -> Server:
        """Return the calling server. Raise Unauthorised when the token is not good."""
        return enrolment.authenticate(token)


api = NinjaAPI(
    title="backup_syncer",
    version="1",
    description="What a collector and its central server say to each other. Answers are signed DSSE envelopes.",
    docs_url=None,
    openapi_url="openapi.json",
    docs_decorator=require_safe,
    auth=Bearer(),
)


@api.exception_handler(Refusal)
def refuse(_: HttpRequest, refusal: Refusal) -> HttpResponse:
    """Answer a refusal in its shape."""
    return refusal_response(refusal)


@api.exception_handler(HttpError)
def refuse_early(_: HttpRequest, error: HttpError) -> HttpResponse:
    """Answer what the framework refuses by itself: a call without a token."""
    if error.status_code == 401:
        return refusal_response(Unauthorised("A bearer token is needed."))
    return refusal_response(Malformed("The request cannot be read."))


@api.exception_handler(ValidationError)
def refuse_parameter(_: HttpRequest, _error: ValidationError) -> HttpResponse:
    """Answer a parameter that is not as described."""
    return refusal_response(Malformed("A parameter is not what the description says."))


@api.exception_handler(OperationalError)
@api.exception_handler(InterfaceError)
def refuse_for_now(_: HttpRequest, error: Exception) -> HttpResponse:
    """Answer while the database is away: nothing was acknowledged, the collector tries again."""
    logger.error("the database cannot be used", exc_info=error)
    return refusal_response(Busy("The central server's database cannot be used now.", retry_after=30))


@api.exception_handler(Exception)
def fail(request: HttpRequest, error: Exception) -> HttpResponse:
    """Log a fault of the central server in full, and answer it in one sentence."""
    # The log has all of it; the caller, who may be anybody, learns nothing of the program's insides.
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return refusal_response(Refusal("The central server failed; its log says how."))


# The names and docstrings of the operations below are part of the OpenAPI document.


@api.post("/enrolment", auth=None, openapi_extra=schema.ENROLMENT)
def enrol(request: HttpRequest) -> HttpResponse:
    """Redeem a one-time token: register the key that signed this envelope, get a bearer token."""
    # The same address that counts failed logins: behind a proxy, the connection's own address is the proxy's.
    client_address = str(import_string(settings.AXES_CLIENT_IP_CALLABLE)(request))
    throttling.check_enrolment(client_address)

    line = read_small_body(request)
    try:
        enrolled = enrolment.redeem_token(line, client_address)
    except Refusal:
        # Failures alone count: servers behind one address may be enrolled together.
        throttling.count_failed_enrolment(client_address)
        raise

    reply = schema.EnrolmentReply(
        keyid=enrolled.key.keyid,
        token=enrolled.token,
        name=enrolled.server.name,
        central=central_key.load_key().public.hex(),
    )
    return signed_response(reply, enrolled.server, status=201)


@api.post("/token", openapi_extra=schema.TOKEN)
def rotate(request: HttpRequest) -> HttpResponse:
    """Grant a fresh bearer token; the old ones end when it is first used."""
    server = _calling_server(request)
    reply = schema.TokenReply(token=enrolment.grant_bearer_token(server))
    return signed_response(reply, server, status=201)


@api.get("/replicas", openapi_extra=schema.REPLICAS)
def replicas(request: HttpRequest) -> HttpResponse:
    """List what the calling server has to hash, and how far the chain of each replica is."""
    server = _calling_server(request)
    clock.record_clock(server, request.headers.get("Date", ""))
    reply = schema.ReplicasReply(name=server.name, replicas=list_assigned_replicas(server))
    return signed_response(reply, server)


@api.post("/progress", response={204: None}, openapi_extra=schema.PROGRESS)
def tell(request: HttpRequest) -> HttpResponse:
    """Say how far a run is. Nothing rests on it."""
    progress.record_progress(_calling_server(request), progress.parse_message(read_small_body(request)))
    return HttpResponse(status=204)


@api.post("/reports", openapi_extra=schema.REPORT)
def report(request: HttpRequest) -> HttpResponse:
    """Upload a report: the envelope is verified before anything else is read, every line while it flows to the disk."""
    return receive_upload(_calling_server(request), request)


def _calling_server(request: HttpRequest) -> Server:
    return cast(Server, request.auth)  # type: ignore[attr-defined]  # set by the framework
