"""The pages of changes, findings and paths, over real runs."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from checker.findings import actions
from checker.jobs import run_comparisons
from checker.models import Comparison, Finding
from scanner.export.csv import escape_formula
from scanner.format.records import Record
from scanner.models import Replica, Run
from tests.checker import stage
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, change_kinds, file
from tests.scanner import factories
from tests.scanner.factories import error_row, link_row

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = "d/<script>alert(1)</script>\n\u202e.jpg"


@pytest.fixture
def client() -> Client:
    """Somebody who may look."""
    made = Client()
    made.force_login(stage.make_user("viewer"))
    return made


@pytest.fixture
def operator() -> Client:
    """Somebody who may act."""
    made = Client()
    made.force_login(stage.make_user("operator"))
    return made


def history() -> StagedReplica:
    """Three runs in which most kinds of change happen, and a failed one between."""
    world = StagedReplica()
    world.run(
        [
            file("d/old", b"1"),
            file("d/sub/a"),
            file("d/sub/b", b"2"),
            file(HOSTILE, b"3"),
            file("top", b"4"),
            link_row("l", "x"),
        ]
    )
    world.run([], outcome="failed")
    first = world.replica.runs.get(sequence=1)
    changed: list[Record] = [
        file("e/old", b"1"), file("d/sub/a", b"rotten!"), file(HOSTILE, b"3!", mtime_ns=LATER_MTIME), error_row("top"),
        link_row("l", "y"), file("+new", b"5"), confirmed_note("d/sub/a", str(first.uuid)),
    ]  # fmt: skip
    world.run(changed)
    world.compare()
    return world


def text(client: Client, url: str, status: int = 200, **headers: Any) -> str:
    """A page."""
    response = client.get(url, headers=headers)
    assert response.status_code == status, (url, response.status_code)
    return response.content.decode()


def hidden(page: str) -> str:
    """What the page's form tells that its reader has looked at."""
    (seen,) = re.findall(r'name="seen" value="([^"]+)"', page)
    return str(seen)


def pair(world: StagedReplica) -> tuple[Run, Run]:
    """The first and the last run."""
    return world.replica.runs.get(sequence=1), world.replica.runs.get(sequence=3)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_diff_page(client: Client, language: str) -> None:
    """The kinds are filters with their numbers; hostile names are shown and not obeyed; a skipped run is named."""
    world = history()
    client.cookies["django_language"] = language
    found = text(client, reverse("changes", args=[pair(world)[1].uuid]))
    assert "<script>alert" not in found and "&lt;script&gt;alert" in found and "\\u202e" in found
    assert 'lang="' + language + '"' in found and "#2" in found
    shown = dict(
        re.findall(r'kind-chip change-(\w+)" href="[^"]*" ><span class="sign"[^/]*/span> [^<]*<strong>(\d+)', found)
    )
    assert shown == {
        "corrupted": "1",
        "unreadable": "1",
        "removed": "1",
        "modified": "1",
        "retyped": "1",
        "added": "1",
        "moved": "1",
    }


def test_filters_tree_and_search(client: Client) -> None:
    """A kind, a directory and a text narrow the list; the tree leads down to what changed."""
    world = history()
    url = reverse("changes", args=[pair(world)[1].uuid])
    assert len(re.findall(r'class="entry"', text(client, url + "?kind=corrupted&kind=added"))) == 2
    assert len(re.findall(r'class="entry"', text(client, url + "?search=sub"))) == 2
    tree = text(client, url + "?view=tree")
    assert "below=d%2F" in tree and "below=e%2F" in tree and len(re.findall(r'class="entry"', tree)) == 3
    below = text(client, url + "?view=tree&below=d/")
    assert "below=d%2Fsub%2F" in below and len(re.findall(r'class="entry"', below)) == 1
    assert "No results." in text(client, url + "?search=nowhere")
    assert text(client, url + "?after=nonsense", 404)


