"""Guard views: who may call them, with which method, and that no cache keeps the response."""

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

from scanner.roles import OPERATE, VIEW_PAGES

P = ParamSpec("P")


class PageRequest(HttpRequest):
    """A request from a person who may view pages, with the attribute that a middleware adds."""

    htmx: HtmxDetails


View = Callable[Concatenate[PageRequest, P], HttpResponseBase]


def page_view(view: View[P]) -> Callable[Concatenate[PageRequest, P], HttpResponseBase]:
    """Let people with a role view a page, by GET alone. No cache keeps it, or takes a fragment for the whole page."""

    @wraps(view)
    def guarded(request: PageRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if isinstance(request.user, AnonymousUser):
            return _redirect_to_login(request)
        if not request.user.has_perm(VIEW_PAGES):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    # Vary: the same address gives a page or, with htmx, a fragment of it.
    return require_safe(never_cache(vary_on_headers("HX-Request")(guarded)))


def action_view(view: Callable[Concatenate[HttpRequest, P], HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Let people who may view pages and operate change something, by POST alone. No cache keeps the response."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if isinstance(request.user, AnonymousUser):
            # A POST cannot be sent again after the login: begin with the overview.
            return redirect_to_login("/")
        if not request.user.has_perms([VIEW_PAGES, OPERATE]):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return require_POST(never_cache(guarded))


def _redirect_to_login(request: PageRequest) -> HttpResponse:
    """Return a redirect to the login, and from there to the page that was asked for.

    A fragment is not a page: the page that it belongs to is loaded after the login, in the whole window.
    """
    if not request.htmx:
        return redirect_to_login(request.get_full_path())
    return HttpResponseClientRedirect(redirect_to_login(request.htmx.current_url_abs_path or "/").url)
