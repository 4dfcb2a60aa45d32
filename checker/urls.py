"""Name the addresses of the pages of `checker`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from checker.views import diff, duplicates, files, findings, groups, health, overview, replicas, runs, servers

urlpatterns: list[URLPattern | URLResolver] = [
    path("", overview.overview_page, name="overview"),
    path("running/", overview.running_fragment, name="running"),
    path("healthz", health.health_check, name="health"),
    path("groups/<uuid:uuid>/", groups.group_page, name="group"),
    path("groups/<uuid:uuid>/download/", groups.download, name="group-download"),
    path("groups/<uuid:uuid>/duplicates/", duplicates.group_page, name="group-duplicates"),
    path("servers/<uuid:uuid>/", servers.server_page, name="server"),
    path("replicas/<uuid:uuid>/", replicas.replica_page, name="replica"),
    path("replicas/<uuid:uuid>/compare/", diff.compare_runs, name="compare"),
    path("replicas/<uuid:uuid>/file/", files.file_page, name="file"),
    path("replicas/<uuid:uuid>/file/<slug:act>/", files.decide_content, name="file-content"),
    path("replicas/<uuid:uuid>/duplicates/", duplicates.replica_page, name="duplicates"),
    path("runs/<uuid:uuid>/", runs.run_page, name="run"),
    path("runs/<uuid:uuid>/progress/", runs.progress_fragment, name="run-progress"),
    path("runs/<uuid:uuid>/changes/", diff.changes_page, name="changes"),
    path("runs/<uuid:base>/diff/<uuid:uuid>/", diff.diff_page, name="diff"),
    path("runs/<uuid:base>/diff/<uuid:uuid>/download/", diff.download, name="diff-download"),
    path("findings/", findings.findings_page, name="findings"),
    path("findings/accept/", findings.accept_many, name="findings-accept"),
    path("findings/<uuid:uuid>/", findings.finding_page, name="finding"),
    path("findings/<uuid:uuid>/content/<slug:act>/", findings.decide_content, name="finding-content"),
    path("findings/<uuid:uuid>/<slug:act>/", findings.act, name="finding-act"),
]
