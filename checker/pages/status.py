"""Assess a replica: its status in one word, and why.

A replica is *proven* only when nothing speaks against it. RULES is the table of everything that can. A new rule is an
entry there and a line in docs/en/everyday.md and docs/ru/everyday.md; tests/planted/test_statuses.py asks for its test
with a real collector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from django.db.models import TextChoices
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from checker.findings import description
from checker.models import Finding, Proof
from scanner.formatting.names import short_text, visible_sentence
from scanner.formatting.numbers import number, time_span
from scanner.formatting.reasons import reason_text
from scanner.intervals import grace, next_run_due
from scanner.models import Replica, Run
from scanner.models.runs import CLOCK_TOLERANCE


class Status(TextChoices):
    """Statuses of a replica, the most urgent first."""

    DAMAGED = "damaged", gettext_lazy("Damaged")
    HELD = "held", gettext_lazy("On hold")
    ATTENTION = "attention", gettext_lazy("Attention")
    UNKNOWN = "unknown", gettext_lazy("Unknown")
    INCOMPLETE = "incomplete", gettext_lazy("Incomplete")
    INCOMPLETE_ACCEPTED = "incomplete_accepted", gettext_lazy("Incomplete (accepted)")
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
    address: str = ""
    """The page that shows more: the finding, or a list of paths."""


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


class UnreadPaths(NamedTuple):
    """Paths that a run could not read."""

    number: int
    accepted: int = 0
    """How many of them belong to findings that a person accepted."""


NOTHING_UNREAD = UnreadPaths(0)


class JudgingStep(Enum):
    """Steps of judging that may fail."""

    COMPARISON = "comparison"
    FINDINGS = "findings"
    VERIFICATION = "verification"
    GROUP_COMPARISON = "group comparison"


class FailedStep(NamedTuple):
    """A step of judging that has failed and not succeeded since: what it would find is not known."""

    step: JudgingStep
    since: datetime
    sequence: int | None = None
    """Number of the run; None for the comparison of a group."""


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
    is_distrusted: bool = False
    """The key that signed `complete` may have been in the wrong hands by then."""
    open_break: int | None = None
    """Number of a run that starts a new chain and that nobody has acknowledged."""
    findings: tuple[OpenFindings, ...] = ()
    """Open findings by the status that they give the replica."""
    compared: bool = True
    """`complete` was compared with the run before."""
    failed_steps: tuple[FailedStep, ...] = ()
    """Steps of judging that fail, or have been given up."""
    is_left_out: bool = False
    """The comparison of its group leaves it out, since its statement cannot be used."""
    misread: int = 0
    """Files of `complete` whose first read was not confirmed by two more."""
    unread: UnreadPaths = NOTHING_UNREAD
    """Paths of `complete` that could not be read."""
    accepted_mounts: tuple[Finding, ...] = ()
    """Accepted findings of mounts that hide known paths."""
    silent_since: datetime | None = None
    """When a run that has not ended was heard of last; None where it is still heard of, or none is going on."""


@dataclass(frozen=True, kw_only=True)
class StatusRule:
    """Something that speaks against *proven*."""

    name: str
    """Names its test."""
    description: str
    """Begins its line in docs/en/everyday.md, in the section of a status that it gives."""
    reasons: Callable[[ReplicaFacts], list[Reason]]
    """Return the reasons that the rule finds in the facts of a replica, each with the status that it gives."""


def assess(facts: ReplicaFacts) -> Assessment:
    """Return the status of a replica: that of its worst reason, *proven* when there is none."""
    reasons = [reason for rule in RULES for reason in rule.reasons(facts)]
    # The sort is stable: among equals, the order of the table holds.
    reasons.sort(key=lambda reason: reason.status.urgency)

    status = Status.PROVEN
    if reasons:
        status = reasons[0].status
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
        reasons.append(Reason(findings.status, text, findings.worst, _finding_address(findings.worst)))
    return reasons


def _remarks(facts: ReplicaFacts) -> list[str]:
    """Return what is worth a word and counts against nothing.

    Files that were misread at first are good; the hardware that reads them perhaps is not.
    """
    if not facts.misread:
        return []
    text = ngettext(
        "%(n)s file was misread at first; two more reads agreed with each other. Check memory, cable and controller.",
        "%(n)s files were misread at first; two more reads agreed with each other. Check memory, cable and controller.",
        facts.misread,
    )
    return [text % {"n": number(facts.misread)}]


def _unread_reasons(facts: ReplicaFacts) -> list[Reason]:
    """Return how many paths the newest complete run could not read. Accepting that does not prove them."""
    run = facts.complete
    unread = facts.unread
    if run is None or not unread.number:
        return []

    text = ngettext(
        "%(n)s path could not be read in run %(sequence)d: it is not proven.",
        "%(n)s paths could not be read in run %(sequence)d: they are not proven.",
        unread.number,
    )
    text = text % {"n": number(unread.number), "sequence": run.sequence}
    address = f"{reverse('entries', args=[run.uuid])}?type=error"
    if unread.accepted >= unread.number:
        acceptance = _("That was accepted.")
        return [Reason(Status.INCOMPLETE_ACCEPTED, f"{text} {acceptance}", address=address)]

    if unread.accepted:
        accepted = ngettext("%(n)s of them was accepted.", "%(n)s of them were accepted.", unread.accepted)
        text = f"{text} {accepted % {'n': number(unread.accepted)}}"
    return [Reason(Status.INCOMPLETE, text, address=address)]


def _accepted_mount_reasons(facts: ReplicaFacts) -> list[Reason]:
    """Return what mounts hide though a person accepted that: nothing has read it."""
    reasons = []
    acceptance = _("That was accepted.")
    for finding in facts.accepted_mounts:
        text = f"{short_text(description.title(finding))}. {acceptance}"
        reasons.append(Reason(Status.INCOMPLETE_ACCEPTED, text, finding, _finding_address(finding)))
    return reasons


def _finding_address(finding: Finding) -> str:
    return reverse("finding", args=[finding.uuid])


def _failed_step_reasons(facts: ReplicaFacts) -> list[Reason]:
    """Return each step of judging that fails: what it would have found is not known."""
    texts = {
        JudgingStep.COMPARISON: _(
            "The changes of run %(sequence)d could not be determined. Its comparison has failed for %(time)s."
        ),
        JudgingStep.FINDINGS: _("The findings of run %(sequence)d could not be updated. This has failed for %(time)s."),
        JudgingStep.VERIFICATION: _("Run %(sequence)d could not be verified. This has failed for %(time)s."),
        JudgingStep.GROUP_COMPARISON: _(
            "The replicas of the group could not be compared with each other. This has failed for %(time)s."
        ),
    }
    reasons = []
    for failed in facts.failed_steps:
        values = {"sequence": failed.sequence, "time": time_span(facts.now - failed.since)}
        reasons.append(Reason(Status.UNKNOWN, texts[failed.step] % values))
    return reasons


def _left_out_reasons(facts: ReplicaFacts) -> list[Reason]:
    if not facts.is_left_out:
        return []
    text = _("It was left out when the replicas of its group were compared: its statement cannot be used.")
    return [Reason(Status.UNKNOWN, text)]


def _uncompared_reasons(facts: ReplicaFacts) -> list[Reason]:
    # Of a comparison that fails another rule says more.
    fails = any(failed.step in (JudgingStep.COMPARISON, JudgingStep.FINDINGS) for failed in facts.failed_steps)
    if facts.complete is None or facts.compared or fails:
        return []
    text = _("Run %(sequence)d has not been compared with the previous run yet.")
    return [Reason(Status.UNKNOWN, text % {"sequence": facts.complete.sequence})]


def _held_server_reasons(facts: ReplicaFacts) -> list[Reason]:
    server = facts.replica.server
    if server.held_at is None:
        return []
    text = _("The server is on hold, and its reports are not accepted: %(reason)s")
    return [Reason(Status.HELD, text % {"reason": visible_sentence(reason_text(server.held_reason))})]


def _open_break_reasons(facts: ReplicaFacts) -> list[Reason]:
    if facts.open_break is None:
        return []
    text = _(
        "Run %(sequence)d starts a new chain: the server lost its memory of earlier runs (cloned or "
        "restored?). Nobody has acknowledged this yet."
    )
    return [Reason(Status.ATTENTION, text % {"sequence": facts.open_break})]


def _no_run_reasons(facts: ReplicaFacts) -> list[Reason]:
    if facts.newest is not None:
        return []
    return [Reason(Status.UNKNOWN, _("No run has arrived yet."))]


def _bad_run_reasons(facts: ReplicaFacts) -> list[Reason]:
    """Return why the newest run came to nothing."""
    run = facts.newest
    if run is None:
        return []

    texts = {
        Run.State.FAILED: _("Run %(sequence)d failed on its server: %(reason)s"),
        Run.State.REFUSED: _("Run %(sequence)d was refused: %(reason)s"),
        Run.State.SET_ASIDE: _("Run %(sequence)d was set aside: %(reason)s"),
    }
    text = texts.get(Run.State(run.state))
    if text is None:
        return []
    values = {"sequence": run.sequence, "reason": visible_sentence(reason_text(run.reason))}
    return [Reason(Status.ATTENTION, text % values)]


def _waiting_run_reasons(facts: ReplicaFacts) -> list[Reason]:
    run = facts.newest
    if run is None or run.state != Run.State.RECEIVED:
        return []
    text = _("Run %(sequence)d has arrived and is being ingested.")
    return [Reason(Status.UNKNOWN, text % {"sequence": run.sequence})]


def _silent_run_reasons(facts: ReplicaFacts) -> list[Reason]:
    """Return that a run began and did not end: its collector was killed, or cannot reach the central server."""
    if facts.silent_since is None:
        return []
    text = _("A run began and has not ended: it was heard of last %(time)s ago.")
    return [Reason(Status.UNKNOWN, text % {"time": time_span(facts.now - facts.silent_since)})]


def _clock_reasons(facts: ReplicaFacts) -> list[Reason]:
    """Return how far the server's clock is off: dates of files and runs that it gives prove little then."""
    offset = facts.replica.server.clock_offset_s
    if offset is not None and timedelta(seconds=abs(offset)) > CLOCK_TOLERANCE:
        text = _("The server's clock is %(time)s behind.")
        if offset > 0:
            text = _("The server's clock is %(time)s ahead.")
        return [Reason(Status.ATTENTION, text % {"time": time_span(timedelta(seconds=abs(offset)))})]

    # The clock may have been off only during the run, or the server may not say what time it has.
    skew = facts.newest.clock_skew if facts.newest is not None else None
    if skew is None:
        return []
    text = _("The server's clock was set back by at least %(time)s during the newest run.")
    if skew > timedelta(0):
        text = _("The server's clock was at least %(time)s ahead in the newest run.")
    return [Reason(Status.ATTENTION, text % {"time": time_span(abs(skew))})]


