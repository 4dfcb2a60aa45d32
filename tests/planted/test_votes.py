"""Who has a vote when the contents of a group's replicas differ, with real collectors on real trees.

In each scene one file differs since the first run of all, with the same time: there is no history, so votes alone
decide; another one is rewritten later with its time kept. Nobody can tell whether that was an edit, whoever votes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from checker.models import Divergence, Finding, Participant
from scanner.models import Replica, Run, Server
from tests.planted.copies import Expected
from tests.planted.fleet import Fleet

pytestmark = pytest.mark.django_db(transaction=True)
OLD = 1_600_000_000 * 10**9


def write(path: Path, text: str) -> None:
    """A file with this content, and the time that all files of these trees have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(OLD, OLD))


def make(directory: Path, number: int = 3, servers: list[int] | None = None) -> Fleet:
    """Trees of which the first holds one file in another content, and that have been read once."""
    roots = [directory / f"tree{number}" for number in range(number)]
    for number, root in enumerate(roots):
        for name in ("apart", "damaged", "same"):
            write(root / name, f"content of {name}" + (" here" if number == 0 and name == "apart" else ""))
    fleet = Fleet(directory, roots, servers)
    fleet.night()
    return fleet


def verdicts_of(fleet: Fleet) -> tuple[str, str]:
    """Return the verdicts on both files after one of them is damaged on the first replica."""
    divergences: dict[str, Expected] = fleet.divergences()
    assert set(divergences) <= {"apart", "damaged"}
    return divergences["apart"].judged, divergences["damaged"].judged if "damaged" in divergences else ""


def damage(fleet: Fleet, number: int) -> None:
    """One file gets another content on one replica, its time kept, and that is read."""
    write(Path(fleet.roads[number].replica.root) / "damaged", "c0ntent of damaged")
    fleet.run(number)


def test_a_majority_of_three_servers(tmp_path: Path) -> None:
    """Two of three votes decide where there is no history."""
    fleet = make(tmp_path)
    assert verdicts_of(fleet) == ("dgg", "")
    damage(fleet, 1)
    assert verdicts_of(fleet) == ("dgg", "uuu")
    assert Finding.objects.filter(replica=None, kind=Finding.Kind.MISMATCH, state="open").count() == 2


def test_two_replicas_have_no_majority(tmp_path: Path) -> None:
    """One against one says nothing."""
    fleet = make(tmp_path, 2)
    damage(fleet, 0)
    assert verdicts_of(fleet) == ("uu", "uu")


def test_one_server_and_file_system_has_one_vote(tmp_path: Path) -> None:
    """Two roots on one file system of one server are one vote: one against one."""
    fleet = make(tmp_path, servers=[0, 1, 1])
    damage(fleet, 1)
    assert verdicts_of(fleet) == ("uuu", "uuu")
    votes = Participant.objects.filter(comparison=fleet.compare()).values_list("voter", flat=True)
    assert len(set(votes)) == 2


def test_copies_that_differ_on_one_file_system_vote_for_none(tmp_path: Path) -> None:
    """A file system with both contents votes for neither."""
    assert verdicts_of(make(tmp_path, servers=[0, 0, 1])) == ("uuu", "")


def hold(fleet: Fleet) -> None:
    """An operator does not trust the last replica's server."""
    Server.objects.filter(pk=fleet.roads[2].replica.server_id).update(held_at=timezone.now())


def mass_change(fleet: Fleet) -> None:
    """The breaker holds the last replica."""
    run = Run.objects.filter(replica=fleet.roads[2].replica).latest("sequence")
    Finding.objects.create(
        group=fleet.group,
        replica=fleet.roads[2].replica,
        kind=Finding.Kind.MASS_CHANGE,
        severity=Finding.Severity.CRITICAL,
        first_run=run,
        last_run=run,
    )


def grow_stale(fleet: Fleet) -> None:
    """The last replica was last read three days ago, of a group that is read daily."""
    early = timezone.now() - timedelta(days=3)
    Run.objects.filter(replica=fleet.roads[2].replica).update(finished_at=early, received_at=early)


def fail(fleet: Fleet) -> None:
    """The newest run of the last replica finds no root."""
    root = Path(fleet.roads[2].replica.root)
    root.rename(root.with_name("away"))
    assert fleet.run(2).state == Run.State.FAILED


def switch_off(fleet: Fleet) -> None:
    """The last replica is not read any more."""
    Replica.objects.filter(pk=fleet.roads[2].replica.pk).update(enabled=False)


@pytest.mark.parametrize(
    ("act", "expected_status"),
    [(hold, "held"), (mass_change, "held"), (grow_stale, "stale"), (fail, "failed"), (switch_off, "off")],
)
def test_who_has_no_vote(tmp_path: Path, act: Callable[[Fleet], None], expected_status: str) -> None:
    """Without the last one it is one against one; what was judged when it had its vote stays."""
    fleet = make(tmp_path)
    assert verdicts_of(fleet)[0] == "dgg"
    act(fleet)
    damage(fleet, 1)
    assert verdicts_of(fleet) == ("dgg", "uuu")
    participant = Participant.objects.get(comparison=fleet.compare(), position=3)
    assert (participant.status, participant.voter) == (expected_status, "")


def test_what_only_a_stale_one_holds_opens_no_finding(tmp_path: Path) -> None:
    """Those who have a vote agree: it is shown and nobody is called."""
    fleet = make(tmp_path)
    for name in ("apart", "new"):
        for number in (0, 1):
            write(Path(fleet.roads[number].replica.root) / name, "now alike")
    grow_stale(fleet)
    for number in (0, 1):
        fleet.run(number)
    rows = Divergence.objects.filter(comparison_id=fleet.compare().pk)
    assert {participant.path: participant.current for participant in rows} == {"apart": False, "new": False}
    assert not Finding.objects.filter(replica=None, state="open").exists()
