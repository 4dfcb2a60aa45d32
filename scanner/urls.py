"""Map the addresses of the API, and of the pages of a run."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path

from scanner import views
from scanner.api.responses import not_found

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include("scanner.api.urls")),
    re_path(r"^api(?:/|$)", not_found),
    path("runs/<uuid:uuid>/entries/", views.entries, name="entries"),
    path("runs/<uuid:uuid>/tree/", views.tree, name="tree"),
    path("runs/<uuid:uuid>/notes/", views.notes, name="notes"),
    path("runs/<uuid:uuid>/report/", views.report, name="report"),
    path("runs/<uuid:uuid>/export/<slug:form>/", views.export_form, name="export-form"),
]