def _switched_off_reasons(facts: ReplicaFacts) -> list[Reason]:
    if facts.replica.enabled:
        return []
    return [Reason(Status.UNKNOWN, _("Switched off: no run is expected."))]


def _late_reasons(facts: ReplicaFacts) -> list[Reason]:
    replica = facts.replica
    # An import without a signature comes by hand, on no schedule.
    if not replica.enabled or replica.origin == Replica.Origin.UNSIGNED:
        return []

    expected = next_run_due(replica, facts.complete)
    if expected is None:
        return []
    late = facts.now - expected
    if late <= grace(replica.group.expected_interval):
        return []

    text = _("The last complete run is too old: the next one was due %(late)s ago.")
    return [Reason(Status.ATTENTION, text % {"late": time_span(late)})]


def _unsigned_reasons(facts: ReplicaFacts) -> list[Reason]:
    if facts.replica.origin != Replica.Origin.UNSIGNED:
        return []
    return [Reason(Status.UNKNOWN, _("Imported without a signature: nobody vouches for it."))]


def _unverified_reasons(facts: ReplicaFacts) -> list[Reason]:
    run = facts.complete
    if run is None or facts.proof is not None or facts.replica.origin == Replica.Origin.UNSIGNED:
        return []
    return [Reason(Status.UNKNOWN, _("Run %(sequence)d has not been verified yet.") % {"sequence": run.sequence})]


