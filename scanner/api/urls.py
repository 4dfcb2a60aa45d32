"""Addresses of the API, below `/api/v1/`. None of them ever answers in HTML."""

from __future__ import annotations

from django.urls import URLPattern, include, path, re_path

from scanner.api.responses import never_html, not_found
from scanner.api.routes import api

_patterns, _app_name, _namespace = api.urls
_json = [
    URLPattern(each.pattern, never_html(each.callback), each.default_args, each.name)
    for each in _patterns
    if isinstance(each, URLPattern)
]

urlpatterns = [path("", include((_json, _app_name), _namespace)), re_path("", not_found)]
