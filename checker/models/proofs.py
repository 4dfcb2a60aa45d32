"""Define the proof of a run."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from scanner.models import Run


class Proof(models.Model):
    """The newest verification of a run: whether its records, rebuilt from the rows, are what its server signed.

    Written by `checker.proofs.verifier`. A run without a row here was never verified.
    """

    run = models.OneToOneField(Run, models.CASCADE, primary_key=True, related_name="proof")
    checked_at = models.DateTimeField(_("checked"))
    ok = models.BooleanField(_("proven"))
    proven_at = models.DateTimeField(_("last proven"), null=True)
    """When everything last held. It stays when a later verification fails."""
    statements = models.JSONField(default=list)
    """The checks in their order, as `checker.proofs.verification.Check.to_json` gives them."""
    duration_ns = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("proof")
        verbose_name_plural = _("proofs")
        indexes = [
            # Serves the rotation, which begins with the least recently verified run.
            models.Index(fields=["checked_at"], name="proof_oldest"),
            # Serves the overview: runs whose rows are not what was signed.
            models.Index(fields=["run"], condition=models.Q(ok=False), name="proof_failed"),
        ]

    def __str__(self) -> str:
        return str(self.run)
