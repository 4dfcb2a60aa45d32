"""Assess a replica: its status in one word, and why.

A replica is *proven* only when its newest run was read whole, is on time and proven, and nothing is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db.models import TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from checker.findings import description
from checker.models import Finding, Proof
from scanner.formatting.names import short_text, visible_text
from scanner.formatting.numbers import number, time_span
from scanner.formatting.reasons import reason_text
from scanner.intervals import grace, next_run_due
from scanner.models import Replica, Run


class Status(TextChoices):
    """Statuses of a replica, the most urgent first."""

    DAMAGED = "damaged", gettext_lazy("Damaged")
    HELD = "held", gettext_lazy("On hold")
    ATTENTION = "attention", gettext_lazy("Attention")
    UNKNOWN = "unknown", gettext_lazy("Unknown")
    PROVEN = "proven", gettext_lazy("Proven")

    @property
    def urgency(self) -> int:
        """Return 0 for what should be looked at first."""
        return list(Status).index(self)


class Reason(NamedTuple):
    """Why a status is not better than it is, in one sentence."""

    status: Status
    text: str
    finding: Finding | None = None
    """The worst of the findings that the sentence is about."""


class Assessment(NamedTuple):
    """A replica's status, the reasons against a better one, worst first, and remarks that count against nothing."""

    status: Status
    reasons: tuple[Reason, ...]
    remarks: tuple[str, ...] = ()


class OpenFindings(NamedTuple):
    """Open findings of a replica that give it the same status."""

    status: Status
    worst: Finding
    number: int


@dataclass(frozen=True)
class ReplicaFacts:
    """Everything that the assessment of a replica rests on."""

    replica: Replica
    now: datetime
    newest: Run | None = None
    """The newest run, whatever became of it."""
    complete: Run | None = None
    """The newest run that was read whole and ingested."""
    proof: Proof | None = None
    """The proof of `complete`."""
    broken: int | None = None
    """Number of a run whose verification failed."""
    open_break: int | None = None
    """Number of a run that starts a new chain and that nobody has acknowledged."""
    findings: tuple[OpenFindings, ...] = ()
    """Open findings by the status that they give the replica."""
    compared: bool = True
    """`complete` was compared with the run before."""
    comparison_aside: int | None = None
    """Number of the newest run whose comparison was set aside."""
    misread: int = 0
    """Files of `complete` whose first read was not confirmed by two more."""


def assess(facts: ReplicaFacts) -> Assessment:
    """Return the status of a replica: that of its worst reason, *proven* when there is none."""
    reasons = [
        *_finding_reasons(facts),
        *_trust_reasons(facts),
        *_newest_run_reasons(facts),
        *_schedule_reasons(facts),
        *_comparison_reasons(facts),
        *_proof_reasons(facts),
    ]
    # The sort is stable: among equals, findings stay before the other reasons.
    reasons.sort(key=lambda reason: reason.status.urgency)

    status = reasons[0].status if reasons else Status.PROVEN
    return Assessment(status, tuple(reasons), tuple(_remarks(facts)))


def _finding_reasons(facts: ReplicaFacts) -> list[Reason]:
    """Return one reason for each status that findings give: the worst of them, and how many more there are."""
    reasons = []
    for findings in facts.findings:
        title = short_text(description.title(findings.worst))
        text = _("%(finding)s (since run %(run)d)") % {"finding": title, "run": findings.worst.first_run.sequence}

        others = findings.number - 1
        if others:
            more = ngettext("and %(n)s more finding", "and %(n)s more findings", others)
            text = f"{text}, {more % {'n': number(others)}}"
        reasons.append(Reason(findings.status, text, findings.worst))
    return reasons


def _remarks(facts: ReplicaFacts) -> list[str]:
    """Return what is worth a word and counts against nothing.

    Paths that were not read and have no open finding: somebody accepted them. Files that were misread at first: the
    files are good, the hardware that reads them perhaps is not.
    """
    run = facts.complete
    if run is None:
        return []

    remarks = []
    if run.errors:
        text = ngettext("%(n)s path could not be read.", "%(n)s paths could not be read.", run.errors)
        remarks.append(text % {"n": number(run.errors)})

    if facts.misread:
        text = ngettext(
            "%(n)s file was misread at first; two more reads agreed with each other. Check memory, cable "
            "and controller.",
            "%(n)s files were misread at first; two more reads agreed with each other. Check memory, cable "
            "and controller.",
            facts.misread,
        )
        remarks.append(text % {"n": number(facts.misread)})
    return remarks


