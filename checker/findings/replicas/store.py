"""The SQL of findings between replicas: which divergences are theirs, and what a comparison has made of them.

`gathered` divergences are those of a comparison before they are written, see `checker.divergences.store`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.utils import timezone

from checker.divergences import queries as divergences
from checker.divergences.evidence import ComparisonContext
from checker.divergences.queries import DivergenceRow
from checker.findings import candidates
from checker.findings.candidates import Branch
from checker.findings.text.replicas import DEVIATING_COPIES
from checker.models import Divergence, Finding, GroupComparison
from scanner.db.sql import fetch_all, load_statements
from scanner.format.entry_type import EntryType
from scanner.models import Run

statement = load_statements(__file__)

GATHERED = divergences.GATHERED_TABLE

SELECT_DIVERGENCES = statement("select_divergences", gathered=GATHERED)
TAKE_DIVERGENCES = statement("take_divergences", gathered=GATHERED)
TAKE_EACH = statement("take_each")
DETACH_NEWLY_CONCERNED = statement("detach_newly_concerned", gathered=GATHERED)
TOUCH_GROWN_FINDINGS = statement("touch_grown_findings")
ATTACH_FORMER_DAMAGE = statement("attach_former_damage", gathered=GATHERED)
FIND_OUTDATED = statement("find_outdated")
RECOUNT_PATHS = statement("recount_paths")
NAME_LACKING_REPLICAS = statement("name_lacking_replicas")
FIND_SPREAD_DAMAGE = statement("find_spread_damage")
CLOSE_FINISHED = statement("close_finished")
LINK_FINDINGS = statement("link_findings")
RAISE_LINKED = statement("raise_linked")
CLOSE_LINKED = statement("close_linked")

ENUM_VALUES: dict[str, Any] = {
    "missing": Divergence.Cell.LOST.value,
    "damaged": Divergence.PathVerdict.DAMAGED.value,
    "damaged_copy": Divergence.CopyVerdict.DAMAGED.value,
    "deviating": sorted(copy.value for copy in DEVIATING_COPIES),
    "critical": Finding.Severity.CRITICAL.value,
    "file": EntryType.FILE.value,
}
"""Parameters that several statements share."""


def select_divergences(comparison_id: int, kind: Divergence.Kind) -> int:
    """Select the gathered divergences of a kind that may be folded into findings. Return how many rows."""
    parameters = {"comparison": comparison_id, "kind": kind.value, **ENUM_VALUES}
    return candidates.select(SELECT_DIVERGENCES, parameters)


def take_divergences(
    comparison_id: int, kind: Divergence.Kind, findings: Mapping[Branch, Finding]
) -> dict[int, list[int]]:
    """Make the selected divergences of each branch its finding's own.

    Return the key of each finding → the positions at which its paths are not as they should be.
    """
    parameters: dict[str, Any] = {
        "comparison": comparison_id,
        "kind": kind.value,
        "paths": [branch.path for branch in findings],
        "folded": [branch.folded for branch in findings],
        "findings": [finding.pk for finding in findings.values()],
        **ENUM_VALUES,
    }
    return dict(fetch_all(TAKE_DIVERGENCES, parameters))


def take_each(comparison_id: int, findings: Sequence[Finding]) -> None:
    """Make the written divergence of each finding's path its own."""
    parameters: dict[str, Any] = {
        "comparison": comparison_id,
        "paths": [finding.path for finding in findings],
        "findings": [finding.pk for finding in findings],
    }
    with connection.cursor() as cursor:
        cursor.execute(TAKE_EACH, parameters)


def detach_newly_concerned(voters: Mapping[int, int]) -> None:
    """Take from findings the gathered divergences that concern one replica more. `voters`: position → replica."""
    parameters: dict[str, Any] = {"positions": list(voters), "replicas": list(voters.values()), **ENUM_VALUES}
    with connection.cursor() as cursor:
        cursor.execute(DETACH_NEWLY_CONCERNED, parameters)


