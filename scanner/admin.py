"""The admin of what servers hold; each kind of row has its module."""

from __future__ import annotations

from django.contrib import admin

from scanner import admin_groups, admin_history, admin_runs, admin_servers, admin_users, roles

__all__ = ["admin_groups", "admin_history", "admin_runs", "admin_servers", "admin_users", "roles"]

admin.site.site_header = "backup_syncer"
admin.site.site_title = "backup_syncer"
admin.site.site_url = "/"
