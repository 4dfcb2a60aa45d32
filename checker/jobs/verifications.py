"""Verify runs as work: an attempt is counted before it starts, and a run that cannot be verified holds up no other."""

from __future__ import annotations

from functools import partial

from checker.models import ProofAttempt
from checker.proofs import verifier
from scanner.db import attempts
from scanner.db.errors import translate_database_errors
from scanner.db.locks import LockClass, advisory_lock
from scanner.models import Run

State = ProofAttempt.State
STATES = attempts.WorkStates(queued=State.WAITING, set_aside=State.SET_ASIDE, failed_at="failed_at")


def verify(run: Run) -> bool:
    """Make one attempt to verify a run, and store its proof. Return whether there is a new one.

    None is made while another worker does it, nor after the attempts have been spent.
    """
    # Two workers with one run would count two attempts for what is one.
    with advisory_lock(LockClass.VERIFICATION, run.pk) as is_alone:
        if not is_alone:
            return False
        with translate_database_errors():
            row, _created = ProofAttempt.objects.get_or_create(run=run)
        return attempts.attempt(row, STATES, f"verification of run {run.uuid}", partial(_verify, run))


def _verify(run: Run) -> None:
    verifier.verify_run(run)
