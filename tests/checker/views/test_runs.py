"""The page of a run, from its first message to its proof."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from scanner.models import Run
from tests.checker import stage
from tests.checker.views.pages import get
from tests.scanner import factories

pytestmark = pytest.mark.django_db


def proven_run() -> Run:
    """Return the newest run of a proven history of five."""
    server, key = stage.make_server("alpha")
    return stage.make_history(factories.make_replica(server, factories.make_group("photos"), "/srv/photos"), key, 5)


def test_a_run_shows_who_signed_what_and_what_was_proven(viewer: Client) -> None:
    """A run's page names key, engine, file system, neighbours and each check of its proof."""
    run = proven_run()
    assert run.key is not None
    page = get(viewer, f"/runs/{run.uuid}/")
    for part in (run.key.keyid, "hashlib", "ext4", "byte for byte", "Run 4", "check-ok", "&quot;sequence&quot;: 5"):
        assert part in page
    assert "check-bad" not in page


def test_a_run_whose_verification_failed_says_so(viewer: Client) -> None:
    """A failed verification is red and in words, and the page says when the run was last proven."""
    run = proven_run()
    stage.make_proof(run, ok=False)
    page = get(viewer, f"/runs/{run.uuid}/")
    assert "Verification failed: the stored data is not what this server signed." in page
    assert "check-bad" in page and "never proven" in page


def test_a_failed_run_says_why(viewer: Client) -> None:
    """A failed run shows its reason, escaped, and links to no entries."""
    server, key = stage.make_server("alpha")
    failed = stage.make_run(factories.make_replica(server), key, 0, outcome="failed", reason="<b>gone</b>\u202e")
    page = get(viewer, f"/runs/{failed.uuid}/")
    assert "&lt;b&gt;gone&lt;/b&gt;" in page and "\\u202e" in page and "/entries/" not in page
    assert viewer.get(f"/runs/{failed.uuid}/entries/").status_code == 404


def test_a_broken_envelope_is_reported_and_not_obeyed(viewer: Client) -> None:
    """A run whose stored envelope cannot be read is shown all the same, and the page says so."""
    run = proven_run()
    Run.objects.filter(pk=run.pk).update(envelope=b"rubbish")
    assert "The stored statement can no longer be read." in get(viewer, f"/runs/{run.uuid}/")


def test_a_run_is_watched_before_it_has_arrived(viewer: Client) -> None:
    """The page of a run exists from its first message on, under the run's own uuid."""
    progress = stage.make_progress(factories.make_replica())
    page = get(viewer, f"/runs/{progress.uuid}/")
    assert "34 %" in page and "IMG_2041" in page and "\\n" in page and "every 2s" in page
    assert viewer.get(f"/runs/{uuid4()}/").status_code == 404


def test_progress_polls_until_the_run_is_proven(viewer: Client) -> None:
    """The fragment polls while something will happen, and reloads the page when there is more to show."""
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


def test_progress_of_an_unknown_run_ends_by_itself(viewer: Client) -> None:
    """A fragment stops polling when nothing is known of its run any more."""
    assert "hx-trigger" not in get(viewer, f"/runs/{uuid4()}/progress/?stage=running")


def test_a_silent_server_is_named(viewer: Client) -> None:
    """A run whose server has been silent for over a minute is shown as silent, and polled less often."""
    two_minutes_ago = timezone.now() - timedelta(minutes=2)
    progress = stage.make_progress(factories.make_replica(), updated_at=two_minutes_ago)
    page = get(viewer, f"/runs/{progress.uuid}/")
    assert "silent" in page and "every 15s" in page
