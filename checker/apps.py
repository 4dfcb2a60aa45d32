"""Configure the Django application that proves and compares runs."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CheckerConfig(AppConfig):
    """Has each run verified and compared when it is ingested."""

    name = "checker"
    verbose_name = _("Proofs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect receivers, once models and settings are loaded."""
        from checker import tasks
        from scanner.queue import registry
        from scanner.signals import run_ingested

        run_ingested.connect(tasks.on_run_ingested, dispatch_uid="checker.tasks.on_run_ingested")
        registry.register(*tasks.TASKS)
