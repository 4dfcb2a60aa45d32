"""Show proofs and findings in the admin, read-only. Decisions about a finding are made on its page."""

from __future__ import annotations

from django.contrib import admin

from checker.models import AuditEntry, Finding, Proof
from scanner.admin.base import ReadOnlyAdmin


@admin.register(Proof)
class ProofAdmin(ReadOnlyAdmin):
    """The newest verification of each run."""

    list_display = ["run", "ok", "checked_at", "proven_at"]
    list_filter = ["ok"]
    list_select_related = ["run__replica__group", "run__replica__server"]
    ordering = ["-checked_at"]
    fields = ["run", "ok", "checked_at", "proven_at", "statements", "duration_ns"]


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    """Findings of every state."""

    list_display = ["__str__", "replica", "state", "severity", "first_run", "opened_at"]
    list_filter = ["state", "severity", "kind"]
    list_select_related = [
        "replica__group",
        "replica__server",
        "first_run__replica__group",
        "first_run__replica__server",
    ]
    ordering = ["-pk"]


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The audit log of findings."""

    list_display = ["logged_at", "action", "username", "reason"]
    list_filter = ["action"]
    ordering = ["-pk"]
