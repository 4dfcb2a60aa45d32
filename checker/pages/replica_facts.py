"""Read the facts that statuses and pages rest on, for many replicas in a few queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, F, Min, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, JSONObject

from checker.jobs import run_comparisons
from checker.models import Comparison, Finding, GroupComparison, Participant, Proof, ProofAttempt
from checker.pages.finding_status import status_expression
from checker.pages.run_status import RunFacts
from checker.pages.status import (
    NOTHING_UNREAD,
    FailedStep,
    JudgingStep,
    OpenFindings,
    ReplicaFacts,
    Status,
    UnreadPaths,
)
from checker.proofs.distrust import is_distrusted
from scanner.db.sql import fetch_all, load_statements
from scanner.format.entry_type import EntryType
from scanner.models import Progress, Replica, Run

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

statement = load_statements(__file__)

COUNT_NOTES = statement("count_notes")
COUNT_ACCEPTED_ERRORS = statement("count_accepted_errors")

STRIP_RUNS = 20
"""Runs in the small strip beside a replica's name."""
PROGRESS_TIMEOUT = timedelta(minutes=3)
"""A run whose server has been silent for longer is not shown as one in progress."""


class ReplicaAnnotations(TypedDict):
    """Annotations that `all_replicas` adds to a row."""

    newest_id: int | None
    complete_id: int | None
    last_proven: datetime | None
    all_progress: list[Progress]


if TYPE_CHECKING:
    AnnotatedReplica = WithAnnotations[Replica, ReplicaAnnotations]


def replicas_in_use() -> QuerySet[AnnotatedReplica]:
    """Return the replicas that are not archived and whose group and server are not archived either."""
    return all_replicas().filter(archived_at=None, group__archived_at=None, server__archived_at=None)


def all_replicas() -> QuerySet[AnnotatedReplica]:
    """Return replicas with the keys of the rows that their facts need."""
    runs = Run.objects.filter(replica=OuterRef("pk")).order_by("-sequence")
    complete_runs = runs.filter(state=Run.State.INGESTED)
    proofs = Proof.objects.filter(run__replica=OuterRef("pk"), run__state=Run.State.INGESTED).order_by("-run__sequence")
    progress = Prefetch("progress", Progress.objects.order_by("-updated_at"), to_attr="all_progress")

    # Groups and servers come in queries of their own: joined, each of their rows would come once for every replica.
    return (
        Replica.objects.prefetch_related("group", "server")
        # Keys alone: a run's envelope may have 128 KiB, and `collect_facts` reads all runs in one query.
        .annotate(
            newest_id=Subquery(runs.values("pk")[:1]),
            complete_id=Subquery(complete_runs.values("pk")[:1]),
            last_proven=Subquery(proofs.exclude(proven_at=None).values("proven_at")[:1]),
        )
        .prefetch_related(progress)
    )


def newest_runs(replica_ids: Iterable[int]) -> dict[int, list[RunFacts]]:
    """Return the newest runs of each replica, newest first."""
    runs = Run.objects.filter(replica=OuterRef("pk")).order_by("-sequence")
    rows = runs.values(
        row=JSONObject(pk="pk", state="state", sequence="sequence", errors="errors", is_proven="proof__ok")
    )
    strips = Replica.objects.filter(pk__in=replica_ids).annotate(strip=ArraySubquery(rows[:STRIP_RUNS]))
    return {
        replica_id: [RunFacts(replica_id=replica_id, **row | {"state": Run.State(row["state"])}) for row in strip]
        for replica_id, strip in strips.values_list("pk", "strip")
    }


