"""Configure the Django application that receives and keeps what servers send."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ScannerConfig(AppConfig):
    """Connects system checks, roles and tasks."""

    name = "scanner"
    verbose_name = _("Servers and runs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect receivers, once models and settings are loaded."""
        from scanner import checks, roles, tasks  # noqa: F401  # importing checks and roles registers them
        from scanner.queue import registry
        from scanner.signals import run_received

        run_received.connect(tasks.on_run_received, dispatch_uid="scanner.tasks.on_run_received")
        registry.register(*tasks.TASKS)
