"""The pages of duplicates, over real runs."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.checker.duplicates.test_queries import add_replica
from tests.checker.staged_replica import StagedReplica, file
from tests.checker.views.pages import get, leaf_names, next_page_address
from tests.scanner import factories

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = "d/<script>alert(1)</script>\n\u202e.jpg"


def wasted_bytes(page: str) -> list[str]:
    """Return the sizes of a page in bytes; the first is the total."""
    return re.findall(r'<data value="(\d+)"', page)


def staged_duplicates() -> StagedReplica:
    """Return a replica with two wasteful contents, a hard link and a hostile name, in a group of three replicas.

    The second replica has one of the contents once, the third has no run.
    """
    replica = StagedReplica(name="Photos")
    big = b"big" * 1000
    replica.run(
        [file("a", big), file("b", big, detail="a"), file(HOSTILE, big), file("s", b"small"), file("t", b"small")]
    )
    add_replica(replica, "/srv/second").run([file("kept once", big)])
    add_replica(replica, "/srv/third")
    return replica


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_page_of_a_replica(viewer: Client, language: str) -> None:
    """Totals, contents by waste, their names; a hard link is marked; a hostile name is shown and not obeyed."""
    replica = staged_duplicates()
    viewer.cookies["django_language"] = language
    address = reverse("duplicates", args=[replica.replica.uuid])
    page = get(viewer, address)
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page and "\\u202e" in page
    assert f'lang="{language}"' in page
    assert wasted_bytes(page) == ["3005", "3000", "3000", "5", "5"]
    assert page.count('class="hardlink"') == 1 and "kept once" not in page
    assert address in get(viewer, reverse("replica", args=[replica.replica.uuid]))


def test_the_page_of_a_group(viewer: Client) -> None:
    """Each replica's names stand under its own name; one copy costs nothing extra; who has no run is named."""
    replica = staged_duplicates()
    page = get(viewer, reverse("group-duplicates", args=[replica.replica.group.uuid]))
    assert page.count('class="holding"') == 3
    assert len(re.findall(r"1 copy\s*, no extra space", page)) == 1 and "kept once" in page
    assert "no complete run yet" in page and "/srv/third" in page
    assert wasted_bytes(page)[0] == "3005"


def test_every_content_is_on_one_page_once(viewer: Client) -> None:
    """The pages hold each content once, by waste; a fragment is no whole page."""
    replica = StagedReplica()
    contents = [b"x" * size for size in range(1, 121)]
    replica.run([file(f"{name}/{len(content):03d}", content) for content in contents for name in "ab"])
    for address in (
        reverse("duplicates", args=[replica.replica.uuid]),
        reverse("group-duplicates", args=[replica.replica.group.uuid]),
    ):
        page = get(viewer, address)
        listed = leaf_names(page)
        while next_page := next_page_address(page):
            whole_page = get(viewer, address + next_page)
            assert "autofocus" in whole_page and "<html" in whole_page
            page = get(viewer, address + next_page, headers={"HX-Request": "true"})
            assert "<html" not in page
            listed += leaf_names(page)
        assert listed == [f"{size:03d}" for size in range(120, 0, -1)]


def test_search_and_nothing(viewer: Client) -> None:
    """A text narrows contents and totals; a search without a match, no duplicates and no run say so."""
    replica = staged_duplicates()
    address = reverse("duplicates", args=[replica.replica.uuid])
    page = get(viewer, address + "?search=script")
    assert page.count('class="entry"') == 1 and wasted_bytes(page)[0] == "3000"
    assert "No results." in get(viewer, address + "?search=nowhere%00")
    replica.run([file("a")])
    assert "There are no duplicates." in get(viewer, address)
    empty = factories.make_replica()
    assert "no complete run yet" in get(viewer, reverse("duplicates", args=[empty.uuid]))
    assert "no complete run yet" in get(viewer, reverse("group-duplicates", args=[empty.group.uuid]))


def test_downloads(viewer: Client) -> None:
    """Both files hold what the page shows, with all its names; their own names are made of ids."""
    replica = staged_duplicates()
    group_address = reverse("group-duplicates", args=[replica.replica.group.uuid])
    response = viewer.get(group_address + "?format=jsonl")
    contents = [json.loads(line) for line in response.getvalue().splitlines()]
    waste = [(content["waste"], content["copies"], content["superfluous"]) for content in contents]
    assert waste == [(3000, 3, 1), (5, 2, 1)]
    assert [name.get("hardlink") for name in contents[0]["names"]].count("a") == 1
    assert response["Content-Type"] == "application/jsonl; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="duplicates-[\w.-]+\.jsonl"', response["Content-Disposition"])

    replica_address = reverse("duplicates", args=[replica.replica.uuid])
    table = viewer.get(replica_address + "?format=csv&search=s").getvalue().decode()
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert [row["path"] for row in rows] == ["a", "b", HOSTILE, "s", "t"]


def test_what_does_not_exist(viewer: Client) -> None:
    """An unknown replica, group, format or place in the list is not found."""
    replica = staged_duplicates()
    address = reverse("duplicates", args=[replica.replica.uuid])
    for wrong_address in (
        address + "?after=nonsense",
        address + "?format=exe",
        reverse("duplicates", args=[replica.replica.group.uuid]),
        reverse("group-duplicates", args=[replica.replica.uuid]),
    ):
        get(viewer, wrong_address, 404)


def test_who_may_see_duplicates(viewer: Client) -> None:
    """Strangers are sent to the login, somebody without a role is turned away; nothing is ever posted."""
    replica = staged_duplicates()
    without_role = Client()
    without_role.force_login(User.objects.create_user("nobody"))
    for name, uuid in (("duplicates", replica.replica.uuid), ("group-duplicates", replica.replica.group.uuid)):
        for query in ("", "?format=csv"):
            address = reverse(name, args=[uuid]) + query
            response = Client().get(address)
            assert response.status_code == 302 and "/login/" in response["Location"], address
            assert without_role.get(address).status_code == 403
            assert viewer.post(address).status_code == 405
