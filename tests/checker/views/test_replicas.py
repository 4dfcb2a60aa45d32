"""The pages of what is proven, without a browser."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from checker.jobs.run_comparisons import catch_up
from checker.proofs.verifier import verify_run
from scanner.format.records import Note
from scanner.ingest.worker import ingest_replica
from scanner.models import Group, Replica, Run
from tests.checker import stage
from tests.scanner import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer(client: Client) -> Client:
    """A client that a viewer has logged in with."""
    client.force_login(stage.make_user("viewer"))
    return client


def get(client: Client, path: str, **headers: str) -> str:
    """The text of a page that must be there."""
    response = client.get(path, headers=headers)
    assert response.status_code == 200
    return str(response.content.decode())


def proven_run() -> Run:
    """A run of a proven history of five."""
    server, key = stage.make_server("alpha")
    return stage.make_history(factories.make_replica(server, factories.make_group("photos"), "/srv/photos"), key, 5)


@pytest.mark.parametrize(
    "path", ["/", "/running/", f"/replicas/{UUID(int=1)}/", f"/runs/{UUID(int=2)}/", f"/runs/{UUID(int=3)}/tree/"]
)
def test_nobody_sees_anything_without_a_login(client: Client, path: str) -> None:
    """Every page sends a stranger to the login, and back to itself afterwards."""
    response = client.get(path)
    assert (response.status_code, response["Location"]) == (302, f"/login/?next={path}")


def test_a_fragment_sends_the_whole_window_to_the_login(client: Client) -> None:
    """A session that ended while a page polls leads the window to the login, not the fragment."""
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/?name=x"}
    response = client.get("/running/", headers=headers)
    assert response["HX-Redirect"] == "/login/?next=/%3Fname%3Dx"


def test_an_account_without_a_role_sees_nothing(client: Client) -> None:
    """Who has logged in but has no role is told so."""
    client.force_login(User.objects.create_user("new"))
    response = client.get("/")
    assert response.status_code == 403
    assert "no role" in response.content.decode()


def test_pages_are_looked_at_and_not_posted_to(viewer: Client) -> None:
    """A page answers nothing but GET and HEAD, and no cache keeps it."""
    assert viewer.post("/").status_code == 405
    response = viewer.get("/")
    assert "no-store" in response["Cache-Control"] and "HX-Request" in response["Vary"]


def test_the_empty_overview_says_what_to_do_first(viewer: Client) -> None:
    """Without replicas the overview leads through the first steps."""
    assert "Four steps" in get(viewer, "/")
    factories.make_group("photos")
    assert 'class="step-done"><strong>Create a group' in get(viewer, "/")


def test_the_overview_puts_what_is_urgent_first(viewer: Client) -> None:
    """Groups stand in the order of their worst replica, replicas in that of their state."""
    stage.make_overview()
    page = get(viewer, "/")
    heads = re.findall(r'<h2 id="group-\d+"><a [^>]*><bdi class="name">([^<]*)', page)
    assert heads == ["Бухгалтерия 2019–2026", "Photos", "mail"]
    states = re.findall(r'<div class="replica-cell">\s*<span class="state state-(\w+)', page)
    assert states == ["damaged", "attention", "attention", "unknown", "proven", "attention", "unknown"]


def test_the_overview_is_filtered(viewer: Client) -> None:
    """A name finds groups, servers and roots whatever their case; a state shows that state alone."""
    stage.make_overview()
    assert get(viewer, "/?name=БУХГАЛТЕРИЯ").count('class="replica-cell"') == 2
    assert get(viewer, "/?name=GAMMA").count('class="replica-cell"') == 2
    assert get(viewer, "/?state=proven").count('class="replica-cell"') == 1
    assert "No results." in get(viewer, "/?name=nowhere")
    assert "No results." in get(viewer, "/?name=nowhere%00"), "no name holds a NUL"


def test_the_overview_asks_little_of_the_database(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """However many replicas there are, the number of queries is the same."""
    stage.make_overview()
    with django_assert_max_num_queries(23):  # one of them counts what was read wrong at first, of all newest runs
        get(viewer, "/")


def test_what_is_archived_is_not_shown(viewer: Client) -> None:
    """Archived replicas, groups and servers leave the overview."""
    world = stage.make_overview()
    Replica.objects.filter(pk=world["proven"].pk).update(archived_at=timezone.now())
    Group.objects.filter(name="mail").update(archived_at=timezone.now())
    page = get(viewer, "/")
    assert "/srv/photos" not in page and "/var/mail" not in page


def test_what_runs_is_shown_and_its_end_is_told(viewer: Client) -> None:
    """The fragment of running runs polls itself, and tells the page when one began or ended."""
    going = stage.make_progress(factories.make_replica())
    assert f"/runs/{going.uuid}/" in get(viewer, "/")
    assert "HX-Trigger" not in viewer.get(f"/running/?were={going.uuid}")
    going.delete()
    assert viewer.get(f"/running/?were={going.uuid}")["HX-Trigger"] == '{"runs-changed": {}}'


def test_a_replica_shows_runs_charts_and_their_table(viewer: Client) -> None:
    """A replica's page has its state, four charts with the same figures as a table, and its runs."""
    run = proven_run()
    page = get(viewer, f"/replicas/{run.replica.uuid}/")
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
    rows = get(viewer, f"{address}?before=4", **{"HX-Request": "true"})
    assert re.findall(r">#(\d+)</a>", rows) == ["3", "2", "1"] and "<html" not in rows
    assert "<html" in get(viewer, f"{address}?before=4")


