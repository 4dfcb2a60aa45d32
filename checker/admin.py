"""Proofs in the admin: to look at."""

from __future__ import annotations

from django.contrib import admin

from checker.models import Proof
from scanner.admin_lists import ReadOnlyAdmin


@admin.register(Proof)
class ProofAdmin(ReadOnlyAdmin):
    """The newest verification of each run."""

    list_display = ["run", "ok", "checked_at", "proven_at"]
    list_filter = ["ok"]
    list_select_related = ["run__replica__group", "run__replica__server"]
    ordering = ["-checked_at"]
    fields = ["run", "ok", "checked_at", "proven_at", "statements", "duration_ns"]
