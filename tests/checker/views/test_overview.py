"""The overview and the runs in progress on it."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from scanner.models import Group, Replica
from tests.checker import stage
from tests.checker.views.pages import get
from tests.scanner import factories

pytestmark = pytest.mark.django_db
MAX_QUERIES = 32
"""One of them counts the misread files of all newest runs; four look for steps of judging that fail."""


@pytest.mark.parametrize(
    "address", ["/", "/running/", f"/replicas/{UUID(int=1)}/", f"/runs/{UUID(int=2)}/", f"/runs/{UUID(int=3)}/tree/"]
)
def test_nobody_sees_anything_without_a_login(client: Client, address: str) -> None:
    """Every page sends a stranger to the login, and back to itself afterwards."""
    response = client.get(address)
    assert (response.status_code, response["Location"]) == (302, f"/login/?next={address}")


def test_a_fragment_sends_the_whole_window_to_the_login(client: Client) -> None:
    """A session that ended while a page polls sends the window to the login, not the fragment."""
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/?name=x"}
    response = client.get("/running/", headers=headers)
    assert response["HX-Redirect"] == "/login/?next=/%3Fname%3Dx"


def test_an_account_without_a_role_sees_nothing(client: Client) -> None:
    """Who has logged in but has no role reads why nothing is shown."""
    client.force_login(User.objects.create_user("new"))
    assert "no role" in get(client, "/", 403)


def test_pages_are_read_and_not_posted_to(viewer: Client) -> None:
    """A page answers nothing but GET and HEAD, and no cache keeps it."""
    assert viewer.post("/").status_code == 405
    response = viewer.get("/")
    assert "no-store" in response["Cache-Control"] and "HX-Request" in response["Vary"]


def test_the_empty_overview_says_what_to_do_first(viewer: Client) -> None:
    """Without replicas the overview shows the first steps."""
    assert "Four steps" in get(viewer, "/")
    factories.make_group("photos")
    assert re.search(r'class="step-done">\s*<strong>Create a group', get(viewer, "/"))


def test_the_overview_puts_what_is_urgent_first(viewer: Client) -> None:
    """Groups stand in the order of their worst replica, replicas in that of their status."""
    stage.make_overview()
    page = get(viewer, "/")
    heads = re.findall(r'<h2 id="group-\d+"><a [^>]*><bdi class="name">([^<]*)', page)
    assert heads == ["Бухгалтерия 2019–2026", "Photos", "mail"]
    statuses = re.findall(r'<div class="replica-cell">\s*<span class="state state-(\w+)', page)
    assert statuses == ["damaged", "attention", "attention", "unknown", "proven", "attention", "unknown"]


def test_the_overview_is_filtered(viewer: Client) -> None:
    """A name matches groups, servers and roots in any case; a status shows that status alone."""
    stage.make_overview()
    assert get(viewer, "/?name=БУХГАЛТЕРИЯ").count('class="replica-cell"') == 2
    assert get(viewer, "/?name=GAMMA").count('class="replica-cell"') == 2
    assert get(viewer, "/?state=proven").count('class="replica-cell"') == 1
    assert "No results." in get(viewer, "/?name=nowhere")
    assert "No results." in get(viewer, "/?name=nowhere%00"), "no name contains a NUL"


def test_the_overview_asks_little_of_the_database(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """The number of queries does not depend on the number of replicas."""
    stage.make_overview()
    with django_assert_max_num_queries(MAX_QUERIES):
        get(viewer, "/")


def test_what_is_archived_is_not_shown(viewer: Client) -> None:
    """Archived replicas, groups and servers leave the overview."""
    world = stage.make_overview()
    Replica.objects.filter(pk=world["proven"].pk).update(archived_at=timezone.now())
    Group.objects.filter(name="mail").update(archived_at=timezone.now())
    page = get(viewer, "/")
    assert "/srv/photos" not in page and "/var/mail" not in page


def test_runs_in_progress_are_shown_until_they_end(viewer: Client) -> None:
    """The fragment polls itself, and tells the page when a run started or ended."""
    progress = stage.make_progress(factories.make_replica())
    assert f"/runs/{progress.uuid}/" in get(viewer, "/")
    assert "HX-Trigger" not in viewer.get(f"/running/?were={progress.uuid}")
    progress.delete()
    assert viewer.get(f"/running/?were={progress.uuid}")["HX-Trigger"] == '{"runs-changed": {}}'
