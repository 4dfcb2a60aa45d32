"""Map the addresses of the API, below `/api/v1/`. None of them ever answers in HTML."""

from __future__ import annotations

from django.urls import URLPattern, include, path, re_path

from scanner.api.responses import never_html, not_found
from scanner.api.routes import api

# Wrapped one by one, since the framework offers no hook for a method that an address does not know.
_patterns, _app_name, _namespace = api.urls
_json_patterns = [
    URLPattern(pattern.pattern, never_html(pattern.callback), pattern.default_args, pattern.name)
    for pattern in _patterns
    if isinstance(pattern, URLPattern)
]

urlpatterns = [path("", include((_json_patterns, _app_name), _namespace)), re_path("", not_found)]
