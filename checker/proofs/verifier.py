"""Whether a run is proven: its signature, its place in the chain and the journal, its records rebuilt from the rows.

Proven means that every check holds. What does not hold is said in words, with the block and the paths that differ
first.
"""

from __future__ import annotations

import time
from functools import cached_property

from django.utils import timezone
from django.utils.translation import gettext_noop as _

from checker.models import Proof
from checker.proofs import queries, records
from checker.proofs.chain import Chain
from checker.proofs.verification import Check, Verification
from scanner.format.envelope import open_envelope
from scanner.format.errors import ReportError
from scanner.format.statement import read_statement
from scanner.models import Replica, Run


class RunVerifier:
    """Verifies runs of one replica. What is common to them, the chain and the history's build, is looked at once."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica

    @cached_property
    def chain(self) -> Chain:
        """The walk over all its runs."""
        return Chain(self.replica)

    @cached_property
    def structure(self) -> Check:
        """Whether runs explain every row of its history."""
        for tally in queries.find_unexplained_rows(self.replica, limit=1):
            if tally.state is None:
                return Check(
                    "structure",
                    False,
                    _("History rows start or end at run %(sequence)d, which does not exist."),
                    _named(tally),
                )
            if tally.state != Run.State.INGESTED:
                message = _("History rows start or end at run %(sequence)d, which was never ingested.")
                return Check("structure", False, message, _named(tally))
            message = _(
                "Run %(sequence)d started %(opened)s rows and ended %(closed)s; the table has %(found_opened)s "
                "and %(found_closed)s."
            )
            return Check("structure", False, message, _named(tally))
        for overlap in queries.find_overlaps(self.replica, limit=1):
            values = {
                "path": records.printable_path(overlap.path),
                "first": overlap.first_from,
                "second": overlap.second_from,
            }
            message = _("%(path)s: the rows of runs %(first)d and %(second)d overlap.")
            if overlap.equal:
                message = _(
                    "%(path)s: the row of run %(first)d was split at run %(second)d, although nothing changed there."
                )
            return Check("structure", False, message, values)
        for sequence in queries.find_stray_notes(self.replica, limit=1):
            message = _("Run %(sequence)d has notes but was never ingested.")
            return Check("structure", False, message, {"sequence": sequence})
        return Check("structure", True, _("Runs account for every row of the history."))

    def verify(self, run: Run) -> Verification:
        """Everything about `run`; nothing is written. The first verdict pays for what is common."""
        begun = time.monotonic_ns()
        checks = (*self.chain.checks(run), *_records(run), self.structure)
        return Verification(run, checks, time.monotonic_ns() - begun)


def _named(tally: queries.RowCounts) -> dict[str, object]:
    return {name: value for name, value in tally._asdict().items() if name != "state"}


def _records(run: Run) -> list[Check]:
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


def verify_run(run: Run) -> Verification:
    """The verdict on one run, kept as its proof."""
    verdict = RunVerifier(run.replica).verify(run)
    store_proof(verdict)
    return verdict


def store_proof(verdict: Verification) -> None:
    """Write the proof of a run that is in the history, or failed; an unsigned one only when its rows are wrong."""
    run = verdict.run
    wrong = [check for check in verdict.checks if not check.ok]
    unsigned = run.replica.origin == Replica.Origin.UNSIGNED and all(check.name == "signature" for check in wrong)
    if unsigned or run.state not in (Run.State.INGESTED, Run.State.FAILED):
        return
    now = timezone.now()
    found: dict[str, object] = {
        "checked_at": now,
        "ok": verdict.ok,
        "statements": [check.to_json() for check in verdict.checks],
        "duration_ns": verdict.duration_ns,
    }
    Proof.objects.update_or_create(run=run, defaults=found | ({"proven_at": now} if verdict.ok else {}))
