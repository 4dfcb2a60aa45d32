"""Read the facts that statuses and pages rest on, for many replicas in a few queries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Case, Count, Min, OuterRef, Prefetch, QuerySet, Subquery, Value, When
from django.db.models.functions import JSONObject

from checker.models import Comparison, Finding, Proof
from checker.pages.status import OpenFindings, ReplicaFacts, Status
from scanner.models import Note, Progress, Replica, Run

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

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


def newest_runs(replica_ids: Iterable[int]) -> dict[int, list[dict[str, Any]]]:
    """Return the newest runs of each replica, newest first.

    Each run is a dictionary of state, sequence, errors and `proven`, which is None for a run that was not verified.
    """
    runs = Run.objects.filter(replica=OuterRef("pk")).order_by("-sequence")
    rows = runs.values(row=JSONObject(state="state", sequence="sequence", errors="errors", proven="proof__ok"))
    strips = Replica.objects.filter(pk__in=replica_ids).annotate(strip=ArraySubquery(rows[:STRIP_RUNS]))
    return dict(strips.values_list("pk", "strip"))


def collect_facts(replicas: Iterable[AnnotatedReplica], now: datetime) -> list[ReplicaFacts]:
    """Return the facts of replicas that came from `all_replicas`, in their order."""
    replicas = list(replicas)
    replica_ids = [replica.pk for replica in replicas]
    run_ids = {pk for replica in replicas for pk in (replica.newest_id, replica.complete_id) if pk}
    # What may be large is left in the database.
    runs = Run.objects.defer("envelope", "proof__statements").select_related("proof").in_bulk(run_ids)

    # One query for each question about all replicas, however many there are.
    broken = _unproven_runs(replica_ids)
    open_breaks = _unacknowledged_breaks(replica_ids)
    findings = _open_findings(replica_ids)
    compared = _compared_runs(run_ids)
    set_aside = _comparisons_set_aside(replica_ids)
    misread = _misread_files([replica.complete_id for replica in replicas])

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
                open_break=open_breaks.get(replica.pk),
                findings=findings.get(replica.pk, ()),
                compared=replica.complete_id in compared,
                comparison_aside=set_aside.get(replica.pk),
                misread=misread.get(replica.complete_id, 0),
            )
        )
    return facts


def current_progress(replica: AnnotatedReplica, now: datetime) -> Progress | None:
    """Return the run that is in progress on a replica of `all_replicas`."""
    if not replica.all_progress:
        return None

    newest = replica.all_progress[0]
    return newest if now - newest.updated_at < PROGRESS_TIMEOUT else None


def _unproven_runs(replica_ids: list[int]) -> dict[int, int]:
    """Return a run whose verification failed for each replica that has one."""
    failed = Proof.objects.filter(ok=False, run__replica__in=replica_ids)
    return dict(failed.values_list("run__replica", "run__sequence"))


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
    status = Case(
        When(kind=Finding.Kind.MASS_CHANGE, then=Value(Status.HELD.value)),
        When(severity=Finding.Severity.CRITICAL, then=Value(Status.DAMAGED.value)),
        default=Value(Status.ATTENTION.value),
    )
    findings = Finding.objects.filter(state=Finding.State.OPEN, replica__in=replica_ids).annotate(gives_status=status)
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


def _comparisons_set_aside(replica_ids: list[int]) -> dict[int, int]:
    """Return, for each replica that has one, the newest run whose comparison was set aside."""
    aside = Comparison.objects.filter(replica__in=replica_ids, adjacent=True, state=Comparison.State.SET_ASIDE)
    # The last row of a replica wins in a dictionary: the newest run.
    return dict(aside.order_by("run__sequence").values_list("replica", "run__sequence"))


def _misread_files(run_ids: list[int | None]) -> dict[int | None, int]:
    """Return how many files of each run were misread at first; runs without any are left out."""
    notes = Note.objects.filter(run__in=[pk for pk in run_ids if pk is not None], note="misread")
    return dict(notes.order_by().values_list("run").annotate(number=Count("pk")))