def _comparison_reasons(facts: ReplicaFacts) -> list[Reason]:
    if facts.comparison_aside is not None:
        text = _("The changes of run %(sequence)d could not be determined.")
        return [Reason(Status.ATTENTION, text % {"sequence": facts.comparison_aside})]

    if facts.complete is not None and not facts.compared:
        text = _("Run %(sequence)d has not been compared with the previous run yet.")
        return [Reason(Status.UNKNOWN, text % {"sequence": facts.complete.sequence})]
    return []


def _trust_reasons(facts: ReplicaFacts) -> list[Reason]:
    """Return what speaks against believing the server or the stored data."""
    reasons = []
    server = facts.replica.server

    if server.held_at is not None:
        text = _("The server is on hold, and its reports are not accepted: %(reason)s")
        reasons.append(Reason(Status.HELD, text % {"reason": visible_text(reason_text(server.held_reason))}))
    if facts.broken is not None:
        reasons.append(_stored_data_differs(facts.broken))

    if facts.open_break is not None:
        text = _(
            "Run %(sequence)d starts a new chain: the server lost its memory of earlier runs (cloned or "
            "restored?). Nobody has acknowledged this yet."
        )
        reasons.append(Reason(Status.ATTENTION, text % {"sequence": facts.open_break}))
    return reasons


def _newest_run_reasons(facts: ReplicaFacts) -> list[Reason]:
    run = facts.newest
    if run is None:
        return [Reason(Status.UNKNOWN, _("No run has arrived yet."))]

    values = {"sequence": run.sequence, "reason": visible_text(reason_text(run.reason))}
    texts = {
        Run.State.FAILED: _("Run %(sequence)d failed on its server: %(reason)s"),
        Run.State.REFUSED: _("Run %(sequence)d was refused: %(reason)s"),
        Run.State.SET_ASIDE: _("Run %(sequence)d was set aside: %(reason)s"),
    }
    if run.state in texts:
        return [Reason(Status.ATTENTION, texts[Run.State(run.state)] % values)]
    if run.state == Run.State.RECEIVED:
        return [Reason(Status.UNKNOWN, _("Run %(sequence)d has arrived and is being ingested.") % values)]
    return []


def _schedule_reasons(facts: ReplicaFacts) -> list[Reason]:
    replica = facts.replica
    if not replica.enabled:
        return [Reason(Status.UNKNOWN, _("Switched off: no run is expected."))]

    # An import without a signature comes by hand, on no schedule.
    expected = next_run_due(replica, facts.complete)
    if expected is None or replica.origin == Replica.Origin.UNSIGNED:
        return []

    late = facts.now - expected
    if late <= grace(replica.group.expected_interval):
        return []

    text = _("The last complete run is too old: the next one was due %(late)s ago.")
    return [Reason(Status.ATTENTION, text % {"late": time_span(late)})]


def _proof_reasons(facts: ReplicaFacts) -> list[Reason]:
    if facts.replica.origin == Replica.Origin.UNSIGNED:
        return [Reason(Status.UNKNOWN, _("Imported without a signature: nobody vouches for it."))]

    run = facts.complete
    if run is None:
        return []

    if facts.proof is None:
        return [Reason(Status.UNKNOWN, _("Run %(sequence)d has not been verified yet.") % {"sequence": run.sequence})]
    # With `broken` the same sentence stands among the reasons already.
    if not facts.proof.ok and facts.broken is None:
        return [_stored_data_differs(run.sequence)]
    return []


def _stored_data_differs(sequence: int) -> Reason:
    text = _("The stored data of run %(sequence)d is not what its server signed.")
    return Reason(Status.DAMAGED, text % {"sequence": sequence})