def test_a_run_tells_who_signed_what_and_what_was_proven(viewer: Client) -> None:
    """A run's page names key, engine, file system, neighbours and each check of its proof."""
    run = proven_run()
    assert run.key is not None
    page = get(viewer, f"/runs/{run.uuid}/")
    for part in (run.key.keyid, "hashlib", "ext4", "byte for byte", "Run 4", "check-ok", "&quot;sequence&quot;: 5"):
        assert part in page
    assert "check-bad" not in page


def test_a_run_whose_proof_failed_says_so(viewer: Client) -> None:
    """A verification that does not hold is red in words, and says when it last held."""
    run = proven_run()
    stage.make_proof(run, ok=False)
    page = get(viewer, f"/runs/{run.uuid}/")
    assert (
        "Verification failed: the stored data is not what this server signed." in page
        and "check-bad" in page
        and "never proven" in page
    )


def test_a_failed_run_says_why(viewer: Client) -> None:
    """A failed run shows its reason, escaped, and links to no entries."""
    server, key = stage.make_server("alpha")
    failed = stage.make_run(factories.make_replica(server), key, 0, outcome="failed", reason="<b>gone</b>\u202e")
    page = get(viewer, f"/runs/{failed.uuid}/")
    assert "&lt;b&gt;gone&lt;/b&gt;" in page and "\\u202e" in page and "/entries/" not in page
    assert viewer.get(f"/runs/{failed.uuid}/entries/").status_code == 404


def test_an_envelope_that_somebody_broke_is_told_and_not_obeyed(viewer: Client) -> None:
    """A run whose stored envelope cannot be read is shown all the same, with a word about it."""
    run = proven_run()
    Run.objects.filter(pk=run.pk).update(envelope=b"rubbish")
    assert "The stored statement can no longer be read." in get(viewer, f"/runs/{run.uuid}/")


def test_a_run_is_watched_before_it_has_arrived(viewer: Client) -> None:
    """The page of a run exists from its first message on, by the run's own uuid."""
    going = stage.make_progress(factories.make_replica())
    page = get(viewer, f"/runs/{going.uuid}/")
    assert "34 %" in page and "IMG_2041" in page and "\\n" in page and "every 2s" in page
    assert viewer.get(f"/runs/{uuid4()}/").status_code == 404


