"""Verify runs: signature, place in the chain, journal, and the records rebuilt from the rows.

A run is proven when every check holds. A check that fails says in words what is wrong, with the first block and the
paths that differ.
"""

from __future__ import annotations

import time
from functools import cached_property

from django.utils import timezone
from django.utils.translation import gettext_noop as _

from checker.models import Proof, ProofAttempt
from checker.proofs import queries, records
from checker.proofs.chain import Chain
from checker.proofs.distrust import is_distrusted
from checker.proofs.verification import Check, Verification
from scanner.format.envelope import open_envelope
from scanner.format.errors import ReportError
from scanner.format.statement import read_statement
from scanner.models import Replica, Run, ServerKey

PROOFS_AT_ONCE = 500
"""Proofs that one statement takes back."""


class RunVerifier:
    """Verifies runs of one replica. What they have in common, chain and structure, is checked once."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica

    @cached_property
    def chain(self) -> Chain:
        """Return the chain of all runs of the replica."""
        return Chain(self.replica)

    @cached_property
    def structure(self) -> Check:
        """Return the check that runs account for every row of the history."""
        for counts in queries.find_unexplained_rows(self.replica, limit=1):
            return _unexplained_rows(counts)

        for overlap in queries.find_overlaps(self.replica, limit=1):
            return _overlap(overlap)

        for sequence in queries.find_stray_notes(self.replica, limit=1):
            message = _("Run %(sequence)d has notes but was never ingested.")
            return Check("structure", False, message, {"sequence": sequence})

        return Check("structure", True, _("Runs account for every row of the history."))

    def verify(self, run: Run) -> Verification:
        """Return all checks of a run. Write nothing. The first verification takes as long as the chain is."""
        started = time.monotonic_ns()
        checks = (*self.chain.checks(run), *_check_records(run), self.structure)
        return Verification(run, checks, time.monotonic_ns() - started)


def verify_run(run: Run) -> Verification:
    """Verify one run, and store its proof."""
    verification = RunVerifier(run.replica).verify(run)
    store_proof(verification)
    return verification


def store_proof(verification: Verification) -> None:
    """Store the proof of a run that is in the history or failed. An unsigned run gets one only when rows are wrong."""
    run = verification.run
    # It has come to an end, whatever it found.
    ProofAttempt.objects.filter(run=run).delete()
    if run.state not in (Run.State.INGESTED, Run.State.FAILED):
        return
    if run.replica.origin == Replica.Origin.UNSIGNED and _lacks_only_signature(verification):
        return

    # Message and values are kept apart, so that a page can show them in the reader's language.
    now = timezone.now()
    values: dict[str, object] = {
        "checked_at": now,
        "ok": verification.ok,
        "statements": [check.to_json() for check in verification.checks],
        "duration_ns": verification.duration_ns,
    }

    # A failed verification keeps the moment at which everything last held.
    if verification.ok:
        values["proven_at"] = now
    Proof.objects.update_or_create(run=run, defaults=values)


def distrust_runs(key: ServerKey) -> list[int]:
    """Mark the runs of a compromised key as not proven, until they are verified again. Return their replicas' ids.

    A verification of each would take as long as reading all their rows; nobody must wait so long to be warned.
    """
    runs = Run.objects.filter(is_distrusted(), key=key)
    message = _("Run %(sequence)d: its key may be in the wrong hands since %(since)s UTC.")
    proofs = list(Proof.objects.filter(run__in=runs).select_related("run").defer("run__envelope", "statements"))
    for proof in proofs:
        values = {"sequence": proof.run.sequence, "since": f"{key.compromised_since:%Y-%m-%d %H:%M}"}
        proof.ok = False
        proof.statements = [Check("signature", False, message, values).to_json()]
    Proof.objects.bulk_update(proofs, ["ok", "statements"], batch_size=PROOFS_AT_ONCE)
    return list(runs.order_by().values_list("replica", flat=True).distinct())


def _lacks_only_signature(verification: Verification) -> bool:
    return all(check.ok or check.name == "signature" for check in verification.checks)


def _unexplained_rows(counts: queries.RowCounts) -> Check:
    values = counts._asdict()
    del values["state"]
    if counts.state is None:
        message = _("History rows start or end at run %(sequence)d, which does not exist.")
    elif counts.state != Run.State.INGESTED:
        message = _("History rows start or end at run %(sequence)d, which was never ingested.")
    else:
        message = _(
            "Run %(sequence)d started %(opened)s rows and ended %(closed)s; the table has %(found_opened)s "
            "and %(found_closed)s."
        )
    return Check("structure", False, message, values)


def _overlap(overlap: queries.Overlap) -> Check:
    path = records.printable_path(overlap.path)
    values = {"path": path, "first": overlap.first_from, "second": overlap.second_from}
    message = _("%(path)s: the rows of runs %(first)d and %(second)d overlap.")
    if overlap.equal:
        message = _("%(path)s: the row of run %(first)d was split at run %(second)d, although nothing changed there.")
    return Check("structure", False, message, values)


def _check_records(run: Run) -> list[Check]:
    if run.state == Run.State.FAILED:
        return [Check("records", True, _("The run failed on its server and has no records."))]
    if run.state != Run.State.INGESTED:
        message = _("The run is not in the history (%(state)s): %(reason)s")
        return [Check("records", False, message, {"state": run.state, "reason": records.printable_path(run.reason)})]
    if run.replica.origin == Replica.Origin.UNSIGNED:
        return records.check_unsigned_records(run)

    try:
        statement = read_statement(open_envelope(bytes(run.envelope or b"")).payload)
    except ReportError as error:
        message = _("There is no statement to compare the rows with: %(reason)s.")
        return [Check("records", False, message, {"reason": str(error)})]
    return records.check_signed_records(run, statement)
