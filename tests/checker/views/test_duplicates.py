"""The pages of duplicates, over real runs."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.checker import stage
from tests.checker.duplicates.test_queries import add_replica
from tests.checker.staged_replica import StagedReplica, file
from tests.scanner import factories

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = "d/<script>alert(1)</script>\n\u202e.jpg"


@pytest.fixture
def client() -> Client:
    """Somebody who may look."""
    made = Client()
    made.force_login(stage.make_user("viewer"))
    return made


def text(client: Client, url: str, status: int = 200, **headers: Any) -> str:
    """A page."""
    response = client.get(url, headers=headers)
    assert response.status_code == status, (url, response.status_code)
    return response.content.decode()


def some() -> StagedReplica:
    """A replica with two contents that waste, a hard link and a hostile name; another that has one of them once."""
    world = StagedReplica(name="Photos")
    big = b"big" * 1000
    world.run(
        [file("a", big), file("b", big, detail="a"), file(HOSTILE, big), file("s", b"small"), file("t", b"small")]
    )
    other = add_replica(world, "/srv/second")
    other.run([file("kept once", big)])
    add_replica(world, "/srv/third")
    return world


@pytest.mark.parametrize("language", ["en", "ru"])
def test_replica_page(client: Client, language: str) -> None:
    """Totals, contents by waste, their names; a hard link is marked; a hostile name is shown and not obeyed."""
    world = some()
    client.cookies["django_language"] = language
    url = reverse("duplicates", args=[world.replica.uuid])
    found = text(client, url)
    assert "<script>alert" not in found and "&lt;script&gt;alert" in found and "\\u202e" in found
    assert f'lang="{language}"' in found
    wasted = re.findall(r'<data value="(\d+)"', found)
    assert wasted == ["3005", "3000", "3000", "5", "5"]
    assert found.count('class="hardlink"') == 1 and "kept once" not in found
    assert reverse("duplicates", args=[world.replica.uuid]) in text(
        client, reverse("replica", args=[world.replica.uuid])
    )


def test_group_page(client: Client) -> None:
    """Each replica's names stand under its own name; one copy is said to be no waste; who has no run is named."""
    world = some()
    found = text(client, reverse("group-duplicates", args=[world.replica.group.uuid]))
    assert found.count('class="holding"') == 3
    assert len(re.findall(r"1 copy, no extra space", found)) == 1 and "kept once" in found
    assert "no complete run yet" in found and "/srv/third" in found
    assert re.findall(r'<data value="(\d+)"', found)[0] == "3005"


def test_every_content_is_on_one_page_once(client: Client) -> None:
    """The pages hold each content once, by waste; a fragment is no whole page."""
    world = StagedReplica()
    contents = [b"x" * size for size in range(1, 121)]
    world.run([file(f"{name}/{len(content):03d}", content) for content in contents for name in "ab"])
    for url in (
        reverse("duplicates", args=[world.replica.uuid]), reverse("group-duplicates", args=[world.replica.group.uuid]),
    ):  # fmt: skip
        found, seen = text(client, url), []
        while True:
            seen += re.findall(r'class="leaf"><bdi class="name">(\d+)', found)
            more = re.search(r'class="more">.*?href="([^"]+)"', found)
            if not more:
                break
            assert "autofocus" in (whole := text(client, url + more[1].replace("&amp;", "&"))) and "<html" in whole
            found = text(client, url + more[1].replace("&amp;", "&"), hx_request="true")
            assert "<html" not in found
        assert seen == [f"{size:03d}" for size in range(120, 0, -1)]


def test_search_and_nothing(client: Client) -> None:
    """A text narrows contents and totals; a search without a fit, no duplicates and no run say so."""
    world = some()
    url = reverse("duplicates", args=[world.replica.uuid])
    found = text(client, url + "?search=script")
    assert found.count('class="entry"') == 1 and re.findall(r'<data value="(\d+)"', found)[0] == "3000"
    assert "No results." in text(client, url + "?search=nowhere%00")
    world.run([file("a")])
    assert "There are no duplicates." in text(client, url)
    empty = factories.make_replica()
    assert "no complete run yet" in text(client, reverse("duplicates", args=[empty.uuid]))
    assert "no complete run yet" in text(client, reverse("group-duplicates", args=[empty.group.uuid]))


def test_downloads(client: Client) -> None:
    """Both files hold what the page shows, all names of it; their names are made of ids."""
    world = some()
    url = reverse("group-duplicates", args=[world.replica.group.uuid])
    response = client.get(url + "?format=jsonl")
    lines = [json.loads(line) for line in response.getvalue().splitlines()]
    assert [(one["waste"], one["copies"], one["superfluous"]) for one in lines] == [(3000, 3, 1), (5, 2, 1)]
    assert [name.get("hardlink") for name in lines[0]["names"]].count("a") == 1
    assert response["Content-Type"] == "application/jsonl; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="duplicates-[\w.-]+\.jsonl"', response["Content-Disposition"])
    table = client.get(reverse("duplicates", args=[world.replica.uuid]) + "?format=csv&search=s").getvalue().decode()
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert [row["path"] for row in rows] == ["a", "b", HOSTILE, "s", "t"]


def test_what_is_not_there(client: Client) -> None:
    """An unknown replica, group, form or place in the list is not found."""
    world = some()
    url = reverse("duplicates", args=[world.replica.uuid])
    for wrong in (
        url + "?after=nonsense", url + "?format=exe", reverse("duplicates", args=[world.replica.group.uuid]),
        reverse("group-duplicates", args=[world.replica.uuid]),
    ):  # fmt: skip
        text(client, wrong, 404)


def test_who_may_see_it(client: Client) -> None:
    """Strangers are sent to the login, somebody without a role is turned away; nothing is ever posted."""
    world = some()
    nobody = Client()
    nobody.force_login(User.objects.create_user("nobody"))
    for name, uuid in (("duplicates", world.replica.uuid), ("group-duplicates", world.replica.group.uuid)):
        for query in ("", "?format=csv"):
            url = reverse(name, args=[uuid]) + query
            response = Client().get(url)
            assert response.status_code == 302 and "/login/" in response["Location"], url
            assert nobody.get(url).status_code == 403
            assert client.post(url).status_code == 405