def test_every_change_is_on_one_page_once(client: Client) -> None:
    """The pages of a long list hold each change once, in the order of the paths."""
    world = StagedReplica()
    names = [f"f{number:04d}" for number in range(250)]
    world.run([file(name, name.encode()) for name in names])
    run = world.run([file(name, b"x" + name.encode(), mtime_ns=LATER_MTIME) for name in names])
    world.compare()
    url, seen = reverse("changes", args=[run.uuid]), []
    found = text(client, url)
    while True:
        seen += re.findall(r'class="leaf"><bdi class="name">([^<]+)', found)
        more = re.search(r'class="more">.*?href="([^"]+)"', found)
        if not more:
            break
        found = text(client, url + more[1].replace("&amp;", "&"), hx_request="true")
        assert "<html" not in found
    assert seen == names


def test_any_two_runs(client: Client) -> None:
    """Two numbers lead to a page; the order is put right; what is no pair is not found."""
    world = history()
    world.run([file("d/old", b"1")])
    first, third = pair(world)
    newest = world.replica.runs.get(sequence=4)
    response = client.get(reverse("compare", args=[world.replica.uuid]) + "?from=4&to=1", follow=True)
    assert response.redirect_chain[-1][0] == reverse("diff", args=[first.uuid, newest.uuid])
    assert Comparison.objects.get(base=first, run=newest).adjacent is False
    turned = reverse("diff", args=[newest.uuid, first.uuid])
    assert client.get(turned + "?kind=moved")["Location"].endswith("?kind=moved")
    for query, message in (
        ("?from=1&to=2", "Run 2 is not complete"),
        ("?from=x&to=1", "Enter the numbers of two runs."),
        ("", "Enter the numbers of two runs."),
        ("?from=1&to=99", "has no run 99"),
        ("?from=1&to=1", "Choose two different runs."),
    ):
        answer = client.get(reverse("compare", args=[world.replica.uuid]) + query, follow=True)
        assert answer.status_code == 200 and message in answer.content.decode()
    other = StagedReplica().run([file("a")])
    text(client, reverse("diff", args=[first.uuid, other.uuid]), 404)
    text(client, reverse("diff", args=[third.uuid, third.uuid]), 404)


