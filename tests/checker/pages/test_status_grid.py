"""The grid of groups and servers on the overview, and the page of a server."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from scanner.models import Replica, Server
from tests.checker import stage, status_grid_stage
from tests.scanner import factories

pytestmark = pytest.mark.django_db
HOSTILE = '<script>alert("x")</script>\u202e" onclick="x'
MAX_QUERIES = 32
"""Of the overview, whatever the size of the fleet. Three say what was not read, and what the shown runs found."""


@pytest.fixture
def viewer(client: Client) -> Client:
    """Return a client that a viewer has logged in with."""
    client.force_login(stage.make_user("viewer"))
    return client


def get(client: Client, path: str, **headers: str) -> str:
    """Return the text of a page that must exist."""
    response = client.get(path, headers=headers)
    assert response.status_code == 200
    return str(response.content.decode())


def grid(page: str) -> list[list[str]]:
    """Return the grid as words: names of heads, and of each cell its status and, if above one, its replicas."""
    (table,) = re.findall(r"(?s)<table class=\"fleet.*?</table>", page)
    rows = []
    for row in re.findall(r"(?s)<tr>(.*?)</tr>", table):
        cells = re.findall(r"(?s)<t[hd][^>]*>(.*?)</t[hd]>", row)
        statuses = [re.sub(r'(?s).*href="#sign-(\w+)".*?(?:<b>(\d+)</b>)?</a>', r"\1\2", cell) for cell in cells]
        rows.append([unescape(re.sub(r"<[^>]*>", "", status)).strip() for status in statuses])
    return rows


def labels(page: str) -> list[str]:
    """Return what the cells say in words."""
    return [unescape(label) for label in re.findall(r'<td>\s*<a [^>]*aria-label="([^"]*)"', page)]


def tooltips(page: str) -> list[str]:
    """Return the tooltips of the cells."""
    return [unescape(title) for title in re.findall(r'<td>\s*<a [^>]*title="([^"]*)"', page)]


def group_names(page: str) -> list[str]:
    """Return the names at the heads of the sections of groups."""
    return re.findall(r'<h2 id="group-\d+">.*?class="name">([^<]*)', page)


def row_statuses(page: str) -> list[str]:
    """Return the statuses of the replicas that have a row, in their order."""
    return re.findall(r'class="replica-cell">\s*<span class="state state-(\w+)', page)


def test_the_grid_has_each_group_on_each_server_urgent_first(viewer: Client) -> None:
    """Groups go down and servers across, both in the order of their worst replica, then of their names."""
    stage.make_overview()
    assert grid(get(viewer, "/")) == [
        ["Group", "beta.example.net", "alpha.example.net", "gamma"],
        ["Бухгалтерия 2019–2026", "damaged", "attention", ""],
        ["Photos", "attention", "proven", "unknown"],
        ["mail", "", "unknown", "attention"],
    ]


def test_a_cell_says_group_server_status_and_why_and_leads_to_the_replica(viewer: Client) -> None:
    """A cell has words for who cannot see its colour or shape, in the language of the page, as name and tooltip."""
    world = stage.make_overview()
    page = get(viewer, "/")
    assert labels(page)[0] == (
        "Бухгалтерия 2019–2026 on beta.example.net: Damaged. The stored data of run 1 is not what its server signed."
    )
    assert "Photos on alpha.example.net: Proven" in labels(page) and len(labels(page)) == 7
    assert f'href="/replicas/{world["broken"].uuid}/" aria-label="Бухгалтерия' in page
    assert tooltips(page) == labels(page)


def test_replicas_in_one_cell_are_counted_and_the_worst_decides(viewer: Client) -> None:
    """Two roots of a group on one server share a cell with their number and worst status; it leads to both."""
    server, key = stage.make_server("alpha")
    group = factories.make_group("photos")
    good = factories.make_replica(server, group, "/good")
    bad = factories.make_replica(server, group, "/bad")
    stage.make_history(good, key, 2)
    stage.make_history(bad, key, 2)
    stage.make_proof(bad.runs.latest("sequence"), ok=False)

    page = get(viewer, "/")
    assert grid(page)[1:] == [["photos", "damaged2"]]
    assert labels(page)[0].startswith("photos on alpha, 2 replicas: Damaged. ")
    assert f'href="/servers/{server.uuid}/#group-{group.pk}"' in page
    server_page = get(viewer, f"/servers/{server.uuid}/")
    section = server_page.split(f'<tbody id="group-{group.pk}">')[1].split("</tbody>")[0]
    assert row_statuses(section) == ["damaged", "proven"]


def test_heads_lead_to_groups_and_servers(viewer: Client) -> None:
    """Each head of a row links to the group's page, each head of a column to the server's."""
    world = stage.make_overview()
    page = get(viewer, "/")
    for address in (f"/groups/{world['proven'].group.uuid}/", f"/servers/{world['proven'].server.uuid}/"):
        assert f'<a href="{address}" title=' in page
        get(viewer, address)


def test_the_filter_narrows_the_grid_as_well(viewer: Client) -> None:
    """Only what matches is in the grid; a group or server without any match is not."""
    stage.make_overview()
    assert grid(get(viewer, "/?name=gamma"))[0] == ["Group", "gamma"]
    assert grid(get(viewer, "/?state=proven")) == [["Group", "alpha.example.net"], ["Photos", "proven"]]
    assert "data-grid" not in get(viewer, "/?name=nowhere")


def test_what_is_wrong_has_rows_and_what_is_proven_is_folded(viewer: Client) -> None:
    """In a large fleet fully proven groups are folded; the others show their urgent rows and how many more exist."""
    status_grid_stage.fill(12, 20)
    page = get(viewer, "/")
    unfolded, folded = page.split('<details class="proven-groups" >')
    assert group_names(unfolded) == ["share 000", "share 004", "share 008"]
    assert len(group_names(folded)) == 9 and "9 fully proven groups" in folded
    assert page.count('class="replica-cell"') == 120
    assert "20 more replicas" in folded and "more replica" not in unfolded
    assert '<details class="proven-groups" open>' in get(viewer, "/?state=proven")


@pytest.mark.parametrize(("groups", "servers", "rows", "corner"), [(100, 20, 100, "Group"), (20, 100, 100, "Server")])
def test_a_large_fleet_is_light_and_asks_little(
    viewer: Client,
    django_assert_max_num_queries: DjangoAssertNumQueries,
    groups: int,
    servers: int,
    rows: int,
    corner: str,
) -> None:
    """2,000 replicas cost as many queries as seven, and a page of bounded size; the longer side goes down."""
    status_grid_stage.fill(groups, servers)
    with django_assert_max_num_queries(MAX_QUERIES):
        page = get(viewer, "/")
    table = grid(page)
    assert table[0][0] == corner and len(table) == rows + 1 and {len(row) for row in table} == {21}
    statuses = [status for row in table[1:] for status in row[1:]]
    assert len(statuses) == 2000 and statuses.count("proven") == 1950
    assert {*statuses} == {"proven", "damaged", "attention"}
    assert len(page.encode()) < 1_500_000
    assert page.count('class="replica-cell"') == 120


def test_rows_have_no_room_for_all_that_is_wrong(viewer: Client) -> None:
    """When hundreds of replicas are late, each group still has its head and says how many more there are."""
    status_grid_stage.fill(10, 20, 1)
    Replica.objects.update(enabled=False)
    page = get(viewer, "/")
    assert page.count('class="replica-cell"') == 120
    assert page.count("20 more replicas") == 4 and len(group_names(page)) == 10


def test_hostile_names_are_shown_and_not_obeyed(viewer: Client) -> None:
    """Names in heads and labels act on nothing."""
    server, key = stage.make_server(HOSTILE + "s")
    replica = factories.make_replica(server, factories.make_group(HOSTILE + "g"))
    stage.make_history(replica, key, 3)
    for address in ("/", f"/servers/{server.uuid}/", f"/groups/{replica.group.uuid}/"):
        page = get(viewer, address)
        assert "<script>alert" not in page and "\u202e" not in page and 'onclick="x' not in page
        assert "\\u202e" in page


def test_a_server_shows_its_replicas(viewer: Client) -> None:
    """The page of a server has its replicas by group with status and reason, urgent first, and its last contact."""
    world = stage.make_overview()
    server = world["proven"].server
    Server.objects.filter(pk=server.pk).update(last_seen_at=timezone.now() - timedelta(hours=3))
    address = f"/servers/{server.uuid}/"
    page = get(viewer, address)
    assert row_statuses(page) == ["attention", "unknown", "proven"]
    names = re.findall(r'class="server"><bdi class="name">([^<]*)', page)
    assert names == ["Бухгалтерия 2019–2026", "mail", "Photos"]
    assert "too old" in page and "3 hours ago" in page
    assert "последняя связь" in get(viewer, address, **{"Accept-Language": "ru"})


def test_who_may_see_a_server(client: Client, viewer: Client) -> None:
    """A stranger is sent to the login; an unknown server is not found; one without replicas says so."""
    server = factories.make_server("empty")
    address = f"/servers/{server.uuid}/"
    assert "This server has no replicas" in get(viewer, address)
    assert "no contact yet" in get(viewer, address)
    assert viewer.get(f"/servers/{factories.make_replica().uuid}/").status_code == 404
    client.logout()
    assert client.get(address)["Location"] == f"/login/?next={address}"


def test_a_held_or_archived_server_says_so(viewer: Client) -> None:
    """Facts of the whole server stand above its replicas; archived replicas are not listed."""
    server, key = stage.make_server("alpha")
    stage.make_history(factories.make_replica(server), key, 2)
    factories.make_replica(server, root="/gone", archived_at=timezone.now())
    Server.objects.update(held_at=timezone.now(), held_reason="two statements", archived_at=timezone.now())
    page = get(viewer, f"/servers/{server.uuid}/")
    assert "two statements" in page and "This server is archived" in page and "/gone" not in page