def collect_facts(replicas: Iterable[AnnotatedReplica], now: datetime) -> list[ReplicaFacts]:
    """Return the facts of replicas that came from `all_replicas`, in their order."""
    replicas = list(replicas)
    replica_ids = [replica.pk for replica in replicas]
    run_ids = {pk for replica in replicas for pk in (replica.newest_id, replica.complete_id) if pk}
    # What may be large is left in the database.
    runs = Run.objects.defer("envelope", "proof__statements").select_related("proof", "key").in_bulk(run_ids)

    # One query for each question about all replicas, however many there are.
    broken = _unproven_runs(replica_ids)
    open_breaks = _unacknowledged_breaks(replica_ids)
    findings = _open_findings(replica_ids)
    compared = _compared_runs(run_ids)
    failed_steps = _failed_steps(replicas)
    left_out = _left_out_replicas(replica_ids)
    complete_runs = [runs[run_id] for replica in replicas if (run_id := replica.complete_id) is not None]
    notes = _count_notes(complete_runs)
    unread = _unread_paths(complete_runs, notes)
    accepted_mounts = _accepted_mounts(replica_ids)

    facts = []
    for replica in replicas:
        complete = runs.get(replica.complete_id)
        facts.append(
            ReplicaFacts(
                replica,
                now,
                newest=runs.get(replica.newest_id),
                complete=complete,
                proof=getattr(complete, "proof", None),
                broken=broken.get(replica.pk),
                is_distrusted=complete is not None and _is_distrusted(complete),
                open_break=open_breaks.get(replica.pk),
                findings=findings.get(replica.pk, ()),
                compared=replica.complete_id in compared,
                failed_steps=failed_steps.get(replica.pk, ()),
                is_left_out=replica.pk in left_out,
                misread=0 if complete is None else notes.get((complete.pk, "misread"), 0),
                unread=NOTHING_UNREAD if complete is None else unread[complete.pk],
                accepted_mounts=accepted_mounts.get(replica.pk, ()),
                silent_since=_silent_since(replica, runs.get(replica.newest_id), now),
            )
        )
    return facts


def current_progress(replica: AnnotatedReplica, now: datetime) -> Progress | None:
    """Return the run that is in progress on a replica of `all_replicas`."""
    if not replica.all_progress:
        return None

    newest = replica.all_progress[0]
    return newest if now - newest.updated_at < PROGRESS_TIMEOUT else None


def _silent_since(replica: AnnotatedReplica, newest: Run | None, now: datetime) -> datetime | None:
    """Return when a run that has not ended was heard of last, if it is not heard of any more."""
    if not replica.all_progress:
        return None
    heard_at = replica.all_progress[0].updated_at
    if now - heard_at < PROGRESS_TIMEOUT:
        return None
    # A later run arrived: it says more than the one that never ended. Its report need not have sent progress.
    if newest is not None and newest.received_at > heard_at:
        return None
    return heard_at


def _unproven_runs(replica_ids: list[int]) -> dict[int, int]:
    """Return a run whose verification failed for each replica that has one."""
    # Of a key in the wrong hands another rule speaks, and only while no run of another key has followed.
    failed = Proof.objects.filter(ok=False, run__replica__in=replica_ids).exclude(is_distrusted("run__"))
    return dict(failed.values_list("run__replica", "run__sequence"))


def _is_distrusted(run: Run) -> bool:
    """Return what `checker.distrust.is_distrusted` says of a run that was read with its key."""
    if run.key is None or run.key.compromised_since is None:
        return False
    return run.received_at >= run.key.compromised_since


def _unacknowledged_breaks(replica_ids: list[int]) -> dict[int, int]:
    """Return a run that starts a new chain, acknowledged by nobody, for each replica that has one."""
    breaks = Run.objects.filter(replica__in=replica_ids, break_acknowledged_at=None).exclude(break_reason="")
    return dict(breaks.values_list("replica", "sequence"))


def _compared_runs(run_ids: set[int]) -> set[int]:
    """Return the runs that were compared with the run before."""
    comparisons = Comparison.objects.filter(run__in=run_ids, adjacent=True, state=Comparison.State.DONE)
    return set(comparisons.values_list("run", flat=True))


class _StatusCount(NamedTuple):
    """Return how many open findings give a replica a status, and the key of the first of them."""

    replica_id: int
    status: str
    number: int
    first_id: int


