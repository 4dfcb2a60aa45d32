"""The API that collectors speak, `/api/v1/`: who calls, what is asked, who answers. All else stands elsewhere."""

from __future__ import annotations

import logging
from typing import Any, cast

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string
from django.views.decorators.http import require_safe
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.security import HttpBearer

from scanner import central_key, enrolment, scopes
from scanner.api import progress, responses, schema, throttling
from scanner.api.body import read_small
from scanner.api.upload import upload
from scanner.errors import Busy, Malformed, Refusal, Unauthorised
from scanner.models import Replica, Run, Server

logger = logging.getLogger(__name__)


class Bearer(HttpBearer):
    """The token that enrolment gave to a server."""

    def authenticate(self, _: HttpRequest, token: str) -> Server:
        """The server that calls; Unauthorised when the token is not good."""
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
def refuse(_: HttpRequest, refused: Refusal) -> HttpResponse:
    """Answer a refusal in its shape."""
    return responses.refusal(refused)


@api.exception_handler(HttpError)
def refuse_early(_: HttpRequest, error: HttpError) -> HttpResponse:
    """What the framework refuses by itself: a call without a token."""
    if error.status_code == 401:
        return responses.refusal(Unauthorised("A bearer token is needed."))
    return responses.refusal(Malformed("The request cannot be read."))


@api.exception_handler(ValidationError)
def refuse_values(_: HttpRequest, _error: ValidationError) -> HttpResponse:
    """A parameter that is not what the description says."""
    return responses.refusal(Malformed("A parameter is not what the description says."))


@api.exception_handler(OperationalError)
@api.exception_handler(InterfaceError)
def refuse_for_now(_: HttpRequest, error: Exception) -> HttpResponse:
    """The database is away: nothing was acknowledged, the collector tries again."""
    logger.error("the database cannot be used", exc_info=error)
    return responses.refusal(Busy("The central server's database cannot be used now.", retry_after=30))


@api.exception_handler(Exception)
def fail(request: HttpRequest, error: Exception) -> HttpResponse:
    """A fault of the central server: logged in full, told in one sentence."""
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return responses.refusal(Refusal("The central server failed; its log says how."))


@api.post("/enrolment", auth=None, openapi_extra=schema.ENROLMENT)
def enrol(request: HttpRequest) -> HttpResponse:
    """Redeem a one-time token: register the key that signed this envelope, get a bearer token."""
    address = str(import_string(settings.AXES_CLIENT_IP_CALLABLE)(request))
    throttling.check_enrolment(address)
    line = read_small(request)
    try:
        done = enrolment.redeem_token(line)
    except Refusal:
        throttling.count_failed_enrolment(address)
        raise
    return responses.signed(
        "enrolment",
        done.server,
        status=201,
        keyid=done.key.keyid,
        token=done.token,
        name=done.server.name,
        central=central_key.load_key().public.hex(),
    )


@api.post("/token", openapi_extra=schema.TOKEN)
def rotate(request: HttpRequest) -> HttpResponse:
    """Grant a fresh bearer token; the old ones end when it is first used."""
    server = _caller(request)
    return responses.signed("token", server, status=201, token=enrolment.grant_bearer_token(server))


@api.get("/replicas", openapi_extra=schema.REPLICAS)
def replicas(request: HttpRequest) -> HttpResponse:
    """List what the calling server has to hash, and how far the chain of each replica is."""
    server = _caller(request)
    return responses.signed("replicas", server, name=server.name, replicas=_replicas(server))


@api.post("/progress", response={204: None}, openapi_extra=schema.PROGRESS)
def tell(request: HttpRequest) -> HttpResponse:
    """Say how far a run is. Nothing rests on it."""
    progress.note(_caller(request), progress.read(read_small(request)))
    return HttpResponse(status=204)


@api.post("/reports", openapi_extra=schema.REPORT)
def report(request: HttpRequest) -> HttpResponse:
    """Upload a report: the envelope is verified before anything else is read, every line while it flows to the disk."""
    return upload(_caller(request), request)


def _caller(request: HttpRequest) -> Server:
    return cast(Server, request.auth)  # type: ignore[attr-defined]  # set by the framework


def _replicas(server: Server) -> list[dict[str, Any]]:
    listed = Replica.objects.select_related("group").filter(
        server=server, origin=Replica.Origin.COLLECTOR, archived_at=None, group__archived_at=None
    )
    newest = Run.objects.filter(replica__in=listed).order_by("replica_id", "-sequence").distinct("replica_id")
    last = {run.replica_id: run for run in newest}
    for group in {replica.group for replica in listed}:
        scopes.record_scope(group)
    return [_replica(replica, last.get(replica.pk)) for replica in listed.order_by("group__name", "root")]


def _replica(replica: Replica, last: Run | None) -> dict[str, Any]:
    group = replica.group
    return {
        "replica": str(replica.uuid),
        "group": str(group.uuid),
        "group_name": group.name,
        "root": replica.root,
        "enabled": replica.enabled,
        "excludes": group.excludes,
        "engine": group.engine,
        "cross_mounts": group.cross_mounts,
        "accept_root": replica.accept_root,
        "interval_s": int(group.expected_interval.total_seconds()),
        "last": last
        and {
            "sequence": last.sequence,
            "statement": bytes(last.statement).hex(),
            "run": str(last.uuid),
            "state": last.state,
            "reason": last.reason,
        },
    }
