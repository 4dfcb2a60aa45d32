"""List findings as an address asks for them, count them by kind, and pick those that can be repaired."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django import forms
from django.db.models import Count, Func, IntegerField, Q, QuerySet, Sum

from checker.models import Comparison, Finding
from scanner.db import keyset
from scanner.listing import FilterOption, ListQuery, TextField, TokenField

PAGE = 50
MAX_FILTER = 200
"""Characters of a filter."""


class FindingFilter(NamedTuple):
    """Conditions on findings, as an address names them. An empty value stands for all."""

    state: str = Finding.State.OPEN
    kind: str = ""
    severity: str = ""
    group: str = ""
    replica: str = ""
    search: str = ""


class FilterField(TextField):
    """A value to filter by. One that no finding has is no mistake: it finds nothing."""

    def to_python(self, value: Any) -> str:
        """Return the value; `initial` when the parameter is missing, which is not the same as empty."""
        if value is None:
            return str(self.initial or "")
        return super().to_python(value)[:MAX_FILTER]


class FindingListForm(forms.Form):
    """Parameters of the list of findings. Without a state open findings are meant; an empty state means all."""

    state = FilterField(initial=Finding.State.OPEN.value)
    kind = FilterField()
    severity = FilterField()
    group = FilterField()
    replica = FilterField()
    search = FilterField()
    after = TokenField()


@dataclass(frozen=True)
class FindingListQuery(ListQuery):
    """A page of the list of findings."""

    form_class = FindingListForm

    state: str = Finding.State.OPEN.value
    kind: str = ""
    severity: str = ""
    group: str = ""
    replica: str = ""
    search: str = ""
    after: str = ""

    @property
    def filter(self) -> FindingFilter:
        """The findings that it asks for."""
        return FindingFilter(self.state, self.kind, self.severity, self.group, self.replica, self.search)

    @property
    def is_filtered(self) -> bool:
        """Return True when it asks for anything but all open findings."""
        return self.filter != FindingFilter()


FindingPage = keyset.Page[Finding]
"""Findings, the most severe first and then the newest."""


class RepairList(NamedTuple):
    """Open findings of copies that are damaged now while a good one is known, the newest first."""

    findings: list[Finding]
    damaged_copies: int
    """How many copies are damaged in all."""
    has_more: bool
    """Whether there are more findings than these."""


def matching_findings(filters: FindingFilter) -> QuerySet[Finding]:
    """Return the findings that a filter asks for; none for a value that no finding can have."""
    findings = Finding.objects.all()
    if filters.state:
        findings = findings.filter(state=filters.state)
    if filters.kind:
        findings = findings.filter(kind=filters.kind)
    if filters.severity:
        if not filters.severity.isdecimal():
            return findings.none()
        findings = findings.filter(severity=int(filters.severity))
    if filters.group:
        group_uuid = _read_uuid(filters.group)
        if group_uuid is None:
            return findings.none()
        findings = findings.filter(group__uuid=group_uuid)
    if filters.replica:
        replica_uuid = _read_uuid(filters.replica)
        if replica_uuid is None:
            return findings.none()
        findings = findings.filter(replica__uuid=replica_uuid)

    for word in filters.search.split():
        in_path = Q(path__contains=word)
        in_group = Q(group__name__icontains=word)
        in_server = Q(replica__server__name__icontains=word)
        findings = findings.filter(in_path | in_group | in_server)
    return findings


def list_findings(filters: FindingFilter, after: str = "", limit: int = PAGE) -> FindingPage:
    """Return a page of findings. Raise InvalidPageToken for an `after` that no page gave."""
    findings = matching_findings(filters).select_related(
        "group", "replica__server", "first_run", "last_run", "accepted_by"
    )
    if after:
        severity, pk = keyset.read_pair_token(after)
        findings = findings.filter(Q(severity__lt=severity) | Q(severity=severity, pk__lt=pk))

    rows = list(findings.order_by("-severity", "-pk")[: limit + 1])
    return keyset.cut_page(rows, limit, lambda finding: [finding.severity, finding.pk])


def filter_options(list_query: FindingListQuery) -> list[FilterOption]:
    """Return the kinds of the findings that match, in the order of urgency, as filters.

    The kind that is asked for is ignored, so that each option tells what choosing it would show.
    """
    findings = matching_findings(list_query.filter._replace(kind="")).order_by()
    numbers = dict(findings.values_list("kind").annotate(number=Count("pk")))

    options = []
    for kind in Finding.Kind:
        if kind not in numbers:
            continue

        is_selected = list_query.kind == kind
        option = FilterOption(
            value=kind.value,
            label=str(kind.label),
            number=numbers[kind],
            is_selected=is_selected,
            address=list_query.address(kind="" if is_selected else kind.value, after=""),
        )
        options.append(option)
    return options


def last_compared_at() -> datetime | None:
    """Return when runs were last compared; None when they never were."""
    comparisons = Comparison.objects.filter(adjacent=True, computed_at__isnull=False)
    newest = comparisons.order_by("-pk").first()
    return newest.computed_at if newest else None


def list_repairable(limit: int) -> RepairList:
    """Return at most `limit` findings of damage that can be repaired from a good copy."""
    repairable = Finding.objects.filter(
        state=Finding.State.OPEN,
        replica=None,
        kind=Finding.Kind.MISMATCH,
        severity=Finding.Severity.CRITICAL,
        group__archived_at=None,
        evidence__damaged__0__isnull=False,
        evidence__good__0__isnull=False,
    )
    number_damaged = Func("evidence__damaged", function="jsonb_array_length", output_field=IntegerField())
    damaged_copies = repairable.aggregate(number=Sum(number_damaged))["number"]
    findings = list(repairable.select_related("group").order_by("-pk")[: limit + 1])
    return RepairList(findings[:limit], damaged_copies or 0, has_more=len(findings) > limit)


def count_open() -> int:
    """Return how many findings are open in groups that are in use."""
    return Finding.objects.filter(state=Finding.State.OPEN, group__archived_at=None).count()


def _read_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
