"""The project as an application, so that templates, static files and commands are found; and Axes, renamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    AxesConfig = AppConfig
    DjangoQConfig = AppConfig
else:
    from axes.apps import AppConfig as AxesConfig  # neither Axes nor django-q2 has types
    from django_q.apps import DjangoQConfig


class WiringConfig(AppConfig):
    """Holds no models; joins the parts."""

    name = "backup_syncer"
    label = "backup_syncer"

    def ready(self) -> None:
        """Let the cluster show that it lives, and the workers when they are at work."""
        from backup_syncer.launcher import heartbeat  # django_q's signals need loaded applications
        from scanner.db import statement_limit
        from scanner.queue import registry

        registry.register(heartbeat.BEAT)
        heartbeat.connect()
        statement_limit.connect()


class QueueConfig(DjangoQConfig):
    """django-q2, of which only the processes of the task cluster are used. Stands behind the admin, which it leaves."""

    def ready(self) -> None:
        """Take every model out of the admin, and let no row of the table of results name a function to be called."""
        from django.contrib import admin
        from django.db.models.signals import post_save
        from django_q.signals import call_hook

        for model in self.get_models():
            if admin.site.is_registered(model):
                admin.site.unregister(model)
        post_save.disconnect(call_hook, sender=self.get_model("Task"))


class LoginsConfig(AxesConfig):
    """Axes, under the name that the admin shows."""

    verbose_name = _("Logins")
