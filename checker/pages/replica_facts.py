"""The facts that states and pages rest on, fetched for many replicas in a few queries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Case, Count, Min, OuterRef, Prefetch, QuerySet, Subquery, Value, When
from django.db.models.functions import JSONObject

from checker.models import Comparison, Finding, Proof
from checker.pages.status import OpenFindings, ReplicaFacts, Status
from scanner.models import Note, Progress, Replica, Run

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

STRIP_RUNS = 20
"""Runs of the small strip beside a replica's name."""
PROGRESS_TIMEOUT = timedelta(minutes=3)
"""A run that says nothing for so long is not shown as one that goes on."""


class ReplicaAnnotations(TypedDict):
    """What `replicas_in_use()` adds to a row."""

    newest_id: int | None
    complete_id: int | None
    last_proven: datetime | None
    all_progress: list[Progress]


if TYPE_CHECKING:
    AnnotatedReplica = WithAnnotations[Replica, ReplicaAnnotations]


def replicas_in_use() -> QuerySet[AnnotatedReplica]:
    """The replicas in use: neither they nor their group or server are archived."""
    return all_replicas().filter(archived_at=None, group__archived_at=None, server__archived_at=None)


def all_replicas() -> QuerySet[AnnotatedReplica]:
    """Replicas, each with the keys of the rows that its facts need."""
    of_replica = Run.objects.filter(replica=OuterRef("pk")).order_by("-sequence")
    proofs = Proof.objects.filter(run__replica=OuterRef("pk"), run__state=Run.State.INGESTED).order_by("-run__sequence")
    return (
        Replica.objects.prefetch_related("group", "server")
        .annotate(
            newest_id=Subquery(of_replica.values("pk")[:1]),
            complete_id=Subquery(of_replica.filter(state=Run.State.INGESTED).values("pk")[:1]),
            last_proven=Subquery(proofs.exclude(proven_at=None).values("proven_at")[:1]),
        )
        .prefetch_related(Prefetch("progress", Progress.objects.order_by("-updated_at"), to_attr="all_progress"))
    )


def newest_runs(ids: Iterable[int]) -> dict[int, list[dict[str, Any]]]:
    """Of each of these replicas the newest runs, newest first: state, sequence, errors, and whether proven (null: not
    verified)."""
    runs = Run.objects.filter(replica=OuterRef("pk")).order_by("-sequence")
    rows = runs.values(row=JSONObject(state="state", sequence="sequence", errors="errors", proven="proof__ok"))
    found = Replica.objects.filter(pk__in=ids).annotate(strip=ArraySubquery(rows[:STRIP_RUNS]))
    return dict(found.values_list("pk", "strip"))


def collect_facts(found: Iterable[AnnotatedReplica], now: datetime) -> list[ReplicaFacts]:
    """The facts of each of `found`, which came from `replicas_in_use()`, in its order."""
    found = list(found)
    wanted = {pk for replica in found for pk in (replica.newest_id, replica.complete_id) if pk}
    runs = Run.objects.defer("envelope", "proof__statements").select_related("proof").in_bulk(wanted)
    ids = [replica.pk for replica in found]
    broken = dict(Proof.objects.filter(ok=False, run__replica__in=ids).values_list("run__replica", "run__sequence"))
    breaks = Run.objects.filter(replica__in=ids, break_acknowledged_at=None).exclude(break_reason="")
    open_breaks = dict(breaks.values_list("replica", "sequence"))
    findings = _open_findings(ids)
    compared = set(
        Comparison.objects.filter(run__in=wanted, adjacent=True, state=Comparison.State.DONE).values_list(
            "run", flat=True
        )
    )
    aside, misread = _set_aside(ids), _misread([replica.complete_id for replica in found])
    return [
        ReplicaFacts(
            replica,
            now,
            newest=runs.get(replica.newest_id),
            complete=(complete := runs.get(replica.complete_id)),
            proof=getattr(complete, "proof", None),
            broken=broken.get(replica.pk),
            open_break=open_breaks.get(replica.pk),
            findings=findings.get(replica.pk, ()),
            compared=replica.complete_id in compared,
            comparison_aside=aside.get(replica.pk),
            misread=misread.get(replica.complete_id, 0),
        )
        for replica in found
    ]


def _open_findings(ids: list[int]) -> dict[int, tuple[OpenFindings, ...]]:
    """Of each replica its open findings by the state that they put it in, worst first: the worst, and how many.

    Those between replicas count for each replica that they concern.
    """
    state = Case(
        When(kind=Finding.Kind.MASS_CHANGE, then=Value(Status.HELD.value)),
        When(severity=Finding.Severity.CRITICAL, then=Value(Status.DAMAGED.value)),
        default=Value(Status.ATTENTION.value),
    )
    opened = Finding.objects.filter(state=Finding.State.OPEN, replica__in=ids).annotate(puts=state)
    counted = opened.order_by().values_list("replica", "puts").annotate(number=Count("pk"), first=Min("pk"))
    rows = [*counted, *_between(ids)]
    worst = Finding.objects.select_related("first_run").in_bulk([first for *_same, first in rows])
    found: dict[int, dict[str, OpenFindings]] = {}
    for replica, puts, number, first in rows:
        before = found.setdefault(replica, {}).get(puts)
        found[replica][puts] = OpenFindings(
            Status(puts), before.worst if before else worst[first], number + (before.number if before else 0)
        )
    return {
        replica: tuple(sorted(some.values(), key=lambda each: each.status.urgency)) for replica, some in found.items()
    }


def _between(ids: list[int]) -> list[tuple[int, str, int, int]]:
    """Of each replica, and of each state, how many open findings between replicas put it in, and the first of them."""
    opened = Finding.objects.filter(state=Finding.State.OPEN, replica=None, concerns__overlap=ids).order_by("pk")
    found: dict[tuple[int, str], tuple[int, int]] = {}
    for pk, concerns, damaged in opened.values_list("pk", "concerns", "evidence__damaged"):
        for replica in concerns:
            key = (replica, (Status.DAMAGED if replica in (damaged or ()) else Status.ATTENTION).value)
            number, first = found.get(key, (0, pk))
            found[key] = (number + 1, first)
    wanted = set(ids)
    return [(replica, puts, number, first) for (replica, puts), (number, first) in found.items() if replica in wanted]


def _set_aside(ids: list[int]) -> dict[int, int]:
    """Of each replica the newest run whose comparison was set aside."""
    aside = Comparison.objects.filter(replica__in=ids, adjacent=True, state=Comparison.State.SET_ASIDE)
    return dict(aside.order_by("run__sequence").values_list("replica", "run__sequence"))


def _misread(runs: list[int | None]) -> dict[int | None, int]:
    """Of each of these runs how many files were read wrong at first; none are left out."""
    notes = Note.objects.filter(run__in=[run for run in runs if run is not None], note="misread")
    return dict(notes.order_by().values_list("run").annotate(number=Count("pk")))


def current_progress(replica: AnnotatedReplica, now: datetime) -> Progress | None:
    """The run that goes on now on a replica of `replicas_in_use()`."""
    newest = replica.all_progress
    return newest[0] if newest and now - newest[0].updated_at < PROGRESS_TIMEOUT else None
