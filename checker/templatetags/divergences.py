"""Divergences on pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import template

from checker.models import Divergence
from checker.pages.group_matrix import Seat
from scanner.models import Replica

register = template.Library()


@register.filter
def divergence_label(kind: str) -> str:
    """A kind of divergence in words."""
    return str(Divergence.Kind(kind).label)


@register.filter
def verdict_label(verdict: str) -> str:
    """What is said of several contents, in words."""
    return str(Divergence.PathVerdict(verdict).label)


@register.filter
def beside(values: Iterable[Any], seats: Iterable[Seat]) -> list[tuple[Any, Seat]]:
    """What stands in the columns of a row, each with its replica."""
    return list(zip(values, seats, strict=False))  # those without a run come last, and have no column


@register.filter
def seat_of(seats: Iterable[Seat] | str, replica: Replica) -> Seat | None:
    """The column of a replica; None where it has none."""
    mine = (seat for seat in seats or () if isinstance(seat, Seat) and seat.participant.replica_id == replica.pk)
    return next(mine, None)


@register.filter
def with_runs(seats: Iterable[Seat]) -> int:
    """How many take part by a run."""
    return sum(seat.participant.run_id is not None for seat in seats)
