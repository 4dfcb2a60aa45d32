"""Administer groups, servers, runs and users in Django's admin. Each model has its module.

Takes what people enter and decide, and writes configuration and decisions; evidence is read-only. Imported by Django.
"""

from __future__ import annotations

from django.contrib import admin

from scanner import roles
from scanner.admin import groups, history, runs, servers, users

__all__ = ["groups", "history", "roles", "runs", "servers", "users"]

admin.site.site_header = "backup_syncer"
admin.site.site_title = "backup_syncer"
admin.site.site_url = "/"