def test_waiting_comparison(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison of far runs shows how far it is, and the page comes anew when it is done."""
    world = history()
    world.run([file("d/old", b"1")])
    monkeypatch.setattr(run_comparisons, "IMMEDIATE_VERSIONS", 0)
    first, newest = world.replica.runs.get(sequence=1), world.replica.runs.get(sequence=4)
    url = reverse("diff", args=[first.uuid, newest.uuid])
    found = text(client, url)
    assert "<progress" in found and "poll=1" in found
    assert "<progress" in text(client, url + "?poll=1", hx_request="true")
    run_comparisons.compute(Comparison.objects.get(base=first, run=newest).pk)
    assert client.get(url + "?poll=1", headers={"hx-request": "true"})["HX-Refresh"] == "true"
    assert "kind-chip" in text(client, url)


def test_downloads(client: Client) -> None:
    """Both files hold what the page shows; a cell is no formula; the name is made of ids."""
    world = history()
    first, third = pair(world)
    url = reverse("diff-download", args=[first.uuid, third.uuid])
    response = client.get(url + "?format=jsonl")
    lines = [json.loads(line) for line in response.getvalue().splitlines()]
    comparison = run_comparisons.get_or_request(first, third)
    assert {one["path"]: one["kind"] for one in lines} == {
        path: kind for path, kind in change_kinds(comparison).items() if not kind.startswith("-")
    }
    assert next(one for one in lines if one["kind"] == "corrupted")["notes"]["confirmed"]["cold"] is True
    assert re.fullmatch(r'attachment; filename="[\w.-]+"', response["Content-Disposition"])
    table = client.get(url + "?format=csv&kind=added").getvalue().decode()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [(row["kind"], row["path"]) for row in rows] == [("added", "'+new")]
    assert [escape_formula(text) for text in ("=1+1", "'=1+1", "a")] == ["'=1+1", "''=1+1", "a"]
    text(client, url + "?format=exe", 404)


def test_first_run_and_no_change(client: Client) -> None:
    """A first run, and a run that changed nothing, say so."""
    world = StagedReplica()
    first = world.run([file("a")])
    second = world.run([file("a")])
    world.compare()
    assert "The first run" in text(client, reverse("changes", args=[first.uuid]))
    assert "Nothing changed" in text(client, reverse("changes", args=[second.uuid]))


def test_file_page(client: Client) -> None:
    """The life of a path tells each time in it, and what the other replicas hold under it now."""
    world = history()
    other = factories.make_replica(group=world.replica.group, root="/other")
    far = StagedReplica()
    far.replica, far.signer = other, factories.make_key(other.server)
    far.run([file("d/sub/a")])
    far.compare()
    url = reverse("file", args=[world.replica.uuid])
    found = text(client, url + "?path=d/sub/a")
    assert re.findall(r'<span class="letter">(\w)', found) == ["B", "A", "A"] and "different content" in found
    assert "change-corrupted" in found and "reason muted" in found
    gone = text(client, url + "?path=d/old")
    assert "not present" in gone and "e/old" in gone
    assert "or of the other replicas of its group" in text(client, url + "?path=never", 404)
    text(client, url, 404)
    assert "<script>alert" not in text(client, url + "?path=" + HOSTILE.replace("\n", "%0A"))


def test_findings_pages(client: Client, operator: Client) -> None:
    """Who may act accepts with a reason and undoes it; who may only look cannot; each page says why and what next."""
    history()
    listed = text(client, reverse("findings"))
    assert listed.count("finding-link") == 2 and "corrupted: d/sub/a" in listed
    finding = Finding.objects.get(kind="corrupted")
    url = reverse("finding", args=[finding.uuid])
    page = text(client, url)
    assert "act-form" not in page and "not from cache" in page and "Restore" not in page.split("<h1")[0]
    assert client.post(reverse("finding-act", args=[finding.uuid, "accept"]), {"reason": "x"}).status_code == 403
    act = reverse("finding-act", args=[finding.uuid, "accept"])
    assert operator.get(act).status_code == 405
    assert "act-form" in text(operator, url)
    seen = {"seen": hidden(text(operator, url))}
    assert operator.post(act, {"reason": ""} | seen).status_code == 422
    assert operator.post(act, {"reason": "known <b>", "until": "2020-01-01"} | seen).status_code == 422
    assert operator.post(act, {"reason": "known <b>"}).status_code == 422
    assert operator.post(act, {"reason": "known <b>"} | seen).status_code == 302
    assert operator.post(act, {"reason": "twice"} | seen).status_code == 422
    shown = text(operator, url)
    assert "known &lt;b&gt;" in shown and "<b>" not in shown
    undo = reverse("finding-act", args=[finding.uuid, "undo"])
    assert operator.post(undo, {"reason": "no"}).status_code == 302
    finding.refresh_from_db()
    assert finding.state == "open"
    assert operator.post(reverse("finding-act", args=[finding.uuid, "other"]), {"reason": "x"}).status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(stage.make_user("operator"))
    assert strict.post(act, {"reason": "x"}).status_code == 403


def test_many_at_once(operator: Client) -> None:
    """Several are accepted for one reason, but never damage."""
    history()
    damage, other = Finding.objects.get(kind="corrupted"), Finding.objects.get(kind="unreadable")
    listed = text(operator, reverse("findings") + "?kind=unreadable")
    assert f"{reverse('findings-accept')}?kind=unreadable" in listed
    (chosen,) = re.findall(r'name="finding" value="([^"]+)"', listed)
    assert chosen.startswith(f"{other.uuid} ")
    url = reverse("findings-accept")
    operator.post(url, {"finding": [f"{damage.uuid} {actions.revision(damage)}", chosen], "reason": "all"})
    operator.post(url, {"finding": [other.uuid], "reason": "unseen"})
    assert Finding.objects.filter(state="open").count() == 2
    done = operator.post(url + "?kind=unreadable", {"finding": [chosen, "nonsense"], "reason": "rights"})
    assert done["Location"] == reverse("findings") + "?kind=unreadable"
    other.refresh_from_db()
    assert other.state == "accepted" and other.reason == "rights"
    for query in (
        "?state=accepted",
        "?kind=unreadable&state=",
        "?severity=2",
        "?search=top&state=",
        "?group=x",
        "?severity=x",
    ):
        text(operator, reverse("findings") + query)
    text(operator, reverse("findings") + "?after=x", 404)


@pytest.mark.parametrize("what", ["grows", "gets graver", "is held again"])
def test_nothing_is_accepted_unseen(operator: Client, what: str) -> None:
    """What grew or got graver since the page was loaded is refused in words, and accepted when it was looked at."""
    held = what == "is held again"
    world = StagedReplica(**({"limit_files": 0} if held else {"policy": "append_only", "limit_files": 1000}))
    names = [f"d/{number:02d}" for number in range(60)]
    for gone in (0, 30):
        world.run([file(name, name.encode()) for name in names[gone:]])
        world.compare()
    finding = Finding.objects.get()
    url, listed = reverse("finding", args=[finding.uuid]), text(operator, reverse("findings"))
    act = reverse("finding-act", args=[finding.uuid, "release" if held else "accept"])
    stale = {"reason": "tidied up", "seen": hidden(text(operator, url))}
    if what == "gets graver":
        Finding.objects.update(severity=Finding.Severity.CRITICAL)
    else:
        world.run([file(name, name.encode()) for name in names[55:]])
        world.compare()
    answer = operator.post(act, stale)
    page = answer.content.decode()
    assert answer.status_code == 422 and "Check it again" in page and hidden(page) != stale["seen"]
    if what == "grows":
        many = {"finding": re.findall(r'name="finding" value="([^"]+)"', listed), "reason": "tidied up"}
        answer = operator.post(reverse("findings-accept"), many, follow=True)
        assert "Check it again" in answer.content.decode()
    assert Finding.objects.get().state == "open"
    assert operator.post(act, stale | {"seen": hidden(page)}).status_code == 302
    assert Finding.objects.get().state == "accepted"


def test_folded_finding_lists_its_paths(client: Client) -> None:
    """A folded finding shows each path that it tells, page by page."""
    world = StagedReplica(policy="immutable", limit_files=1000)
    world.run([file(f"d/{number:03d}", str(number).encode()) for number in range(150)])
    world.run([file(f"d/{number:03d}", b"x" + str(number).encode(), mtime_ns=LATER_MTIME) for number in range(150)])
    world.compare()
    finding = Finding.objects.get(kind="modified")
    page = text(client, reverse("finding", args=[finding.uuid]))
    assert page.count("entry-name") == 100
    more = re.search(r'href="(\?after=[^"]+)"', page)
    assert more is not None
    assert text(client, reverse("finding", args=[finding.uuid]) + more[1]).count("entry-name") == 50


def test_replica_page_and_overview(client: Client) -> None:
    """The state is that of what is open, in one line that leads to it; the chart tells changes by kind."""
    world = history()
    replica: Replica = world.replica
    page = text(client, reverse("replica", args=[replica.uuid]))
    assert "state-damaged" in page and "piece-corrupted" in page and "findings-short" in page
    overview = text(client, "/")
    assert "corrupted: d/sub/a (since run 3)" in overview and "count-bad" in overview
    with translation.override("ru"):
        client.cookies["django_language"] = "ru"
        assert text(client, reverse("findings"))


def test_nobody_sees_without_a_login() -> None:
    """Every page sends strangers to the login."""
    world = history()
    first, third = pair(world)
    finding = Finding.objects.first()
    assert finding is not None
    for url in (
        reverse("changes", args=[third.uuid]), reverse("diff", args=[first.uuid, third.uuid]), reverse("findings"),
        reverse("diff-download", args=[first.uuid, third.uuid]) + "?format=csv",
        reverse("finding", args=[finding.uuid]), reverse("file", args=[world.replica.uuid]) + "?path=top",
    ):  # fmt: skip
        response = Client().get(url)
        assert response.status_code == 302 and "/login/" in response["Location"], url
    assert Client().post(reverse("finding-act", args=[finding.uuid, "accept"]), {"reason": "x"}).status_code == 302
    finding.refresh_from_db()
    assert finding.state == "open"
