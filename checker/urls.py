"""Addresses of the pages of checker."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from checker.views import replicas as views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.overview_page, name="overview"),
    path("healthz", views.health_check, name="health"),
    path("running/", views.running_fragment, name="running"),
    path("replicas/<uuid:uuid>/", views.replica_page, name="replica"),
    path("runs/<uuid:uuid>/", views.run_page, name="run"),
    path("runs/<uuid:uuid>/progress/", views.progress_fragment, name="run-progress"),
]
