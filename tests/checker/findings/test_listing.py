"""The list of findings: its order, its pages and its filters."""

from __future__ import annotations

import pytest
from django.http import QueryDict

from checker.findings import listing
from checker.findings.listing import FindingFilter, FindingListQuery
from checker.models import Finding
from scanner.format.records import Record
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.staged_replica import StagedReplica, file

pytestmark = pytest.mark.django_db(transaction=True)


def test_list_and_its_filters() -> None:
    """The most severe findings come first, page by page, each once."""
    replica = StagedReplica(policy="immutable")
    first = replica.run([file(f"{number}/x", b"%d" % number) for number in range(9)])
    rewritten: list[Record] = [file(f"{number}/x", b"new%d" % number) for number in range(9)]
    replica.run([*rewritten, confirmed_note("5/x", str(first.uuid))])
    replica.compare()

    findings: list[Finding] = []
    after = ""
    while True:
        page = listing.list_findings(FindingFilter(), after, limit=4)
        findings += page.rows
        after = page.after
        if not after:
            break
    assert findings[0].path == "5/x"
    assert len({finding.pk for finding in findings}) == len(findings) == 9

    options = listing.filter_options(FindingListQuery(kind="rewritten"))
    assert [(option.value, option.number) for option in options] == [("corrupted", 1), ("rewritten", 8)]
    assert [option.address for option in options] == ["?kind=corrupted", "?"]
    matching = listing.list_findings(FindingFilter(search="7/"))
    assert [finding.path for finding in matching.rows] == ["7/x"]
    assert not listing.list_findings(FindingFilter(group="nonsense")).rows


def test_addresses() -> None:
    """Without a state the open findings are meant, with an empty one all; addresses tell the two apart."""
    usual = FindingListQuery.read(QueryDict("kind=&after="))
    assert usual == FindingListQuery()
    assert usual.state == "open" and not usual.is_filtered
    assert usual.address() == "?"

    everything = FindingListQuery.read(QueryDict("state="))
    assert everything.state == "" and everything.is_filtered
    assert everything.address(kind="corrupted") == "?state=&kind=corrupted"

    unknown = FindingListQuery.read(QueryDict(f"state=lost&severity=x&search={'y' * 500}"))
    assert unknown.filter == FindingFilter(state="lost", severity="x", search="y" * 200)
