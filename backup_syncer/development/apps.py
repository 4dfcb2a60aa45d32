"""The Django application of the development commands."""

from __future__ import annotations

from django.apps import AppConfig


class DevelopmentConfig(AppConfig):
    """Application that replaces `runserver` and `test`; it stands before those of Django in INSTALLED_APPS."""

    name = "backup_syncer.development"
    label = "development"
