"""Define the proof of a run, and verifications that have not come to an end."""

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


class ProofAttempt(models.Model):
    """A verification that goes on, or that failed before it could say whether the run is proven.

    A verification that has come to an end, whatever it found, leaves a proof and no row here. Written by
    `checker.jobs.verifications`; deleted by `checker.proofs.verifier` when a proof is stored.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SET_ASIDE = "set_aside", _("set aside")

    run = models.OneToOneField(Run, models.CASCADE, primary_key=True, related_name="proof_attempt")
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    reason = models.TextField(_("reason"), blank=True)
    """Why it was set aside, or how its last attempt ended."""
    attempts = models.PositiveSmallIntegerField(default=0)
    """Counted when an attempt begins."""
    failed_at = models.DateTimeField(null=True)
    """Since when it has failed; None while the first attempt goes on."""

    class Meta:
        verbose_name = _("verification")
        verbose_name_plural = _("verifications")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["waiting", "set_aside"]), name="proof_attempt_state_known"
            ),
        ]

    def __str__(self) -> str:
        return str(self.run)
