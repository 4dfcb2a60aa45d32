"""Map addresses to applications: each names its own. The checker's part of the API is mounted here."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from backup_syncer.documentation import views as documentation
from checker.api import router as comparisons
from scanner.api.routes import api

# Before `scanner.urls` is included: that makes the addresses of the API final. scanner cannot do it: it must not know
# the checker.
api.add_router("/comparisons", comparisons)

handler400 = "scanner.api.responses.bad_request"
urlpatterns = [
    path("", include("scanner.urls")),
    path("", include("checker.urls")),
    path("docs/", documentation.documentation_page, name="docs"),
    path("docs/<slug:page>/", documentation.documentation_page, name="docs-page"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
]
