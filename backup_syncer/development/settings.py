"""Django settings for work on the project itself: DEBUG, templates and static files read anew at each request."""

from __future__ import annotations

import os

os.environ.setdefault("SECRET_KEY", "for development alone: this system serves nobody but its developer")

from backup_syncer.settings import *  # noqa: F403  # the key must be set before they are read
from backup_syncer.settings import ALLOWED_HOSTS, INSTALLED_APPS, STORAGES

DEBUG = True
INSTALLED_APPS = ["backup_syncer.development.apps.DevelopmentConfig", *INSTALLED_APPS]
STORAGES = STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
# The host of Django's test client, as in `manage.py shell`.
ALLOWED_HOSTS = [*ALLOWED_HOSTS, "testserver"]
