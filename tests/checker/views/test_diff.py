"""The pages of changes, over real runs."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from django.test import Client
from django.urls import reverse

from checker.jobs import run_comparisons
from checker.models import Comparison
from scanner.export.csv import escape_formula
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, change_kinds, file
from tests.checker.views.pages import get, leaf_names, next_page_address
from tests.checker.views.staged_history import first_and_third_run, staged_history

pytestmark = pytest.mark.django_db(transaction=True)

FILTER_OPTION = re.compile(
    r'kind-chip change-(\w+)" href="[^"]*"\s*>\s*<span class="sign"[^/]*/span>\s*[^<]*<strong>(\d+)'
)


def count_entries(page: str) -> int:
    """Return how many rows of paths a page has."""
    return page.count('class="entry"')


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_page_of_changes(viewer: Client, language: str) -> None:
    """The kinds are filters with their numbers; hostile names are not obeyed; a skipped run is named."""
    _first, third = first_and_third_run(staged_history())
    viewer.cookies["django_language"] = language
    page = get(viewer, reverse("changes", args=[third.uuid]))
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page and "\\u202e" in page
    assert f'lang="{language}"' in page and "#2" in page
    assert dict(FILTER_OPTION.findall(page)) == {
        "corrupted": "1",
        "unreadable": "1",
        "removed": "1",
        "modified": "1",
        "retyped": "1",
        "added": "1",
        "moved": "1",
    }


def test_filters_tree_and_search(viewer: Client) -> None:
    """A kind, a directory and a text narrow the list; the tree leads down to what changed."""
    _first, third = first_and_third_run(staged_history())
    address = reverse("changes", args=[third.uuid])
    assert count_entries(get(viewer, address + "?kind=corrupted&kind=added")) == 2
    assert count_entries(get(viewer, address + "?search=sub")) == 2
    tree = get(viewer, address + "?view=tree")
    assert "below=d%2F" in tree and "below=e%2F" in tree and count_entries(tree) == 3
    directory = get(viewer, address + "?view=tree&below=d/")
    assert "below=d%2Fsub%2F" in directory and count_entries(directory) == 1
    assert "No results." in get(viewer, address + "?search=nowhere")
    get(viewer, address + "?after=nonsense", 404)


def test_every_change_is_on_one_page_once(viewer: Client) -> None:
    """The pages of a long list hold each change once, in the order of the paths."""
    replica = StagedReplica()
    names = [f"f{number:04d}" for number in range(250)]
    replica.run([file(name, name.encode()) for name in names])
    run = replica.run([file(name, b"x" + name.encode(), mtime_ns=LATER_MTIME) for name in names])
    replica.compare()

    address = reverse("changes", args=[run.uuid])
    page = get(viewer, address)
    listed = leaf_names(page)
    while next_page := next_page_address(page):
        page = get(viewer, address + next_page, headers={"HX-Request": "true"})
        assert "<html" not in page
        listed += leaf_names(page)
    assert listed == names


def test_any_two_runs(viewer: Client) -> None:
    """Two numbers lead to a page, in whichever order; what is no pair is refused with the reason."""
    replica = staged_history()
    replica.run([file("d/old", b"1")])
    first, third = first_and_third_run(replica)
    newest = replica.replica.runs.get(sequence=4)
    compare_address = reverse("compare", args=[replica.replica.uuid])
    response = viewer.get(compare_address + "?from=4&to=1", follow=True)
    assert response.redirect_chain[-1][0] == reverse("diff", args=[first.uuid, newest.uuid])
    assert Comparison.objects.get(base=first, run=newest).adjacent is False
    reversed_address = reverse("diff", args=[newest.uuid, first.uuid])
    assert viewer.get(reversed_address + "?kind=moved")["Location"].endswith("?kind=moved")

    for query, message in (
        ("?from=1&to=2", "Run 2 is not complete"),
        ("?from=x&to=1", "Enter the numbers of two runs."),
        ("", "Enter the numbers of two runs."),
        ("?from=1&to=99", "has no run 99"),
        ("?from=1&to=1", "Choose two different runs."),
    ):
        response = viewer.get(compare_address + query, follow=True)
        assert response.status_code == 200 and message in response.content.decode()

    run_of_another_replica = StagedReplica().run([file("a")])
    get(viewer, reverse("diff", args=[first.uuid, run_of_another_replica.uuid]), 404)
    get(viewer, reverse("diff", args=[third.uuid, third.uuid]), 404)


def test_waiting_comparison(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison of distant runs shows its progress, and the page reloads when it is done."""
    replica = staged_history()
    replica.run([file("d/old", b"1")])
    monkeypatch.setattr(run_comparisons, "IMMEDIATE_VERSIONS", 0)
    first = replica.replica.runs.get(sequence=1)
    newest = replica.replica.runs.get(sequence=4)
    address = reverse("diff", args=[first.uuid, newest.uuid])
    page = get(viewer, address)
    assert "<progress" in page and "poll=1" in page
    assert "<progress" in get(viewer, address + "?poll=1", headers={"HX-Request": "true"})
    run_comparisons.compute(Comparison.objects.get(base=first, run=newest).pk)
    assert viewer.get(address + "?poll=1", headers={"hx-request": "true"})["HX-Refresh"] == "true"
    assert "kind-chip" in get(viewer, address)


def test_downloads(viewer: Client) -> None:
    """Both files hold what the page shows; a cell is no formula; the name is made of ids."""
    first, third = first_and_third_run(staged_history())
    address = reverse("diff-download", args=[first.uuid, third.uuid])
    response = viewer.get(address + "?format=jsonl")
    changes = [json.loads(line) for line in response.getvalue().splitlines()]
    kinds = change_kinds(run_comparisons.get_or_request(first, third))
    assert {change["path"]: change["kind"] for change in changes} == {
        path: kind for path, kind in kinds.items() if not kind.startswith("-")
    }
    (corrupted,) = [change for change in changes if change["kind"] == "corrupted"]
    assert corrupted["notes"]["confirmed"]["cold"] is True
    assert re.fullmatch(r'attachment; filename="[\w.-]+"', response["Content-Disposition"])

    table = viewer.get(address + "?format=csv&kind=added").getvalue().decode()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [(row["kind"], row["path"]) for row in rows] == [("added", "'+new")]
    assert [escape_formula(text) for text in ("=1+1", "'=1+1", "a")] == ["'=1+1", "''=1+1", "a"]
    get(viewer, address + "?format=exe", 404)


def test_first_run_and_no_change(viewer: Client) -> None:
    """A first run, and a run that changed nothing, say so."""
    replica = StagedReplica()
    first = replica.run([file("a")])
    second = replica.run([file("a")])
    replica.compare()
    assert "The first run" in get(viewer, reverse("changes", args=[first.uuid]))
    assert "Nothing changed" in get(viewer, reverse("changes", args=[second.uuid]))


def test_nobody_sees_changes_without_a_login() -> None:
    """Every page of changes sends strangers to the login."""
    first, third = first_and_third_run(staged_history())
    for address in (
        reverse("changes", args=[third.uuid]),
        reverse("diff", args=[first.uuid, third.uuid]),
        reverse("diff-download", args=[first.uuid, third.uuid]) + "?format=csv",
    ):
        response = Client().get(address)
        assert response.status_code == 302 and "/login/" in response["Location"], address