def _stored_data_reasons(facts: ReplicaFacts) -> list[Reason]:
    """Return a run of which the database holds something else than its server signed."""
    sequence = facts.broken
    is_unproven = facts.proof is not None and not facts.proof.ok
    if sequence is None and facts.complete is not None and is_unproven and not facts.is_distrusted:
        sequence = facts.complete.sequence
    if sequence is None:
        return []
    text = _("The stored data of run %(sequence)d is not what its server signed.")
    return [Reason(Status.DAMAGED, text % {"sequence": sequence})]


def _compromised_key_reasons(facts: ReplicaFacts) -> list[Reason]:
    """Return that somebody else may have signed the newest complete run."""
    if facts.complete is None or not facts.is_distrusted:
        return []
    text = _("The key that signed run %(sequence)d may be in the wrong hands: nobody vouches for this run.")
    return [Reason(Status.ATTENTION, text % {"sequence": facts.complete.sequence})]


RULES = (
    StatusRule(
        name="finding",
        description="A finding of damage is open:",
        reasons=_finding_reasons,
    ),
    StatusRule(
        name="stored-data",
        description="What the database holds of a run is not what its server signed.",
        reasons=_stored_data_reasons,
    ),
    StatusRule(
        name="compromised-key",
        description="The key that signed the newest complete run is marked as compromised",
        reasons=_compromised_key_reasons,
    ),
    StatusRule(
        name="held-server",
        description="The *server* is on hold:",
        reasons=_held_server_reasons,
    ),
    StatusRule(
        name="new-chain",
        description="The server lost its memory of earlier runs and began a new chain",
        reasons=_open_break_reasons,
    ),
    StatusRule(
        name="bad-run",
        description="The newest run failed on its server, was refused, or was set aside.",
        reasons=_bad_run_reasons,
    ),
    StatusRule(
        name="late",
        description="The last complete run is too old.",
        reasons=_late_reasons,
    ),
    StatusRule(
        name="clock",
        description="The server's clock is more than five minutes off",
        reasons=_clock_reasons,
    ),
    StatusRule(
        name="failed-step",
        description="a step of judging fails:",
        reasons=_failed_step_reasons,
    ),
    StatusRule(
        name="left-out",
        description="the comparison of its group leaves it out:",
        reasons=_left_out_reasons,
    ),
    StatusRule(
        name="no-run",
        description="no run has arrived yet;",
        reasons=_no_run_reasons,
    ),
    StatusRule(
        name="waiting-run",
        description="the newest run has arrived and is not yet ingested;",
        reasons=_waiting_run_reasons,
    ),
    StatusRule(
        name="silent-run",
        description="a run has begun and not ended, and its collector has been silent",
        reasons=_silent_run_reasons,
    ),
    StatusRule(
        name="not-compared",
        description="it has not been compared with the run before;",
        reasons=_uncompared_reasons,
    ),
    StatusRule(
        name="not-verified",
        description="it has not been verified;",
        reasons=_unverified_reasons,
    ),
    StatusRule(
        name="switched-off",
        description="the replica is switched off;",
        reasons=_switched_off_reasons,
    ),
    StatusRule(
        name="unsigned",
        description="it was imported without a signature",
        reasons=_unsigned_reasons,
    ),
    StatusRule(
        name="unread",
        description="paths could not be read:",
        reasons=_unread_reasons,
    ),
    StatusRule(
        name="accepted-mount",
        description="a mount hides known files, and a person accepted that.",
        reasons=_accepted_mount_reasons,
    ),
)
"""Everything that speaks against *proven*. Where nothing does, the newest run is complete, on time, compared and
verified, every path in it was read, and no finding is open."""
