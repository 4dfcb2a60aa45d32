"""The project as an application, so that its templates, static files and commands are found."""

from __future__ import annotations

from django.apps import AppConfig


class WiringConfig(AppConfig):
    """Holds no models; joins the parts."""

    name = "backup_syncer"
    label = "backup_syncer"
