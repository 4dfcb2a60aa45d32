"""The page of a replica."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from checker.jobs.run_comparisons import catch_up
from checker.proofs.verifier import verify_run
from scanner.format.records import Note
from scanner.ingest.worker import ingest_replica
from tests.checker import stage
from tests.checker.views.conftest import logged_in
from tests.checker.views.pages import get
from tests.scanner import factories

pytestmark = pytest.mark.django_db


def test_a_replica_shows_runs_charts_and_their_table(viewer: Client) -> None:
    """A replica's page has its status, four charts with the same figures as a table, and its runs."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server, factories.make_group("photos"), "/srv/photos")
    stage.make_history(replica, key, 5)
    page = get(viewer, f"/replicas/{replica.uuid}/")
    assert page.count("<figure") == 4 and page.count('role="img"') >= 3
    assert page.count("<tr ") - page.count('class="more"') == 5
    assert "There are no open findings." in page


def test_runs_come_page_by_page(viewer: Client) -> None:
    """Older runs follow by a link that works without JavaScript; with htmx only the rows come."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    stage.make_history(replica, key, 33, files=1)
    address = f"/replicas/{replica.uuid}/"
    assert f'href="{address}?before=4"' in get(viewer, address)
    rows = get(viewer, f"{address}?before=4", headers={"HX-Request": "true"})
    assert re.findall(r">#(\d+)</a>", rows) == ["3", "2", "1"] and "<html" not in rows
    assert "<html" in get(viewer, f"{address}?before=4")


def test_a_failed_run_is_no_proof_of_the_data(viewer: Client) -> None:
    """The proof of a failed run's statement does not count as a proof of the data."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    stage.make_proof(stage.make_run(replica, key, 0, outcome="failed"))
    last_proven = get(viewer, f"/replicas/{replica.uuid}/").split("Last proven")[1]
    assert last_proven.split("</dd>")[0].split()[-1] == "never"


@pytest.mark.django_db(transaction=True)
def test_misread_files_are_counted(viewer: Client) -> None:
    """Overview and replica count the misread files of the newest complete run, and of no older one."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    files = [factories.file_row("a"), factories.file_row("b", b"b")]
    for misread_paths in (("a", "b"), ("b",), ()):
        notes = [Note(path, "misread", '{"reads":2}') for path in misread_paths]
        factories.accept(replica, key, [*files, *notes])
        ingest_replica(replica.pk)
        catch_up(replica.pk)
        for address in ("/", f"/replicas/{replica.uuid}/"):
            counts = re.findall(r"(\d) files? w\w+ misread at first[^<]*memory, cable", get(viewer, address))
            assert counts == ([str(len(misread_paths))] if misread_paths else [])


@pytest.mark.django_db(transaction=True)
def test_a_proven_run_makes_its_replica_green(viewer: Client) -> None:
    """After ingest, verification and comparison the replica is proven, and the proof is in the page's language."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    run = factories.accept(replica, key, [factories.file_row("a"), factories.file_row("b")])
    assert ingest_replica(replica.pk) == 1
    run.refresh_from_db()
    assert verify_run(run).ok and catch_up(replica.pk) == 1
    assert 'class="state state-proven"' in get(viewer, f"/replicas/{replica.uuid}/")
    page = get(viewer, f"/runs/{run.uuid}/", headers={"Accept-Language": "ru"})
    assert "Каждой строке истории соответствует прогон." in page and "check-bad" not in page


@pytest.mark.django_db(transaction=True)
def test_rows_that_somebody_changed_are_damage(viewer: Client) -> None:
    """When a digest in the table was changed, overview and run say so."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    run = factories.accept(replica, key, [factories.file_row("a"), factories.file_row("b")])
    ingest_replica(replica.pk)
    replica.versions.filter(path="b").update(sha256=b"x" * 32)
    run.refresh_from_db()
    verify_run(run)
    assert "state-damaged" in get(viewer, "/")
    assert "check-bad" in get(viewer, f"/runs/{run.uuid}/")


@pytest.mark.django_db
def test_settings_are_linked_for_those_who_may_change_them() -> None:
    """Administrators go from a page to its settings; operators to a server, where they make tokens; viewers nowhere."""
    replica = factories.make_replica()
    group, server = replica.group, replica.server
    links = {
        f"/groups/{group.uuid}/": reverse("admin:scanner_group_change", args=[group.pk]),
        f"/servers/{server.uuid}/": reverse("admin:scanner_server_change", args=[server.pk]),
        f"/replicas/{replica.uuid}/": reverse("admin:scanner_replica_change", args=[replica.pk]),
    }

    linked = {}
    for role in ("viewer", "operator", "administrator"):
        client = logged_in(role)
        linked[role] = [address for address, link in links.items() if f'"{link}"' in get(client, address)]
        if role != "viewer":
            assert all(address in get(client, link) for address, link in links.items())
    assert linked == {"viewer": [], "operator": [f"/servers/{server.uuid}/"], "administrator": list(links)}
