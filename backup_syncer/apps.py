"""The project as an application, so that its templates, static files and commands are found."""

from __future__ import annotations

from django.apps import AppConfig


class WiringConfig(AppConfig):
    """Holds no models; joins the parts."""

    name = "backup_syncer"
    label = "backup_syncer"

    def ready(self) -> None:
        """Let the workers say when they are at work."""
        from backup_syncer.launcher import heartbeat  # django_q's signals need loaded applications

        heartbeat.connect()
