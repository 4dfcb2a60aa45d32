"""The mass-change breaker: what is usual, what is too much, and what ends it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from checker.findings import actions, description, listing, mass_change
from checker.models import Finding
from scanner.format.records import Record
from tests.checker import stage
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.findings.test_update import mass, told
from tests.checker.staged_replica import StagedReplica, change_kinds, file
from tests.scanner.factories import link_row

pytestmark = pytest.mark.django_db(transaction=True)


def prove_all(world: StagedReplica) -> None:
    """Compare and prove each run that the world has."""
    world.compare()
    for run in world.replica.runs.all():
        stage.make_proof(run)


@pytest.mark.parametrize(
    ("limits", "changed", "held"),
    [
        ({}, 100, False),  # 20 % of 500 is more than that share, but not more than 100 files
        ({}, 101, True),
        ({"limit_files": 10, "limit_share": 5}, 25, False),  # the share itself is allowed
        ({"limit_files": 10, "limit_share": 5}, 26, True),
        ({"limit_files": 30, "limit_share": 5}, 30, False),
        ({"limit_files": 0, "limit_share": 0}, 1, True),
        ({"limit_files": 0}, 1, True),
        ({"limit_share": 0}, 1, True),
        ({"limit_share": 0, "limit_files": 5}, 5, False),
        ({"limit_share": 0, "limit_files": 5}, 6, True),
        ({"limit_files": 0, "limit_share": 0}, 0, False),
    ],
)
def test_limits(limits: dict[str, Any], changed: int, held: bool) -> None:
    """More than both limits holds; nought means that nothing may change, empty that the history decides."""
    world = StagedReplica(**limits)
    mass(world, 500, 0)
    mass(world, 500, changed)
    assert bool(told(world)) == held


def test_what_is_usual_is_learned() -> None:
    """After five comparisons three times the most until now is allowed, and no more."""
    world = StagedReplica()
    mass(world, 500, 0)
    for at in range(6):
        mass(world, 500, 60, b"day" * (at + 1))
    assert told(world) == [] and mass_change.limits_for(world.compare()) == (180, 360, True, True)
    mass(world, 500, 180, b"many")
    assert told(world) == []
    world = StagedReplica()
    mass(world, 500, 0)
    for at in range(6):
        mass(world, 500, 20, b"day" * (at + 1))
    mass(world, 500, 101, b"many")
    assert told(world) == [("mass_change", "", 101)]


def test_history_costs_no_more_than_a_few_statements() -> None:
    """The limits of thirty comparisons are looked up as those of two are."""
    world, spent = StagedReplica(), []
    mass(world, 50, 0)
    for at in range(12):
        mass(world, 50, 2, b"x" * (at + 1))
        comparison = world.compare()
        with CaptureQueriesContext(connection) as queries:
            mass_change.limits_for(comparison)
        spent.append(len(queries))
    assert len(set(spent[6:])) == 1 and spent[-1] <= 4


def test_a_hold_survives_until_it_is_released() -> None:
    """A second mass change while it is held is told of by the same finding; release ends it, and it can come again."""
    world, user = StagedReplica(limit_files=10, limit_share=10), stage.make_user("operator")
    mass(world, 100, 0)
    prove_all(world)
    for at in range(2):
        mass(world, 100, 50, b"x" * (at + 1))
        assert told(world) == [("mass_change", "", 50)]
    finding = Finding.objects.get()
    assert finding.evidence["good"] == 1 and finding.evidence["latest"]["base"] == 2
    assert finding.last_run.sequence == 3 and listing.count_open() == 1
    assert "run 1" in " ".join(description.describe(finding).reasons)
    mass(world, 100, 60, b"x")
    assert told(world) == [("mass_change", "", 60)]
    said = description.describe(Finding.objects.get())
    assert said.title == "60 of 100 files were changed or removed"
    assert said.reasons[:2] == [
        "Run 2 found this first: 50 of 100 files were changed or removed.",
        "Run 4 found this again; the previous complete run is 3.",
    ]
    mass(world, 100, 0)
    assert [kind for kind, _path, _number in told(world)] == ["mass_change"]
    actions.release(Finding.objects.get(), user, "meant")
    with pytest.raises(actions.ActionRefused):
        actions.release(Finding.objects.get(), user, "again")
    mass(world, 100, 60, b"new again")
    assert told(world) == [("mass_change", "", 60)] and Finding.objects.count() == 2


@pytest.mark.parametrize(
    ("group", "before", "after", "held"),
    [
        ({}, 60, 1, True),
        ({}, 20, 10, False),  # half is not more than half
        ({}, 21, 10, True),
        ({}, 12, 3, False),  # nine files are what somebody tidies up
        ({"limit_files": 100}, 60, 1, False),
        ({"limit_share": 99}, 60, 1, False),
        ({"policy": "rotating", "keep_days": 30}, 60, 1, False),  # all of them are older than that
        ({"policy": "rotating", "keep_days": 36500}, 60, 1, True),
    ],
)
def test_a_small_replica_that_is_emptied(group: dict[str, Any], before: int, after: int, held: bool) -> None:
    """More than half of the files removed, ten at least, holds where the group sets no limits, however few they are."""
    world = StagedReplica(**group)
    mass(world, before, 0)
    mass(world, after, 0)
    finding = Finding.objects.filter(kind="mass_change", replica=world.compare().replica).first()
    assert (finding is not None) == held
    if finding is not None:
        why = description.describe(finding).reasons
        assert why[0].startswith(f"{before - after} of {before} files were removed, more than half.")


def test_links_and_moves_empty_nothing() -> None:
    """Only files that went count: neither links, nor what lies under another name now."""
    world = StagedReplica()
    links = [link_row(f"l{at}", "f0") for at in range(15)]
    world.run([*(file(f"f{at}", b"%d" % at) for at in range(20)), *links])
    world.run([file(f"moved/f{at}", b"%d" % at) for at in range(20)])
    assert set(change_kinds(world.compare()).values()) == {"-moved", "moved", "removed"} and told(world) == []


def encrypted(world: StagedReplica, number: int, more: list[Record] | None = None) -> None:
    """A run of a thousand files of which so many have the ending that malware gave them."""
    names = [f"d{at % 3}/{at}.jpg" for at in range(1000)]
    locked = [file(f"{name}.locked", b"E" + name.encode()) for name in names[:number]]
    world.run([*(file(name, name.encode()) for name in names[number:]), *locked, *(more or [])])


def test_one_earlier_file_with_the_ending_hides_no_ransom() -> None:
    """A file that had the ending before is told, and silences nothing."""
    world = StagedReplica()
    for number in (0, 25):
        encrypted(world, number, more=[file("old.locked", b"old")])
    assert told(world) == [("mass_change", "", 25)]
    said = description.describe(Finding.objects.get())
    assert ".locked" in said.title and said.reasons[0].startswith("Only 1 file had the extension .locked before")


def test_an_attack_that_was_caught_at_its_begin() -> None:
    """Fifteen files in one night are too few for a sign; they do not hide those of the next night."""
    world = StagedReplica(limit_files=10_000)
    for number, expected in ((0, []), (15, []), (915, [("mass_change", "", 900)])):
        encrypted(world, number)
        assert told(world) == expected
    reasons = description.describe(Finding.objects.get()).reasons
    assert reasons[0].startswith("Only 15 files had the extension .locked before")


def test_a_usual_ending_that_grows_is_no_sign() -> None:
    """Pictures that are converted into what most pictures are already raise nothing."""
    world = StagedReplica()
    usual = [file(f"{at}.jpg", b"%d" % at) for at in range(900)]
    names = [f"raw/{at}" for at in range(80)]
    world.run([*usual, *(file(f"{name}.png", name.encode()) for name in names)])
    world.run([*usual, *(file(f"{name}.jpg", b"J" + name.encode()) for name in names)])
    assert told(world) == []


def last_good(world: StagedReplica, contents: dict[str, bytes]) -> Any:
    """The last good run that is named when nearly all is removed, after all runs until now were proven."""
    prove_all(world)
    world.run([file(path, content) for path, content in list(contents.items())[:2]])
    world.compare()
    finding = Finding.objects.filter(kind="mass_change").latest("pk")
    assert finding.state == Finding.State.OPEN
    return finding.evidence["good"]


def damaged(*later: str) -> tuple[StagedReplica, dict[str, bytes]]:
    """A replica with a run, one in which a file was damaged, and then so many as are named: `bad` or `good`."""
    world, whole = StagedReplica(), {f"f{at}": b"%d" % at for at in range(30)}
    first = world.run([file(path, content) for path, content in whole.items()])
    for at, name in enumerate(("bad", *later)):
        now = whole | {"f0": b"rot"} if name == "bad" else whole
        notes = [] if at else [confirmed_note("f0", str(first.uuid))]
        world.run([*(file(path, content) for path, content in now.items()), *notes])
    return world, whole


@pytest.mark.parametrize(
    ("later", "good"),
    [((), 1), (("bad", "bad"), 1), (("bad", "good"), 4), (("good", "good"), 4)],
)
def test_the_last_good_run_holds_no_damage(later: tuple[str, ...], good: int) -> None:
    """A run that is proven to be what its server signed is not good while a damaged file lies in it."""
    assert last_good(*damaged(*later)) == good


def test_damage_that_is_mended_later_was_damage_then() -> None:
    """The run that proves a file right again cannot be named when it is itself the mass change."""
    world, whole = damaged("bad")
    prove_all(world)
    world.run([file("f0", whole["f0"])])
    world.compare()
    assert Finding.objects.get(kind="mass_change").evidence["good"] == 1
    assert Finding.objects.get(kind="corrupted").state == Finding.State.RESOLVED


def test_what_a_person_accepted_is_good() -> None:
    """Damage that was accepted and a mass change that was released speak against no run; while it is held it does."""
    user = stage.make_user("operator")
    world, whole = damaged("bad")
    prove_all(world)
    actions.accept(Finding.objects.get(), user, "a thumbnail")
    assert last_good(world, whole) == 3
    mass(world, 200, 0)
    prove_all(world)
    mass(world, 200, 200)
    world.compare()
    finding = Finding.objects.get(kind="mass_change")
    assert finding.evidence["latest"]["good"] == 3
    actions.release(finding, user, "meant")
    assert last_good(world, whole) == 6


def test_no_run_is_good() -> None:
    """Where no run before is proven, or each has damage, no run is named and the words say so."""
    world = StagedReplica(limit_files=10, limit_share=10)
    mass(world, 100, 0)
    mass(world, 100, 50)
    world.compare()
    finding = Finding.objects.get()
    assert finding.evidence["good"] is None and finding.evidence["good_run"] is None
    assert "No earlier run is known to be good" in description.describe(finding).reasons[-1]