def touch_grown_findings(run: Run) -> None:
    """Give open findings of missing directories that have other contents now a new revision."""
    with connection.cursor() as cursor:
        cursor.execute(TOUCH_GROWN_FINDINGS, {"run": run.pk})


def attach_former_damage(group_id: int) -> list[Finding]:
    """Give gathered divergences that are no damage any more to the open findings of that damage. Return these."""
    rows = fetch_all(ATTACH_FORMER_DAMAGE, {"group": group_id, **ENUM_VALUES})
    return list(Finding.objects.filter(pk__in=[pk for (pk,) in rows]).order_by("pk"))


def find_outdated(comparison: GroupComparison) -> list[tuple[int, str]]:
    """Return keys and paths of open findings of one path that say something else than the comparison does."""
    rows = fetch_all(FIND_OUTDATED, {"comparison": comparison.pk, "group": comparison.group_id})
    return [(pk, path) for pk, path in rows]


def name_lacking_replicas(comparison_id: int, names: Mapping[int, str]) -> None:
    """Let open findings name who lacks how many of their paths. `names`: position → name of the replica."""
    parameters: dict[str, Any] = {
        "comparison": comparison_id,
        "positions": list(names),
        "names": list(names.values()),
        **ENUM_VALUES,
    }
    with connection.cursor() as cursor:
        cursor.execute(NAME_LACKING_REPLICAS, parameters)


def find_spread_damage(context: ComparisonContext) -> list[tuple[int, str]]:
    """Return keys and paths of open findings of what is or was damage, beside which there is no other content now."""
    parameters = _comparison_parameters(context)
    return [(pk, path) for pk, path in fetch_all(FIND_SPREAD_DAMAGE, parameters)]


def recount_and_close(context: ComparisonContext, unproven: Sequence[int]) -> list[Finding]:
    """Count again the paths of open findings, and close those of which nothing is left, but the `unproven` ones.

    Return the closed ones.
    """
    parameters = _comparison_parameters(context) | {
        "run": context.newest_run.pk,
        "now": timezone.now(),
        "unproven": list(unproven),
    }
    with connection.cursor() as cursor:
        # A finding without divergences keeps its last number: recounting finds nothing of it.
        cursor.execute(RECOUNT_PATHS, parameters)
        cursor.execute(CLOSE_FINISHED, parameters)
        closed = [pk for (pk,) in cursor.fetchall()]
    return list(Finding.objects.filter(pk__in=closed).order_by("pk"))


def link_findings(group_id: int) -> None:
    """Link open findings of single replicas with those between the replicas about the same paths.

    Damage that one of a pair proves makes both critical.
    """
    parameters = {"group": group_id, **ENUM_VALUES}
    with connection.cursor() as cursor:
        cursor.execute(LINK_FINDINGS, parameters)
        cursor.execute(RAISE_LINKED, parameters)


def close_linked(findings: Sequence[Finding], run: Run) -> list[Finding]:
    """Close the findings of single replicas that belong to findings which are over. Return the closed ones."""
    parameters = {"findings": [finding.pk for finding in findings], "run": run.pk, "now": timezone.now()}
    rows = fetch_all(CLOSE_LINKED, parameters)
    return list(Finding.objects.filter(pk__in=[pk for (pk,) in rows]).order_by("pk"))


def read_gathered(comparison_id: int, path: str) -> DivergenceRow:
    """Return the gathered divergence of a path."""
    row = divergences.read_divergence(comparison_id, path, GATHERED)
    assert row is not None
    return row


def _comparison_parameters(context: ComparisonContext) -> dict[str, Any]:
    return {
        "comparison": context.comparison.pk,
        "group": context.comparison.group_id,
        "replicas": [replica.replica_id for replica in context.compared],
        "runs": [replica.run_id for replica in context.compared],
        **ENUM_VALUES,
    }