def test_progress_polls_until_the_run_is_proven(viewer: Client) -> None:
    """The fragment polls while something will happen, and makes the page anew when there is more to show."""
    server, key = stage.make_server("alpha")
    run = stage.make_run(factories.make_replica(server), key)
    address = f"/runs/{run.uuid}/progress/"
    assert viewer.get(f"{address}?stage=running")["HX-Refresh"] == "true"
    assert "Arrived; being ingested" in get(viewer, f"{address}?stage=received")
    stage.mark_ingested(run)
    assert "Ingested; being verified" in get(viewer, f"{address}?stage=ingested")
    stage.make_proof(run)
    assert viewer.get(f"{address}?stage=ingested")["HX-Refresh"] == "true"
    assert "hx-trigger" not in get(viewer, f"/runs/{run.uuid}/")


def test_progress_that_is_lost_ends_by_itself(viewer: Client) -> None:
    """A fragment of a run of which nothing is known any more stops polling."""
    assert "hx-trigger" not in get(viewer, f"/runs/{uuid4()}/progress/?stage=running")


def test_a_silent_server_is_named(viewer: Client) -> None:
    """A run whose server says nothing for over a minute is shown as silent, and polled less often."""
    going = stage.make_progress(factories.make_replica(), updated_at=timezone.now() - timedelta(minutes=2))
    page = get(viewer, f"/runs/{going.uuid}/")
    assert "silent" in page and "every 15s" in page


def test_health_needs_no_login(client: Client, settings: Settings, tmp_path: Path) -> None:
    """The health address says whether database and tasks work, and fails while the cluster has never beaten."""
    settings.BACKUP_SYNCER_BEAT = tmp_path
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (503, {"database": True, "tasks": False})
    (tmp_path / "beat").touch()
    assert client.get("/healthz").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_run_that_was_really_taken_in_and_proven(client: Client) -> None:
    """After ingest and verification the overview is green, and the proof speaks the language of the page."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    run = factories.accept(replica, key, [factories.file_row("a"), factories.file_row("b")])
    assert ingest_replica(replica.pk) == 1
    run.refresh_from_db()
    assert verify_run(run).ok and catch_up(replica.pk) == 1
    client.force_login(stage.make_user("viewer"))
    assert 'class="state state-proven"' in get(client, f"/replicas/{replica.uuid}/")
    page = get(client, f"/runs/{run.uuid}/", **{"Accept-Language": "ru"})
    assert "Каждой строке истории соответствует прогон." in page and "check-bad" not in page


@pytest.mark.django_db(transaction=True)
def test_what_was_read_wrong_at_first_is_told(client: Client) -> None:
    """Overview and replica say how many files of the newest complete run that befell, and of no older one."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    files = [factories.file_row("a"), factories.file_row("b", b"b")]
    client.force_login(stage.make_user("viewer"))
    for wrong in (("a", "b"), ("b",), ()):
        factories.accept(replica, key, [*files, *(Note(path, "misread", '{"reads":2}') for path in wrong)])
        ingest_replica(replica.pk)
        catch_up(replica.pk)
        for address in ("/", f"/replicas/{replica.uuid}/"):
            told = re.findall(r"(\d) files? w\w+ misread at first[^<]*memory, cable", get(client, address))
            assert told == ([str(len(wrong))] if wrong else [])


@pytest.mark.django_db(transaction=True)
def test_rows_that_somebody_changed_are_damage(client: Client) -> None:
    """When a digest in the table was changed, overview and run say so, and name the path."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    run = factories.accept(replica, key, [factories.file_row("a"), factories.file_row("b")])
    ingest_replica(replica.pk)
    replica.versions.filter(path="b").update(sha256=b"x" * 32)
    run.refresh_from_db()
    verify_run(run)
    client.force_login(stage.make_user("viewer"))
    assert "state-damaged" in get(client, "/")
    assert "check-bad" in get(client, f"/runs/{run.uuid}/")


def test_a_failed_run_is_no_proof_of_the_data(viewer: Client) -> None:
    """The proof of a failed run's statement does not count as when the data was last proven."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    stage.make_proof(stage.make_run(replica, key, 0, outcome="failed"))
    assert "never" in get(viewer, f"/replicas/{replica.uuid}/").split("Last proven")[1][:120]
