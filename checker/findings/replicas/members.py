"""List the paths of a finding between replicas, each with the replicas on which it is not as it should be."""

from __future__ import annotations

from typing import NamedTuple

from checker.divergences import queries as divergences
from checker.findings.text.replicas import describe_deviations
from checker.models import Finding, GroupComparison
from scanner.db import keyset
from scanner.models import Replica


class DivergingPath(NamedTuple):
    """A path, and where it is not as it should be, in words."""

    path: str
    deviations: str


def list_paths(finding: Finding, after: str, limit: int) -> keyset.Page[DivergingPath]:
    """Return a page of the finding's paths in their order. Raise InvalidPageToken for an `after` that no page gave."""
    page = divergences.read_finding_page(finding.pk, after, limit)
    names = _names_by_position(finding)
    rows = [DivergingPath(row.path, describe_deviations(row, names)) for row in page.rows]
    return keyset.Page(rows, page.after)


def _names_by_position(finding: Finding) -> dict[int, str]:
    """Return position → name of the replica, as the stored divergences count positions."""
    comparison = GroupComparison.objects.filter(group=finding.group_id, moment=None).first()
    if comparison is None:
        return {}

    replicas = Replica.objects.select_related("server").in_bulk(comparison.seating)
    names = {}
    for position, pk in enumerate(comparison.seating, 1):
        replica = replicas.get(pk)
        if replica is not None:
            names[position] = f"{replica.server.name}:{replica.root}"
    return names
