"""Show proofs and findings in the admin, read-only. Decisions about a finding are made on its page."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from checker.models import AuditEntry, Finding, Proof
from checker.templatetags.checks import check_name, check_text
from scanner.admin.base import ReadOnlyAdmin
from scanner.formatting.numbers import duration


@admin.register(Proof)
class ProofAdmin(ReadOnlyAdmin):
    """The newest verification of each run."""

    list_display = ["verified_run", "ok", "checked_at", "proven_at"]
    list_filter = ["ok"]
    list_select_related = ["run__replica__group", "run__replica__server"]
    ordering = ["-checked_at"]
    fields = ["verified_run", "ok", "checked_at", "proven_at", "checks", "time_taken"]

    @admin.display(description=_("run"), ordering="run")
    def verified_run(self, proof: Proof) -> str:
        """Return the name of the run that was verified."""
        return str(proof.run)

    @admin.display(description=_("checks"))
    def checks(self, proof: Proof) -> str:
        """Return what each check found, in order and in the language of the page."""
        return format_html_join(
            "", "<div>{}: {}</div>", ((check_name(check["check"]), check_text(check)) for check in proof.statements)
        )

    @admin.display(description=_("duration"))
    def time_taken(self, proof: Proof) -> str:
        """Return how long the verification took."""
        return duration(proof.duration_ns)


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
