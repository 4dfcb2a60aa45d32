"""Write links to replicas, paths and what findings are about."""

from __future__ import annotations

from urllib.parse import urlencode

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from checker.changes.listing import ChangeListQuery
from checker.divergences.listing import DivergenceListQuery
from checker.findings.kinds.registry import kind_of
from checker.forms import OverviewQuery
from checker.models import Finding, Participant
from checker.pages.status import Status
from scanner.formatting.names import display_name, short_name
from scanner.models import Replica

register = template.Library()


@register.filter
def replica_label(replica: Replica) -> SafeString:
    """Return the server and the root of a replica."""
    return format_html("{} {}", display_name(replica.server.name), short_name(replica.root))


@register.simple_tag
def overview_url(list_query: OverviewQuery, status: Status) -> str:
    """Return the query of the overview that shows one status alone, or all of them when it is selected already."""
    return list_query.address(status="" if status == list_query.status else status.value)


@register.simple_tag
def file_url(replica: Replica, path: str) -> str:
    """Return the address of the page of one path."""
    return _with_query(reverse("file", args=[replica.uuid]), {"path": path})


@register.simple_tag
def directory_url(list_query: ChangeListQuery | DivergenceListQuery, directory: str) -> str:
    """Return the address of a directory in the tree of changes or of divergences."""
    return list_query.directory_address(directory)


@register.filter
def concerns_whole_run(finding: Finding) -> bool:
    """Return whether a finding is about a run as a whole, and not about paths."""
    return kind_of(finding).concerns_whole_run


@register.simple_tag
def finding_changes_url(finding: Finding) -> str:
    """Return the address of the changes that a finding of a replica is about."""
    parameters: dict[str, str] = {}
    kind = kind_of(finding)
    if not kind.concerns_whole_run:
        parameters["kind"] = finding.evidence.get("became") or kind.linked_change or finding.kind
        if finding.folded and finding.path:
            parameters["below"] = finding.path
    return _with_query(reverse("changes", args=[finding.first_run.uuid]), parameters)


@register.simple_tag
def finding_matrix_url(finding: Finding) -> str:
    """Return the address of the divergences that a finding between replicas is about."""
    parameters: dict[str, str] = {"kind": finding.kind}
    if not finding.folded:
        parameters["search"] = finding.path
    elif finding.path:
        parameters["below"] = finding.path
    return _with_query(reverse("group", args=[finding.group.uuid]), parameters) + "#matrix"


@register.simple_tag
def matrix_url(list_query: DivergenceListQuery, participant: Participant, verdict: str = "") -> str:
    """Return the address of what is wrong on a replica, at the same moment that the page shows."""
    wrong_there = DivergenceListQuery(position=str(participant.position), verdict=verdict, moment=list_query.moment)
    return f"{wrong_there.address()}#matrix"


def _with_query(url: str, parameters: dict[str, str]) -> str:
    return f"{url}?{urlencode(parameters)}" if parameters else url
