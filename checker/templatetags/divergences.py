"""Say divergences in words, and place the values of a row in the columns of replicas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import template

from checker.models import Divergence
from checker.pages.group_matrix import Column
from scanner.models import Replica

register = template.Library()


@register.filter
def divergence_label(kind: str) -> str:
    """Return a kind of divergence in words."""
    return str(Divergence.Kind(kind).label)


@register.filter
def verdict_label(verdict: str) -> str:
    """Return the verdict on the contents of a path in words."""
    return str(Divergence.PathVerdict(verdict).label)


@register.filter
def with_columns(values: Iterable[Any], columns: Iterable[Column]) -> list[tuple[Any, Column]]:
    """Return each value of a row with its column. Replicas without a run come last and have no value."""
    return list(zip(values, columns, strict=False))


@register.filter
def column_of(columns: Iterable[Column], replica: Replica) -> Column | None:
    """Return the column of a replica; None where it has none."""
    for column in columns:
        if column.participant.replica_id == replica.pk:
            return column
    return None


@register.filter
def compared_count(columns: Iterable[Column]) -> int:
    """Return how many replicas take part in the comparison with a run."""
    return sum(column.participant.run_id is not None for column in columns)
