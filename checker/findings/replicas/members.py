"""The paths that a finding between replicas tells, each with where it is not as it should be."""

from __future__ import annotations

from typing import NamedTuple

from checker.divergences import queries as divergences
from checker.findings.text import replicas
from checker.models import Finding, GroupComparison
from scanner.models import Replica


class DivergingPath(NamedTuple):
    """A path, and where it is what, in words."""

    path: str
    deviations: str


class PathPage(NamedTuple):
    """A page of paths; `after` asks for the next one and is empty on the last."""

    rows: list[DivergingPath]
    after: str


def list_paths(finding: Finding, after: str, limit: int) -> PathPage:
    """The paths in their order, and the key of the next page. keyset.BadToken for an `after` that is none."""
    rows, more = divergences.read_finding_page(finding.pk, after, limit)
    comparison = GroupComparison.objects.filter(group=finding.group_id, moment=None).first()
    seating = comparison.seating if comparison else []
    there = Replica.objects.select_related("server").in_bulk(seating)
    names = {at: f"{one.server.name}:{one.root}" for at, pk in enumerate(seating, 1) if (one := there.get(pk))}
    return PathPage([DivergingPath(row.path, replicas.describe_deviations(row, names)) for row in rows], more)
