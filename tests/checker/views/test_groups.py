"""The page of a group and its downloads, over real runs."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from checker.divergences import queries, store
from checker.divergences.queries import DivergenceFilter
from checker.jobs import group_comparisons
from checker.models import Finding, GroupComparison, Proof
from scanner.formatting.names import display_name
from scanner.models import Run
from tests.checker.staged_divergences import staged_divergences
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import file
from tests.scanner import factories

pytestmark = pytest.mark.django_db(transaction=True)

TOO_FEW_PROVEN = "two of them have a proven run"


@pytest.fixture
def group(transactional_db: None) -> StagedGroup:
    """Return three replicas, the second with a damaged copy, a missing and an unreadable file."""
    return staged_divergences()


def group_address(group: StagedGroup) -> str:
    """Return the address of a group's page."""
    return f"/groups/{group.group.uuid}/"


def get(client: Client, group: StagedGroup, query: dict[str, str] | None = None, **headers: str) -> str:
    """Return the text of a group's page."""
    response = client.get(group_address(group), query, headers=headers)
    assert response.status_code == 200
    return str(response.content.decode())


def read_stream(response: Any) -> bytes:
    """Return the content of a download."""
    return b"".join(response.streaming_content)


def test_the_page_and_its_filters(viewer: Client, group: StagedGroup) -> None:
    """Directories are folded; a replica, a kind, a verdict and a text choose among what diverges."""
    page = get(viewer, group)
    name = group.replicas[1].replica.server.name
    assert f"Check {name} first: 1 damaged copy, 1 missing path, 1 unknown path." in page
    assert "?below=b%2F" in page and "square-lost" not in page
    assert "square-lost" in get(viewer, group, {"below": "b"})
    for query, expected, unexpected in (
        ({"view": "list", "at": "2"}, "b/", "No results."),
        ({"view": "list", "at": "1"}, "No results.", "square-lost"),
        ({"verdict": "damaged", "view": "list"}, "square-damaged", "square-lost"),
        ({"verdict": "damaged"}, "square-damaged", "?below=b%2F"),
        ({"kind": "unknown", "view": "list"}, "square-unreadable", "square-lost"),
        ({"search": "nowhere"}, "No results.", "square-lost"),
    ):
        filtered = get(viewer, group, query)
        assert expected in filtered and unexpected not in filtered, query
    assert viewer.get(group_address(group), {"after": "!"}).status_code == 404
    fragment = get(viewer, group, {"view": "list"}, **{"HX-Request": "true"})
    assert fragment.lstrip().startswith("<tr") and "<html" not in fragment


def test_who_may_see_a_group(group: StagedGroup) -> None:
    """Nobody sees it without a login and a role."""
    for number, address in enumerate((group_address(group), group_address(group) + "download/?format=csv")):
        assert Client().get(address).status_code == 302
        without_role = Client()
        without_role.force_login(User.objects.create_user(f"nobody-{number}"))
        assert without_role.get(address).status_code == 403
        assert Client().post(address).status_code in (302, 403, 405)


def test_downloads(viewer: Client, group: StagedGroup) -> None:
    """Both files hold what the page shows, each replica of each path."""
    address = group_address(group) + "download/"
    response = viewer.get(address, {"format": "jsonl"})
    divergences = [json.loads(line) for line in read_stream(response).splitlines()]
    assert [divergence["path"] for divergence in divergences] == ["a", "b/lost", "b/shut"]
    assert [replica.get("copy") for replica in divergences[0]["replicas"]] == ["good", "damaged", "good"]
    assert [replica["is"] for replica in divergences[1]["replicas"]] == ["here", "lost", "here"]

    response = viewer.get(address, {"format": "csv", "kind": "lost"})
    table = list(csv.reader(io.StringIO(read_stream(response).decode())))
    assert len(table) == 2 and table[1][:2] == ["lost", "b/lost"]
    assert table[1][3:] == ["here", "lost", "here", "", "yes"]
    assert str(group.group.uuid) in response["Content-Disposition"]
    assert viewer.get(address, {"format": "exe"}).status_code == 404


def test_empty_states(viewer: Client) -> None:
    """A group without replicas, with one, without a proven run, and one whose replicas are equal say so."""
    empty = factories.make_group()
    assert "This group has no replicas yet." in viewer.get(f"/groups/{empty.uuid}/").content.decode()
    single = factories.make_replica()
    assert "one replica" in viewer.get(f"/groups/{single.group.uuid}/").content.decode()
    pair = StagedGroup(2)
    assert TOO_FEW_PROVEN in get(viewer, pair)
    pair.runs([file("a")], [file("a")])
    pair.compare()
    assert "No differences between the compared replicas." in get(viewer, pair)


def test_no_run_yet(viewer: Client, group: StagedGroup) -> None:
    """Before the first proven run, of a new group and of a moment long ago, the page says so."""
    new = StagedGroup(2)
    assert group_comparisons.catch_up(new.group.pk)
    long_ago = {"moment": "2020-01-01T00:00"}
    cases: list[tuple[StagedGroup, dict[str, str]]] = [(new, {}), (new, {"below": "a"}), (group, long_ago)]
    for shown_group, query in cases:
        assert TOO_FEW_PROVEN in get(viewer, shown_group, query)
        assert TOO_FEW_PROVEN in get(viewer, shown_group, query | {"view": "list"})
        assert "<tr" not in get(viewer, shown_group, query, **{"HX-Request": "true"})
        download = viewer.get(group_address(shown_group) + "download/", query | {"format": "jsonl"})
        assert download.status_code == 302
    comparison = group_comparisons.newest_comparison(new.group)
    assert comparison is not None
    assert queries.read_subdirectories(comparison.pk, DivergenceFilter(), 0) == ([], "")