def _open_findings(replica_ids: list[int]) -> dict[int, tuple[OpenFindings, ...]]:
    """Return the open findings of each replica by the status that they give it, worst first.

    Findings between replicas count for each replica that they concern.
    """
    counts = [*_findings_of_replicas(replica_ids), *_findings_between_replicas(replica_ids)]
    first_ids = [count.first_id for count in counts]
    first_findings = Finding.objects.select_related("first_run").in_bulk(first_ids)

    by_replica: dict[int, dict[str, OpenFindings]] = {}
    for count in counts:
        by_status = by_replica.setdefault(count.replica_id, {})
        status = Status(count.status)
        known = by_status.get(status)
        if known is None:
            by_status[status] = OpenFindings(status, first_findings[count.first_id], count.number)
        else:
            by_status[status] = known._replace(number=known.number + count.number)

    return {
        replica_id: tuple(sorted(by_status.values(), key=lambda findings: findings.status.urgency))
        for replica_id, by_status in by_replica.items()
    }


def _findings_of_replicas(replica_ids: list[int]) -> list[_StatusCount]:
    findings = Finding.objects.filter(state=Finding.State.OPEN, replica__in=replica_ids).annotate(
        gives_status=status_expression()
    )
    grouped = findings.order_by().values_list("replica", "gives_status")
    return [_StatusCount(*row) for row in grouped.annotate(number=Count("pk"), first=Min("pk"))]


def _findings_between_replicas(replica_ids: list[int]) -> list[_StatusCount]:
    """Return counts of findings between replicas for each of these replicas that they concern."""
    findings = Finding.objects.filter(state=Finding.State.OPEN, replica=None, concerns__overlap=replica_ids)
    rows = findings.order_by("pk").values_list("pk", "concerns", "evidence__damaged")

    counts: dict[tuple[int, str], _StatusCount] = {}
    for pk, concerns, damaged in rows:
        for replica_id in concerns:
            status = Status.DAMAGED if replica_id in (damaged or ()) else Status.ATTENTION
            key = (replica_id, status.value)
            known = counts.get(key, _StatusCount(replica_id, status.value, 0, pk))
            counts[key] = known._replace(number=known.number + 1)

    # A finding also concerns replicas that nobody asked about.
    asked = set(replica_ids)
    return [count for count in counts.values() if count.replica_id in asked]


def _failed_steps(replicas: list[AnnotatedReplica]) -> dict[int, tuple[FailedStep, ...]]:
    """Return the steps of judging that fail, or were given up, for each replica that they concern."""
    replica_ids = [replica.pk for replica in replicas]
    by_group = _failed_group_comparisons({replica.group_id for replica in replicas})

    steps: dict[int, list[FailedStep]] = {}
    for replica_id, failed in [*_failed_comparisons(replica_ids), *_failed_verifications(replica_ids)]:
        steps.setdefault(replica_id, []).append(failed)
    for replica in replicas:
        if replica.group_id in by_group:
            steps.setdefault(replica.pk, []).append(by_group[replica.group_id])
    return {replica_id: tuple(failed) for replica_id, failed in steps.items()}


def _failed_comparisons(replica_ids: list[int]) -> list[tuple[int, FailedStep]]:
    """Return the newest run of each replica whose comparison with the run before it fails."""
    fails = Q(state=Comparison.State.SET_ASIDE) | Q(state=Comparison.State.WAITING, failed_at__isnull=False)
    comparisons = Comparison.objects.filter(fails, replica__in=replica_ids, adjacent=True).order_by("run__sequence")
    # A comparison that was set aside before this moment was kept says at least when it was made.
    since = Coalesce("failed_at", "asked_at")

    newest: dict[int, FailedStep] = {}
    for replica_id, sequence, step, moment in comparisons.values_list("replica", "run__sequence", "step", since):
        judging_step = JudgingStep.COMPARISON
        if step == run_comparisons.STEPS[-1]:
            judging_step = JudgingStep.FINDINGS
        newest[replica_id] = FailedStep(judging_step, moment, sequence)
    return list(newest.items())


