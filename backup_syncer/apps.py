"""The project as an application, so that templates, static files and commands are found; and Axes, renamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    AxesConfig = AppConfig
else:
    from axes.apps import AppConfig as AxesConfig  # Axes has no types


class WiringConfig(AppConfig):
    """Holds no models; joins the parts."""

    name = "backup_syncer"
    label = "backup_syncer"

    def ready(self) -> None:
        """Let the workers say when they are at work."""
        from backup_syncer.launcher import heartbeat  # django_q's signals need loaded applications

        heartbeat.connect()


class LoginsConfig(AxesConfig):
    """Axes, under the name that the admin shows."""

    verbose_name = _("Logins")
