"""The Django application that says what is wrong."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class CheckerConfig(AppConfig):
    """Has each run verified that scanner takes in."""

    name = "checker"
    verbose_name = _("Proofs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Hear of runs that arrive and of those that are taken in, and make the schedules once the tables are there."""
        from checker.api import router
        from scanner.api.routes import api

        api.add_router("/comparisons", router)
        from checker import tasks  # models are there only when the applications are loaded
        from scanner import tasks as of_scanner

        for module in (of_scanner, tasks):
            module.connect()
            post_migrate.connect(module.make_schedules, sender=self, dispatch_uid=module.__name__)
