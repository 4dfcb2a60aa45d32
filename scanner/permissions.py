"""Who may see a page: whoever has logged in and has a role."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from scanner.roles import OPERATE, SEE

P = ParamSpec("P")


class PageRequest(HttpRequest):
    """A request as the middleware leaves it, from somebody who may see pages."""

    htmx: HtmxDetails


View = Callable[Concatenate[PageRequest, P], HttpResponseBase]


def page(view: View[P]) -> Callable[Concatenate[PageRequest, P], HttpResponseBase]:
    """The view behind its guards: GET alone, logged in, with a role; no cache keeps it or mistakes a fragment."""

    @wraps(view)
    def guarded(request: PageRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if isinstance(request.user, AnonymousUser):
            return _to_login(request)
        if not request.user.has_perm(SEE):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return require_safe(never_cache(vary_on_headers("HX-Request")(guarded)))


def acting(view: Callable[Concatenate[HttpRequest, P], HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A view that does something: POST alone, by who may see the pages and operate; no cache keeps its answer."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if isinstance(request.user, AnonymousUser):
            return redirect_to_login("/")
        if not request.user.has_perms([SEE, OPERATE]):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return require_POST(never_cache(guarded))


def _to_login(request: PageRequest) -> HttpResponse:
    """Back to the page that was asked for; a fragment's is the page that it belongs to, in the whole window."""
    if not request.htmx:
        return redirect_to_login(request.get_full_path())
    return HttpResponseClientRedirect(redirect_to_login(request.htmx.current_url_abs_path or "/").url)