def _failed_verifications(replica_ids: list[int]) -> list[tuple[int, FailedStep]]:
    """Return the newest run of each replica that could not be verified."""
    attempts = ProofAttempt.objects.filter(run__replica__in=replica_ids, failed_at__isnull=False)
    rows = attempts.order_by("run__sequence").values_list("run__replica", "run__sequence", "failed_at")
    newest = {
        replica_id: FailedStep(JudgingStep.VERIFICATION, failed_at, sequence)
        for replica_id, sequence, failed_at in rows
        if failed_at is not None
    }
    return list(newest.items())


def _failed_group_comparisons(group_ids: set[int]) -> dict[int, FailedStep]:
    """Return the groups of more than one replica in use whose comparison fails."""
    fails = Q(state=GroupComparison.State.SET_ASIDE) | Q(failed_at__isnull=False)
    # Of a single replica there is nothing to compare, whatever became of the last comparison.
    in_use = Count("group__replicas", filter=Q(group__replicas__archived_at=None), distinct=True)
    comparisons = GroupComparison.objects.filter(fails, group__in=group_ids, moment=None).annotate(in_use=in_use)
    rows = comparisons.filter(in_use__gt=1).values_list("group", Coalesce(F("failed_at"), F("asked_at")))
    return {group_id: FailedStep(JudgingStep.GROUP_COMPARISON, since) for group_id, since in rows}


def _left_out_replicas(replica_ids: list[int]) -> set[int]:
    """Return the replicas that the newest comparison of their group leaves out for their statements."""
    participants = Participant.objects.filter(
        replica__in=replica_ids, comparison__moment=None, status=Participant.Status.UNUSABLE
    )
    return set(participants.values_list("replica", flat=True))


def _accepted_mounts(replica_ids: list[int]) -> dict[int, tuple[Finding, ...]]:
    """Return the accepted findings of mounts of each replica that has some. One whose mount is gone is resolved."""
    findings = Finding.objects.filter(
        replica__in=replica_ids, kind=Finding.Kind.MOUNTED_OVER, state=Finding.State.ACCEPTED
    )
    by_replica: dict[int, tuple[Finding, ...]] = {}
    for finding in findings.select_related("first_run").order_by("pk"):
        assert finding.replica_id is not None
        by_replica[finding.replica_id] = (*by_replica.get(finding.replica_id, ()), finding)
    return by_replica


def _unread_paths(runs: Iterable[Run], notes: Mapping[tuple[int, str], int]) -> dict[int, UnreadPaths]:
    """Return what each run could not read: paths with an error, and names that are too long for a report."""
    runs = list(runs)
    accepted = _accepted_errors([run for run in runs if run.errors])
    return {
        run.pk: UnreadPaths(run.errors + notes.get((run.pk, "skipped"), 0), accepted.get(run.pk, 0)) for run in runs
    }


def _count_notes(runs: Iterable[Run]) -> dict[tuple[int, str], int]:
    """Return (key of a run, note) → how many files or names the note is about."""
    rows = fetch_all(COUNT_NOTES, {"runs": [run.pk for run in runs]})
    return {(run_id, note): int(number) for run_id, note, number in rows}


def _accepted_errors(runs: list[Run]) -> dict[int, int]:
    """Return how many paths with an error in each run belong to findings that a person accepted."""
    kinds = (Finding.Kind.UNREADABLE, Finding.Kind.UNSTABLE)
    accepted = Finding.objects.filter(
        replica__in=[run.replica_id for run in runs], kind__in=kinds, state=Finding.State.ACCEPTED
    )
    replica_ids = set(accepted.values_list("replica", flat=True)) if runs else set()

    counts = {}
    for run in runs:
        # Most replicas with errors have no accepted finding, and counting reads every error.
        if run.replica_id not in replica_ids:
            continue
        parameters = {
            "replica": run.replica_id,
            "sequence": run.sequence,
            "error": EntryType.ERROR.value,
            "kinds": [kind.value for kind in kinds],
        }
        counts[run.pk] = int(fetch_all(COUNT_ACCEPTED_ERRORS, parameters)[0][0])
    return counts
