"""Serve the health check."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from checker.pages import health


@require_safe
@never_cache
def health_check(_request: HttpRequest) -> JsonResponse:
    """Answer 200 when database and tasks work, else 503. Machines ask, so it needs no login."""
    result = health.check_health()
    return JsonResponse(result._asdict(), status=200 if all(result) else 503)