def test_one_proven_run_is_not_enough(viewer: Client, group: StagedGroup) -> None:
    """Divergences of runs that no longer hold is not shown as the present state; findings stay open."""
    Proof.objects.exclude(run__replica=group.replicas[0].replica).update(ok=False, proven_at=None)
    group.compare()
    page = get(viewer, group, {"view": "list"})
    assert TOO_FEW_PROVEN in page and "square-damaged" not in page
    assert viewer.get(group_address(group) + "download/", {"format": "csv"}).status_code == 302
    assert Finding.objects.filter(replica=None, state="open").count() == 2


def test_as_of_a_moment(viewer: Client, group: StagedGroup) -> None:
    """The page of a moment shows what was then; what is no moment means now, and is not stored."""
    three_days_ago = timezone.now() - timedelta(days=3)
    Run.objects.filter(sequence=1).update(received_at=three_days_ago, finished_at=three_days_ago)
    moment = (timezone.now() - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    assert "No differences between the compared replicas." in get(viewer, group, {"moment": moment})

    comparisons = GroupComparison.objects.count()
    for text in ("x", "0001-01-01T00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00", "2026-02-30T00:00"):
        assert "square" in get(viewer, group, {"moment": text, "view": "list"}), text
    assert GroupComparison.objects.count() == comparisons


def test_while_a_moment_is_compared(viewer: Client, group: StagedGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task makes a comparison that takes long; the page waits for it and reloads by itself."""
    monkeypatch.setattr(group_comparisons, "IMMEDIATE_FILES", 0)
    query = {"moment": (timezone.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")}
    assert "are being compared" in get(viewer, group, query)
    poll = query | {"poll": "1"}
    assert "are being compared" in get(viewer, group, poll, **{"HX-Request": "true"})
    (pk,) = group_comparisons.requested_comparisons()
    group_comparisons.compute(pk)
    response = viewer.get(group_address(group), poll, headers={"HX-Request": "true"})
    assert response["HX-Refresh"] == "true"


def test_set_aside_after_three_attempts(viewer: Client, group: StagedGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison that always fails is set aside with its reason, and tried again when there is something new."""

    def fail(*_arguments: Any) -> None:
        raise ValueError("it cannot be")

    group.run(2, [file("a", b"good")])
    with monkeypatch.context() as patch:
        patch.setattr(store, "gather_divergences", fail)
        for _attempt in range(2):
            with pytest.raises(ValueError, match="it cannot be"):
                group_comparisons.catch_up(group.group.pk)
        group_comparisons.catch_up(group.group.pk)
        assert "it cannot be" in GroupComparison.objects.get(moment=None).reason
        assert group_comparisons.groups_to_compare(timezone.now()) == []
    assert "could not be compared" in get(viewer, group)
    group.run(2, [file("a", b"good"), file("b/lost", b"1")])
    assert group.compare().counts["lost"] == 2


def test_two_replicas_on_a_server_have_distinct_names(viewer: Client, group: StagedGroup) -> None:
    """Columns have the names of servers, with the root where one server has two replicas."""
    first, second, third = (staged.replica for staged in group.replicas)
    second.root = "/srv/second"
    second.server = first.server
    second.save()
    page = get(viewer, group, {"view": "list"})
    assert f"Check {first.server.name}:/srv/second first" in page
    assert f'data-label="{first.server.name}:/srv/data"' in page and f'data-label="{third.server.name}"' in page


def test_open_findings_name_their_replica(viewer: Client, group: StagedGroup) -> None:
    """Findings that say the same of different replicas differ by where they are."""
    group.run(2, [file("a", b"bad"), file("b/lost", b"1"), file("b/shut", b"2")], rotten=["a"])
    group.compare()
    page = get(viewer, group)
    section = page[page.index("findings-short") :]
    section = section[: section.index("</ul>")]
    items = [item for item in section.split("<li>") if "corrupted: a<" in item]
    assert len(items) == 2
    for position in (1, 2):
        name = f">{display_name(group.replicas[position].replica.server.name)} "
        assert sum(name in item for item in items) == 1


def test_the_page_says_first_who_is_on_hold(viewer: Client) -> None:
    """Before it names a server to check, the page says which replica is on hold, and why."""
    group = StagedGroup()
    names = [f"f{index:02}" for index in range(30)]
    group.runs(*[[file(name, name.encode()) for name in names]] * 3)
    group.run(2, [file(f"{name}.locked", b"E" + name.encode()) for name in names])
    group.compare()

    page = get(viewer, group)
    name = group.replicas[2].replica.server.name
    assert "is on hold: 30 files got the new extension .locked and different content (since run 2)." in page
    assert page.index("is on hold: 30 files") < page.index(f"Check {name} first: 30 missing paths")
