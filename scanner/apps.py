"""The Django application that holds what servers send."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ScannerConfig(AppConfig):
    """Registers the system checks, and the roles that are made after each migration."""

    name = "scanner"
    verbose_name = _("Servers and runs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register them."""
        from scanner import checks, roles  # noqa: F401  # they need loaded settings, storages and models
