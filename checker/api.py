"""Serve the changes between two runs to programs: the part `/api/v1/comparisons/` of the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, JsonResponse
from ninja import Router

from checker.changes import export, queries
from checker.changes.queries import ChangeFilter
from checker.jobs import run_comparisons
from checker.models import Change, Comparison
from scanner.api import schema
from scanner.api.routes import Bearer
from scanner.errors import Forbidden, InvalidPageToken, Malformed, NotFound, Unauthorised
from scanner.models import Run, Server
from scanner.roles import VIEW_PAGES

MAX_LIMIT = 1000


def person(request: HttpRequest) -> User | None:
    """Return the user who has logged in and may see the pages."""
    user = request.user
    if isinstance(user, AnonymousUser) or not user.has_perm(VIEW_PAGES):
        return None
    return user


router = Router(auth=[Bearer(), person])

OPENAPI_ANSWERS = schema.json_operation(
    {
        "type": "object",
        "required": ["base", "run", "adjacent", "state", "counts", "changes", "after"],
        "properties": {
            "base": {"type": "string", "format": "uuid", "description": "the earlier run"},
            "run": {"type": "string", "format": "uuid", "description": "the later run"},
            "adjacent": {"type": "boolean"},
            "state": {"enum": Comparison.State.values, "description": "waiting: ask again in a few seconds"},
            "counts": {"type": "object", "description": "paths by kind; a move counts once"},
            "changes": {"type": "array", "items": {"type": "object"}},
            "after": {"type": "string", "description": "asks for the next page; empty on the last one"},
        },
    },
    Malformed,
    Unauthorised,
    Forbidden,
    NotFound,
)


@router.get("/{uuid:base}/{uuid:run}", openapi_extra=OPENAPI_ANSWERS)
def compare(
    request: HttpRequest,
    base: UUID,
    run: UUID,
    kind: str = "",
    after: str = "",
    limit: int = 100,
) -> JsonResponse:
    """Compare two complete runs of a replica: a page of what changed, in the order of the paths."""
    if kind not in ("", *Change.Kind.values) or not 1 <= limit <= MAX_LIMIT:
        raise Malformed(f"There is no such kind of change, or the limit is not between 1 and {MAX_LIMIT}.")

    kinds: tuple[str, ...] = ()
    if kind:
        kinds = (kind,)
    try:
        comparison = run_comparisons.get_or_request(_visible_run(request, base), _visible_run(request, run))

        # While it is computed the answer has no changes, and its `state` says to ask again.
        page: queries.ChangePage = queries.ChangePage([], "")
        if comparison.state == Comparison.State.DONE:
            page = queries.read_page(comparison, ChangeFilter(kinds), after, limit)
    except LookupError as error:
        raise NotFound(f"These runs cannot be compared: {error}.") from error
    except InvalidPageToken as error:
        raise Malformed("`after` is not what a page gave.") from error

    changes = [export.describe_change(row) for row in page.rows]
    return JsonResponse(_comparison_members(comparison) | {"changes": changes, "after": page.after})


def _comparison_members(comparison: Comparison) -> dict[str, Any]:
    assert comparison.base is not None
    return {
        "base": str(comparison.base.uuid),
        "run": str(comparison.run.uuid),
        "adjacent": comparison.adjacent,
        "state": comparison.state,
        "counts": comparison.counts,
    }


def _visible_run(request: HttpRequest, uuid: UUID) -> Run:
    """Return a run that the caller may see: a server those of its own replicas, a person all of them."""
    run = Run.objects.select_related("replica").filter(uuid=uuid).first()
    if run is None:
        raise NotFound("There is no such run.")

    caller = request.auth  # type: ignore[attr-defined]  # set by the framework
    # The same answer as for a run that does not exist: a server learns nothing of the runs of others.
    if isinstance(caller, Server) and run.replica.server_id != caller.pk:
        raise NotFound("There is no such run.")
    return run
