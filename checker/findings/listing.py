"""The list of findings: what is asked for, a page of it, and how many there are."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Count, Func, IntegerField, Q, QuerySet, Sum

from checker.models import Comparison, Finding
from scanner.db import keyset

PAGE = 50


class FindingFilter(NamedTuple):
    """What is asked for; empty means anything."""

    state: str = Finding.State.OPEN
    kind: str = ""
    severity: str = ""
    group: str = ""
    replica: str = ""
    search: str = ""


class FindingPage(NamedTuple):
    """Findings, the gravest first and then the newest; `after` asks for the next page, empty on the last one."""

    rows: list[Finding]
    after: str


def matching_findings(filters: FindingFilter) -> QuerySet[Finding]:
    """The findings that the filters mean; what is no value of a filter means none."""
    found = Finding.objects.all()
    if filters.state:
        found = found.filter(state=filters.state)
    if filters.kind:
        found = found.filter(kind=filters.kind)
    if filters.severity:
        found = found.filter(severity=int(filters.severity)) if filters.severity.isdecimal() else found.none()
    if filters.group:
        found = found.filter(group__uuid=uuid) if (uuid := _uuid(filters.group)) else found.none()
    if filters.replica:
        found = found.filter(replica__uuid=uuid) if (uuid := _uuid(filters.replica)) else found.none()
    for word in filters.search.split():
        found = found.filter(
            Q(path__contains=word) | Q(group__name__icontains=word) | Q(replica__server__name__icontains=word)
        )
    return found


def list_findings(filters: FindingFilter, after: str = "", limit: int = PAGE) -> FindingPage:
    """A page of what the filters mean. keyset.BadToken for an `after` that is none."""
    found = matching_findings(filters).select_related(
        "group", "replica__server", "first_run", "last_run", "accepted_by"
    )
    if after:
        severity, pk = keyset.read_pair(after)
        found = found.filter(Q(severity__lt=severity) | Q(severity=severity, pk__lt=pk))
    rows = list(found.order_by("-severity", "-pk")[: limit + 1])
    if len(rows) <= limit:
        return FindingPage(rows, "")
    last = rows[limit - 1]
    return FindingPage(rows[:limit], keyset.token([last.severity, last.pk]))


def count_by_kind(filters: FindingFilter) -> list[tuple[Finding.Kind, int]]:
    """How many there are of each kind, whatever kind is asked for."""
    counted = matching_findings(filters._replace(kind="")).order_by().values_list("kind").annotate(number=Count("pk"))
    number = dict(counted)
    return [(kind, number[kind]) for kind in Finding.Kind if kind in number]


def last_compared_at() -> datetime | None:
    """When runs were last compared."""
    newest = Comparison.objects.filter(adjacent=True, computed_at__isnull=False).order_by("-pk").first()
    return newest.computed_at if newest else None


class RepairList(NamedTuple):
    """Open findings of copies that are damaged now while a good one is known, the newest first."""

    findings: list[Finding]
    damaged_copies: int
    """How many copies are damaged in all."""
    has_more: bool
    """Whether there are more findings than rows."""


def list_repairable(limit: int) -> RepairList:
    """What can be repaired from a good copy; at most `limit` rows of it."""
    known = {"evidence__damaged__0__isnull": False, "evidence__good__0__isnull": False}
    damaged = Finding.objects.filter(state=Finding.State.OPEN, replica=None, kind=Finding.Kind.MISMATCH)
    found = damaged.filter(severity=Finding.Severity.CRITICAL, group__archived_at=None, **known)
    copies = found.aggregate(
        number=Sum(Func("evidence__damaged", function="jsonb_array_length", output_field=IntegerField()))
    )["number"]
    rows = list(found.select_related("group").order_by("-pk")[: limit + 1])
    return RepairList(rows[:limit], copies or 0, len(rows) > limit)


def count_open() -> int:
    """Open findings of all replicas that are in use."""
    return Finding.objects.filter(state=Finding.State.OPEN, group__archived_at=None).count()


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
