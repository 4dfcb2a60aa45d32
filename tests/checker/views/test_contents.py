"""Declaring a damaged content good, on the page of a finding and on that of a file."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse

from checker.models import Finding, KnownDamage
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import file
from tests.checker.views.pages import get

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "a\n<b>&"
"""A name that forms and pages must not change."""
GOOD = file(NAME, b"good")
REST = file("z")


def make_damage() -> StagedGroup:
    """Return a group in which a file of the first replica rotted, as its collector confirmed."""
    group = StagedGroup(2)
    group.runs(*[[GOOD, REST]] * 2)
    group.run(0, [file(NAME, b"rotten"), REST], rotten=[NAME])
    group.compare()
    return group


def form_of(page: str, act: str) -> tuple[str, dict[str, str]]:
    """Return where the form of an act is sent, and its content."""
    (address,) = re.findall(rf'action="([^"]+{act}[^"]*)"', page)
    contents = re.findall(r'name="content" value="(\w+)"', page)
    return unescape(address), {"content": contents[0]}


def test_declared_good_and_withdrawn(viewer: Client, operator: Client) -> None:
    """Both pages offer it to who may decide, and show who did; the answer is given after the copies are compared."""
    group = make_damage()
    finding = Finding.objects.get(replica=None)
    pages = [
        reverse("finding", args=[finding.uuid]),
        reverse("finding", args=[Finding.objects.get(kind="corrupted").uuid]),
        reverse("file", args=[group.replicas[0].replica.uuid]) + "?path=a%0A%3Cb%3E%26",
    ]
    for page_address in pages:
        assert "Known damage" in get(viewer, page_address)
        assert "declare-good" not in get(viewer, page_address)

        address, content = form_of(get(operator, page_address), "declare-good")
        assert viewer.post(address, content | {"reason": "x"}).status_code == 403
        assert operator.get(address).status_code == 405
        assert operator.post(address.replace("declare-good", "other"), content).status_code == 404

        refused = operator.post(address, content | {"reason": ""}, follow=True)
        assert "Enter a reason" in refused.content.decode()
        assert not KnownDamage.objects.filter(ended_at__isnull=False).exists()

        answer = operator.post(address, content | {"reason": "it is <right>"}, follow=True)
        assert answer.redirect_chain[0][0] == page_address
        page = answer.content.decode()
        assert "has been declared good" in page and "it is &lt;right&gt;" in page
        finding.refresh_from_db()
        assert finding.evidence["damaged"] == []

        address, content = form_of(page, "withdraw")
        answer = operator.post(address, content | {"reason": "no"}, follow=True)
        assert "declaration has been withdrawn" in answer.content.decode()
        finding.refresh_from_db()
        assert len(finding.evidence["damaged"]) == 1


def test_where_nothing_is_known(operator: Client) -> None:
    """A page of a path without known damage offers nothing."""
    group = make_damage()
    address = reverse("file", args=[group.replicas[0].replica.uuid]) + "?path=z"
    assert "Known damage" not in get(operator, address)
    decision = reverse("file-content", args=[group.replicas[0].replica.uuid, "declare-good"])
    assert operator.post(decision, {"content": "00" * 32, "reason": "x"}).status_code == 404
    refused = operator.post(decision + "?path=z", {"content": "00" * 32, "reason": "x"}, follow=True)
    assert "No comparison has found" in refused.content.decode()
