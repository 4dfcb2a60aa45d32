"""Assess a run: whether it was proven, read whole, and found nothing that is still to be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy, pgettext_lazy

from checker.models import Comparison, Finding
from checker.pages.finding_status import status_expression
from checker.pages.status import Status
from scanner.db.sql import fetch_all, load_statements
from scanner.models import Note, Run

statement = load_statements(__file__)

LIST_FINDINGS_BETWEEN = statement("list_findings_between")

LABELS = {
    Status.DAMAGED: gettext_lazy("damage found"),
    Status.HELD: gettext_lazy("on hold"),
    Status.ATTENTION: gettext_lazy("findings"),
    Status.UNKNOWN: gettext_lazy("nothing found"),
    Status.INCOMPLETE: gettext_lazy("incomplete"),
    Status.PROVEN: gettext_lazy("proven"),
}
"""The chip of a run that was ingested and verified."""


class RunFacts(NamedTuple):
    """Everything that the assessment of a run rests on."""

    pk: int
    replica_id: int
    sequence: int
    state: Run.State
    errors: int
    is_proven: bool | None
    """None before the run was verified."""


class RunStatus(NamedTuple):
    """The status of a run, and what its chip says."""

    status: Status
    label: str | Promise


class _FindingSpan(NamedTuple):
    """Runs of a replica in which something was as a finding says: from `first` on, before `end`."""

    status: Status
    first: int
    end: int | None
    """None where the finding is open."""

    def holds(self, sequence: int) -> bool:
        """Return whether a run lies within."""
        return self.first <= sequence and (self.end is None or sequence < self.end)


def facts_of(run: Run) -> RunFacts:
    """Return the facts of a run. Reads its proof unless it came with the run."""
    proof = getattr(run, "proof", None)
    is_proven = None if proof is None else proof.ok
    return RunFacts(run.pk, run.replica_id, run.sequence, Run.State(run.state), run.errors, is_proven)


def assess_runs(all_facts: Sequence[RunFacts]) -> dict[int, RunStatus]:
    """Return key of a run → its status, for runs of any replicas."""
    spans = _spans_of_replicas(all_facts)
    concerning = _open_findings_between(all_facts)
    skipping = _runs_with_skipped_names(all_facts)
    compared = _compared_runs(all_facts)

    statuses = {}
    for facts in all_facts:
        status = _status_of_state(facts)
        if status is None and facts.pk not in compared:
            status = RunStatus(Status.UNKNOWN, pgettext_lazy("run", "not compared yet"))
        if status is None:
            reasons = [span.status for span in spans.get(facts.replica_id, ()) if span.holds(facts.sequence)]
            reasons += concerning.get(facts.pk, ())
            if facts.errors or facts.pk in skipping:
                reasons.append(Status.INCOMPLETE)
            status = _worst_of(reasons)
        statuses[facts.pk] = status
    return statuses


def assess_run(run: Run) -> RunStatus:
    """Return the status of one run."""
    return assess_runs([facts_of(run)])[run.pk]


def _status_of_state(facts: RunFacts) -> RunStatus | None:
    """Return the status of a run that is not ingested and proven; None of any other one."""
    if facts.state == Run.State.RECEIVED:
        return RunStatus(Status.UNKNOWN, facts.state.label)
    if facts.state != Run.State.INGESTED:
        return RunStatus(Status.ATTENTION, facts.state.label)
    if facts.is_proven is None:
        return RunStatus(Status.UNKNOWN, gettext_lazy("not verified yet"))
    if not facts.is_proven:
        return RunStatus(Status.DAMAGED, gettext_lazy("verification failed"))
    return None


def _worst_of(statuses: Iterable[Status]) -> RunStatus:
    worst = min([*statuses, Status.PROVEN], key=lambda status: status.urgency)
    return RunStatus(worst, LABELS[worst])


def _spans_of_replicas(all_facts: Sequence[RunFacts]) -> dict[int, set[_FindingSpan]]:
    """Return the spans of the findings of each replica that may concern one of the runs.

    A finding that was accepted is no reason against a run: a person said that it was meant. What a mount hides stays
    unread all the same.
    """
    oldest: dict[int, int] = {}
    for facts in all_facts:
        oldest[facts.replica_id] = min(facts.sequence, oldest.get(facts.replica_id, facts.sequence))

    # Nothing that was resolved by the oldest of these runs, or before, concerns any of them.
    concerns = Q()
    for replica_id, sequence in oldest.items():
        is_accepted_mount = Q(state=Finding.State.ACCEPTED, kind=Finding.Kind.MOUNTED_OVER)
        is_unresolved = Q(state=Finding.State.OPEN) | is_accepted_mount
        is_resolved_later = Q(state=Finding.State.RESOLVED, last_run__sequence__gt=sequence)
        concerns |= Q(replica=replica_id) & (is_unresolved | is_resolved_later)

    findings = Finding.objects.none()
    if oldest:
        findings = Finding.objects.filter(concerns)
    rows = (
        findings.annotate(gives_status=status_expression())
        .order_by()
        .values_list("replica", "gives_status", "state", "first_run__sequence", "last_run__sequence")
        .distinct()
    )

    spans: dict[int, set[_FindingSpan]] = {}
    for replica_id, status, state, first, last in rows:
        assert replica_id is not None
        # The last run of a resolved finding is the one that proved its end.
        end = last if state == Finding.State.RESOLVED else None
        spans.setdefault(replica_id, set()).add(_FindingSpan(Status(status), first, end))
    return spans


def _open_findings_between(all_facts: Sequence[RunFacts]) -> dict[int, list[Status]]:
    """Return key of a run → statuses that open findings between replicas give it: from the run that was compared on."""
    statuses: dict[int, list[Status]] = {}
    for run_id, is_damaged in fetch_all(LIST_FINDINGS_BETWEEN, {"runs": [facts.pk for facts in all_facts]}):
        status = Status.DAMAGED if is_damaged else Status.ATTENTION
        statuses.setdefault(run_id, []).append(status)
    return statuses


def _compared_runs(all_facts: Sequence[RunFacts]) -> set[int]:
    """Return the keys of the runs that were compared with the run before."""
    comparisons = Comparison.objects.filter(
        run__in=[facts.pk for facts in all_facts], adjacent=True, state=Comparison.State.DONE
    )
    return set(comparisons.values_list("run", flat=True))


def _runs_with_skipped_names(all_facts: Sequence[RunFacts]) -> set[int]:
    """Return the keys of the runs that left out names which are too long for a report: these files were not read."""
    notes = Note.objects.filter(run__in=[facts.pk for facts in all_facts], note="skipped")
    return set(notes.order_by().values_list("run", flat=True).distinct())
