"""The page of a group, its downloads, and the command that says the same."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from checker.divergences import queries, store
from checker.divergences.queries import DivergenceFilter
from checker.jobs import group_comparisons
from checker.models import Finding, GroupComparison, Proof
from scanner.formatting.names import display_name
from scanner.models import Run
from tests.checker import stage
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import file
from tests.scanner import factories
from tests.scanner.factories import error_row

pytestmark = pytest.mark.django_db(transaction=True)


def client_of(user: User) -> Client:
    """Somebody who has logged in."""
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def viewer(transactional_db: None) -> Client:
    """Who may see pages."""
    return client_of(stage.make_user("viewer"))


@pytest.fixture
def fleet(transactional_db: None) -> StagedGroup:
    """Three replicas, one of them with a damaged copy, a lost and an unreadable file."""
    fleet = StagedGroup()
    whole = [file("a", b"good"), file("b/lost", b"1"), file("b/shut", b"2")]
    fleet.runs(whole, whole, whole)
    fleet.run(1, [file("a", b"bad"), error_row("b/shut")])
    fleet.compare()
    return fleet


def test_the_page_and_its_filters(viewer: Client, fleet: StagedGroup) -> None:
    """Branches are folded; a replica, a kind, a verdict, a text choose among what diverges."""
    address = f"/groups/{fleet.group.uuid}/"
    page = viewer.get(address).content.decode()
    name = fleet.replicas[1].replica.server.name
    assert f"Check {name} first: 1 damaged copy, 1 missing path, 1 unknown path." in page
    assert "?below=b%2F" in page and "square-lost" not in page
    assert "lost" in viewer.get(address, {"below": "b"}).content.decode()
    for query, there, gone in (
        ({"view": "list", "at": "2"}, "b/", "No results."),
        ({"view": "list", "at": "1"}, "No results.", "square-lost"),
        ({"verdict": "damaged", "view": "list"}, "square-damaged", "square-lost"),
        ({"verdict": "damaged"}, "square-damaged", "?below=b%2F"),
        ({"kind": "unknown", "view": "list"}, "square-unreadable", "square-lost"),
        ({"search": "nowhere"}, "No results.", "square-lost"),
    ):
        text = viewer.get(address, query).content.decode()
        assert there in text and gone not in text, query
    assert viewer.get(address, {"after": "!"}).status_code == 404
    fragment = viewer.get(address, {"view": "list"}, headers={"HX-Request": "true"}).content.decode()
    assert fragment.lstrip().startswith("<tr") and "<html" not in fragment


def test_who_may_see_it(fleet: StagedGroup) -> None:
    """Nobody sees it without a login and a role."""
    for address in (f"/groups/{fleet.group.uuid}/", f"/groups/{fleet.group.uuid}/download/?format=csv"):
        assert Client().get(address).status_code == 302
        assert client_of(User.objects.create_user(f"nobody-{address[-6:]}")).get(address).status_code == 403
        assert Client().post(address).status_code in (302, 403, 405)


def test_downloads(viewer: Client, fleet: StagedGroup) -> None:
    """Both files hold what the page shows, each replica of each path."""
    address = f"/groups/{fleet.group.uuid}/download/"
    answer: Any = viewer.get(address, {"format": "jsonl"})
    lines = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    assert [one["path"] for one in lines] == ["a", "b/lost", "b/shut"]
    assert [one.get("copy") for one in lines[0]["replicas"]] == ["good", "damaged", "good"]
    assert [one["is"] for one in lines[1]["replicas"]] == ["here", "lost", "here"]
    answer = viewer.get(address, {"format": "csv", "kind": "lost"})
    table = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert (
        len(table) == 2 and table[1][:2] == ["lost", "b/lost"] and table[1][3:] == ["here", "lost", "here", "", "yes"]
    )
    assert str(fleet.group.uuid) in answer["Content-Disposition"]
    assert viewer.get(address, {"format": "exe"}).status_code == 404


def test_empty_states(viewer: Client) -> None:
    """A group that is kept nowhere, once, or without a proven run, and one that is all alike, say so."""
    nowhere = factories.make_group()
    assert "This group has no replicas yet." in viewer.get(f"/groups/{nowhere.uuid}/").content.decode()
    once = factories.make_replica()
    assert "one replica" in viewer.get(f"/groups/{once.group.uuid}/").content.decode()
    fleet = StagedGroup(2)
    assert "two of them have a proven run" in viewer.get(f"/groups/{fleet.group.uuid}/").content.decode()
    fleet.runs([file("a")], [file("a")])
    fleet.compare()
    page = viewer.get(f"/groups/{fleet.group.uuid}/").content.decode()
    assert "No differences between the compared replicas." in page


def test_no_run_yet(viewer: Client, fleet: StagedGroup) -> None:
    """Before the first proven run, of a new group and of a moment long ago, the page and the command say so."""
    new, said = StagedGroup(2).group, "two of them have a proven run"
    assert group_comparisons.catch_up(new.pk)
    for group, asked in ((new, {}), (new, {"below": "a"}), (fleet.group, {"moment": "2020-01-01T00:00"})):
        address = f"/groups/{group.uuid}/"
        assert said in viewer.get(address, asked).content.decode()
        assert said in viewer.get(address, asked | {"view": "list"}).content.decode()
        rows = viewer.get(address, asked, headers={"HX-Request": "true"})
        assert rows.status_code == 200 and "<tr" not in rows.content.decode()
        assert viewer.get(f"{address}download/", asked | {"format": "jsonl"}).status_code == 302
    too_few = (2, "fewer than two replicas have a proven run: there is nothing to compare")
    assert call(new.name) == too_few and call(fleet.group.name, "--at", "2020-01-01T00:00") == too_few
    comparison = group_comparisons.newest_comparison(new)
    assert comparison is not None and queries.read_subdirectories(comparison.pk, DivergenceFilter(), 0) == ([], "")


def test_one_proven_run_is_left(viewer: Client, fleet: StagedGroup) -> None:
    """What was found with runs that do not hold any more is not shown as what is so now; what was opened stays open."""
    Proof.objects.exclude(run__replica=fleet.replicas[0].replica).update(ok=False, proven_at=None)
    fleet.compare()
    address = f"/groups/{fleet.group.uuid}/"
    page = viewer.get(address, {"view": "list"}).content.decode()
    assert "two of them have a proven run" in page and "square-damaged" not in page
    assert viewer.get(f"{address}download/", {"format": "csv"}).status_code == 302
    assert call(fleet.group.name) == (2, "fewer than two replicas have a proven run: there is nothing to compare")
    assert Finding.objects.filter(replica=None, state="open").count() == 2


def test_as_of_a_time(viewer: Client, fleet: StagedGroup) -> None:
    """The page of a moment shows what was then; what is no time is now."""
    old = timezone.now() - timedelta(days=3)
    Run.objects.filter(sequence=1).update(received_at=old, finished_at=old)
    then = (timezone.now() - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    page = viewer.get(f"/groups/{fleet.group.uuid}/", {"moment": then}).content.decode()
    assert "No differences between the compared replicas." in page
    kept = GroupComparison.objects.count()
    for text in ("x", "0001-01-01T00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00", "2026-02-30T00:00"):
        asked = {"moment": text, "view": "list"}
        assert "square" in viewer.get(f"/groups/{fleet.group.uuid}/", asked).content.decode(), text
        assert call(fleet.group.name, "--at", text)[0] == 2
    assert GroupComparison.objects.count() == kept, "a time that no database holds would be in the way for ever"


def test_while_a_moment_is_compared(viewer: Client, fleet: StagedGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison that takes long is made by a task; the page waits for it and comes back by itself."""
    monkeypatch.setattr(group_comparisons, "IMMEDIATE_FILES", 0)
    address = f"/groups/{fleet.group.uuid}/"
    query = {"moment": (timezone.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")}
    assert "are being compared" in viewer.get(address, query).content.decode()
    waits = viewer.get(address, query | {"poll": "1"}, headers={"HX-Request": "true"})
    assert "are being compared" in waits.content.decode()
    (pk,) = group_comparisons.requested_comparisons()
    group_comparisons.compute(pk)
    assert viewer.get(address, query | {"poll": "1"}, headers={"HX-Request": "true"})["HX-Refresh"] == "true"


def call(*arguments: str) -> tuple[int, str]:
    """The command's exit code and what it says."""
    out = io.StringIO()
    try:
        call_command("compare_replicas", *arguments, stdout=out, stderr=io.StringIO())
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    except CommandError as error:
        return error.returncode, str(error)
    return 0, out.getvalue()


def test_command(fleet: StagedGroup) -> None:
    """The command says what the page says, in words, as JSON and as a table."""
    code, words = call(fleet.group.name)
    assert code == 1 and "1 mismatch, 1 lost, 1 unknown" in words
    assert "mismatch  +++  a  [1 good; 2 damaged; 3 good]" in words and "lost      +-+  b/lost" in words
    code, text = call(str(fleet.group.uuid), "--json", "--kind", "lost")
    assert code == 1 and [json.loads(line)["path"] for line in text.splitlines()] == ["b/lost"]
    assert call(fleet.group.name, "--csv")[1].startswith("kind,path,verdict")
    assert call(fleet.group.name, "--kind", "moved")[0] == 0
    assert call(fleet.group.name, "--at", "2020-01-01T00:00")[0] == 2
    assert call(fleet.group.name, "--at", "tomorrow") == (2, "'tomorrow' is no time: give YYYY-MM-DDTHH:MM")
    assert call("no such group")[0] == 2
    alone = factories.make_replica()
    assert call(alone.group.name) == (2, "the group has fewer than two replicas")


def test_files_say_what_the_page_says(fleet: StagedGroup) -> None:
    """Who does not stand for now, names that are almost alike, digests, and why a copy is good: in each form."""
    fleet.replicas[2].replica.enabled = False
    fleet.replicas[2].replica.save()
    both = [file("a", b"good"), file("b/shut", b"2")]
    fleet.run(0, [*both, file("b/lost", b"1"), file("Photo", b"p")])
    fleet.run(1, [file("a", b"bad"), file("b/shut", b"2"), file("b/lost", b"1"), file("photo", b"q")])
    name = f"{fleet.replicas[2].replica.server.name}:/srv/data"
    text = call(fleet.group.name)[1]
    assert f"3  {name}  run 1" in text and "(off: no vote)" in text and "; alike but for case]" in text
    lines = text.splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith("mismatch  +++  a"))
    assert lines[at + 1].startswith("    ") and "good, SHA-256" in lines[at + 1] and "damaged," in lines[at + 2]
    found = {one["path"]: one for one in map(json.loads, call(fleet.group.name, "--json")[1].splitlines())}
    assert [one["standing"] for one in found["a"]["replicas"]] == ["current", "current", "off"]
    sums = [hashlib.sha256(content).hexdigest() for content in (b"good", b"bad", b"good")]
    assert [one["sha256"] for one in found["a"]["replicas"]] == sums
    assert [line.strip() for line in lines[at + 1 : at + 1 + len(found["a"]["reasons"])]] == found["a"]["reasons"]
    assert found["Photo"]["alike"] == "case" and "reasons" not in found["Photo"] and found["a"]["current"]
    assert "sha256" in found["Photo"]["replicas"][0] and "sha256" not in found["Photo"]["replicas"][1]
    head, *table = csv.reader(io.StringIO(call(fleet.group.name, "--csv")[1]))
    assert head[5:] == [f"{name} (off: no vote)", "alike", "current"]
    assert {row[1]: row[6:] for row in table}["Photo"] == ["case", "yes"]


def test_set_aside_after_three_tries(viewer: Client, fleet: StagedGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison that always fails is set aside with its reason, and made anew when there is something new."""

    def failing(*_given: Any) -> None:
        raise ValueError("it cannot be")

    fleet.run(2, [file("a", b"good")])
    with monkeypatch.context() as patch:
        patch.setattr(store, "gather_divergences", failing)
        for _ in range(2):
            with pytest.raises(ValueError, match="it cannot be"):
                group_comparisons.catch_up(fleet.group.pk)
        group_comparisons.catch_up(fleet.group.pk)
        assert "it cannot be" in GroupComparison.objects.get(moment=None).reason
        assert group_comparisons.groups_to_compare(timezone.now()) == []
    assert "could not be compared" in viewer.get(f"/groups/{fleet.group.uuid}/").content.decode()
    fleet.run(2, [file("a", b"good"), file("b/lost", b"1")])
    assert fleet.compare().counts["lost"] == 2


def test_two_replicas_on_a_server_are_told_apart(viewer: Client, fleet: StagedGroup) -> None:
    """Columns have the names of servers, with the root where one server holds two replicas."""
    one, other, third = (world.replica for world in fleet.replicas)
    other.root, other.server = "/srv/second", one.server
    other.save()
    page = viewer.get(f"/groups/{fleet.group.uuid}/", {"view": "list"}).content.decode()
    assert f"Check {one.server.name}:/srv/second first" in page
    assert f'data-label="{one.server.name}:/srv/data"' in page and f'data-label="{third.server.name}"' in page


def test_open_findings_name_their_replica(viewer: Client, fleet: StagedGroup) -> None:
    """Findings that say the same of different replicas are told apart by where they are."""
    fleet.run(2, [file("a", b"bad"), file("b/lost", b"1"), file("b/shut", b"2")])
    fleet.compare()
    page = viewer.get(f"/groups/{fleet.group.uuid}/").content.decode()
    section = page[page.index("findings-short") :]
    section = section[: section.index("</ul>")]
    ones = [line for line in section.split("<li>") if "changed, date unchanged: a<" in line]
    assert len(ones) == 2
    for at in (1, 2):
        assert sum(f">{display_name(fleet.replicas[at].replica.server.name)} " in line for line in ones) == 1
