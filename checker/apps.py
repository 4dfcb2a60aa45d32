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
        from scanner.signals import key_compromised, run_ingested

        run_ingested.connect(tasks.on_run_ingested, dispatch_uid="checker.tasks.on_run_ingested")
        key_compromised.connect(tasks.on_key_compromised, dispatch_uid="checker.tasks.on_key_compromised")
        registry.register(*tasks.TASKS)
