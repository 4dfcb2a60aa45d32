"""What is said of a replica in one word, and why. *Proven* is said only of what was read, on time, whole and proven."""

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
from scanner.intervals import grace, next_run_due
from scanner.models import Replica, Run


class Status(TextChoices):
    """In the order of urgency."""

    DAMAGED = "damaged", gettext_lazy("Damaged")
    HELD = "held", gettext_lazy("On hold")
    ATTENTION = "attention", gettext_lazy("Attention")
    UNKNOWN = "unknown", gettext_lazy("Unknown")
    PROVEN = "proven", gettext_lazy("Proven")

    @property
    def urgency(self) -> int:
        """0 for what should be looked at first."""
        return list(Status).index(self)


class Reason(NamedTuple):
    """Why a state is not better than it is, as one sentence."""

    status: Status
    text: str
    finding: Finding | None = None
    """The worst of the findings that it tells."""


class Assessment(NamedTuple):
    """A state and all that speaks against a better one, worst first; and what is worth a word and speaks against
    nothing."""

    status: Status
    reasons: tuple[Reason, ...]
    remarks: tuple[str, ...] = ()


class OpenFindings(NamedTuple):
    """Open findings of a replica that put it into the same state."""

    status: Status
    worst: Finding
    number: int


@dataclass(frozen=True)
class ReplicaFacts:
    """All that a verdict on a replica rests on."""

    replica: Replica
    now: datetime
    newest: Run | None = None
    """The newest run, whatever became of it."""
    complete: Run | None = None
    """The newest run that was read whole and ingested."""
    proof: Proof | None = None
    """Of `complete`."""
    broken: int | None = None
    """Number of a run whose verification did not hold."""
    open_break: int | None = None
    """Number of a run that begins a new chain and that nobody acknowledged."""
    findings: tuple[OpenFindings, ...] = ()
    """What is open, by the state that it puts the replica in."""
    compared: bool = True
    """Whether `complete` was compared with the run before."""
    comparison_aside: int | None = None
    """Number of the newest run whose comparison was set aside."""
    misread: int = 0
    """Files of `complete` of which the first read gave what two more did not confirm."""


def assess(facts: ReplicaFacts) -> Assessment:
    """The state of a replica: that of its worst reason, proven when there is none."""
    reasons = [
        *_of_findings(facts), *_of_trust(facts), *_of_newest(facts), *_of_time(facts), *_of_comparison(facts),
        *_of_proof(facts),
    ]  # fmt: skip
    reasons.sort(key=lambda reason: reason.status.urgency)
    return Assessment(reasons[0].status if reasons else Status.PROVEN, tuple(reasons), tuple(_remarks(facts)))


def _of_findings(facts: ReplicaFacts) -> list[Reason]:
    """One line for each state that findings put the replica in: the worst, and how many more there are."""
    found = []
    for some in facts.findings:
        text = _("%(finding)s (since run %(run)d)") % {
            "finding": short_text(description.title(some.worst)), "run": some.worst.first_run.sequence
        }  # fmt: skip
        if some.number > 1:
            more = ngettext("and %(n)s more finding", "and %(n)s more findings", some.number - 1)
            text = f"{text}, {more % {'n': number(some.number - 1)}}"
        found.append(Reason(some.status, text, some.worst))
    return found


def _remarks(facts: ReplicaFacts) -> list[str]:
    """Paths that were not read and of which nothing is open: somebody accepted that, or they changed meanwhile. And
    files that were read wrong at first: they are good, what reads them perhaps is not."""
    run, found = facts.complete, []
    if run is not None and run.errors:
        text = ngettext("%(n)s path could not be read.", "%(n)s paths could not be read.", run.errors)
        found.append(text % {"n": number(run.errors)})
    if run is not None and facts.misread:
        text = ngettext(
            "%(n)s file was misread at first; two more reads agreed with each other. Check memory, cable "
            "and controller.",
            "%(n)s files were misread at first; two more reads agreed with each other. Check memory, cable "
            "and controller.",
            facts.misread,
        )
        found.append(text % {"n": number(facts.misread)})
    return found


def _of_comparison(facts: ReplicaFacts) -> list[Reason]:
    if facts.comparison_aside is not None:
        text = _("The changes of run %(sequence)d could not be determined.")
        return [Reason(Status.ATTENTION, text % {"sequence": facts.comparison_aside})]
    if facts.complete is not None and not facts.compared:
        text = _("Run %(sequence)d has not been compared with the previous run yet.")
        return [Reason(Status.UNKNOWN, text % {"sequence": facts.complete.sequence})]
    return []


def _of_trust(facts: ReplicaFacts) -> list[Reason]:
    found = []
    server = facts.replica.server
    if server.held_at is not None:
        text = _("The server is on hold, and its reports are not accepted: %(reason)s") % {
            "reason": visible_text(server.held_reason)
        }
        found.append(Reason(Status.HELD, text))
    if facts.broken is not None:
        text = _("The stored data of run %(sequence)d is not what its server signed.") % {"sequence": facts.broken}
        found.append(Reason(Status.DAMAGED, text))
    if facts.open_break is not None:
        text = _(
            "Run %(sequence)d starts a new chain: the server lost its memory of earlier runs (cloned or "
            "restored?). Nobody has acknowledged this yet."
        )
        found.append(Reason(Status.ATTENTION, text % {"sequence": facts.open_break}))
    return found


def _of_newest(facts: ReplicaFacts) -> list[Reason]:
    run = facts.newest
    if run is None:
        return [Reason(Status.UNKNOWN, _("No run has arrived yet."))]
    about = {"sequence": run.sequence, "reason": visible_text(run.reason)}
    said = {
        Run.State.FAILED: _("Run %(sequence)d failed on its server: %(reason)s"),
        Run.State.REFUSED: _("Run %(sequence)d was refused: %(reason)s"),
        Run.State.SET_ASIDE: _("Run %(sequence)d was set aside: %(reason)s"),
    }
    if run.state in said:
        return [Reason(Status.ATTENTION, said[Run.State(run.state)] % about)]
    if run.state == Run.State.RECEIVED:
        return [Reason(Status.UNKNOWN, _("Run %(sequence)d has arrived and is being ingested.") % about)]
    return []


def _of_time(facts: ReplicaFacts) -> list[Reason]:
    replica = facts.replica
    if not replica.enabled:
        return [Reason(Status.UNKNOWN, _("Switched off: no run is expected."))]
    expected = next_run_due(replica, facts.complete)
    if expected is None or replica.origin == Replica.Origin.UNSIGNED:
        return []
    late = facts.now - expected
    if late <= grace(replica.group.expected_interval):
        return []
    text = _("The last complete run is too old: the next one was due %(late)s ago.")
    return [Reason(Status.ATTENTION, text % {"late": time_span(late)})]


def _of_proof(facts: ReplicaFacts) -> list[Reason]:
    run, proof = facts.complete, facts.proof
    if facts.replica.origin == Replica.Origin.UNSIGNED:
        return [Reason(Status.UNKNOWN, _("Imported without a signature: nobody vouches for it."))]
    if run is None:
        return []
    if proof is None:
        return [Reason(Status.UNKNOWN, _("Run %(sequence)d has not been verified yet.") % {"sequence": run.sequence})]
    if not proof.ok and facts.broken is None:
        text = _("The stored data of run %(sequence)d is not what its server signed.") % {"sequence": run.sequence}
        return [Reason(Status.DAMAGED, text)]
    return []
