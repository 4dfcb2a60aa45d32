"""Mass changes: what is usual, what is too much, and which run before was good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from checker.findings import actions, description, listing, mass_change
from checker.models import Finding
from tests.checker import stage
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.findings.staging import open_findings, prove_runs, run_with_changes
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, change_kinds, file
from tests.scanner.factories import error_row, link_row

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("limits", "changed", "is_held"),
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
def test_limits(limits: dict[str, Any], changed: int, is_held: bool) -> None:
    """More than both limits holds; zero means that nothing may change, empty that the history decides."""
    replica = StagedReplica(**limits)
    run_with_changes(replica, 500, 0)
    run_with_changes(replica, 500, changed)
    assert bool(open_findings(replica)) == is_held


@pytest.mark.parametrize(
    ("limits", "is_held"),
    [({"limit_files": 0, "limit_share": 0}, True), ({"limit_files": 5, "limit_share": 100}, False)],
)
def test_limits_of_a_small_replica(limits: dict[str, int], is_held: bool) -> None:
    """The group's own limits count where they are set, however few files there are."""
    replica = StagedReplica(**limits)
    run_with_changes(replica, 50, 0)
    run_with_changes(replica, 50, 6)
    assert bool(open_findings(replica)) == is_held


def test_zero_is_zero() -> None:
    """With both limits zero one changed file among thousands holds the replica."""
    replica = StagedReplica(limit_files=0, limit_share=0)
    run_with_changes(replica, 1500, 0)
    run_with_changes(replica, 1500, 1)
    assert open_findings(replica) == [("mass_change", "", 1)]


def test_what_is_usual_is_learned() -> None:
    """After five comparisons three times the most until now is allowed, and no more."""
    replica = StagedReplica()
    run_with_changes(replica, 500, 0)
    for day in range(6):
        run_with_changes(replica, 500, 60, b"day" * (day + 1))
    assert open_findings(replica) == []
    assert mass_change.limits_for(replica.compare()) == (180, 360, True, True)
    run_with_changes(replica, 500, 180, b"many")
    assert open_findings(replica) == []

    replica = StagedReplica()
    run_with_changes(replica, 500, 0)
    for day in range(6):
        run_with_changes(replica, 500, 20, b"day" * (day + 1))
    run_with_changes(replica, 500, 101, b"many")
    assert open_findings(replica) == [("mass_change", "", 101)]


def test_history_costs_no_more_than_a_few_statements() -> None:
    """The limits of many comparisons are looked up with as many statements as those of a few."""
    replica = StagedReplica()
    statement_counts = []
    run_with_changes(replica, 50, 0)
    for day in range(12):
        run_with_changes(replica, 50, 2, b"x" * (day + 1))
        comparison = replica.compare()
        with CaptureQueriesContext(connection) as queries:
            mass_change.limits_for(comparison)
        statement_counts.append(len(queries))
    assert len(set(statement_counts[6:])) == 1
    assert statement_counts[-1] <= 4


def test_a_hold_survives_until_it_is_released() -> None:
    """A second mass change on hold is the same finding; release ends it, and it can come again."""
    replica = StagedReplica(limit_files=10, limit_share=10)
    user = stage.make_user("operator")
    run_with_changes(replica, 100, 0)
    prove_runs(replica)
    for content in (b"x", b"xx"):
        run_with_changes(replica, 100, 50, content)
        assert open_findings(replica) == [("mass_change", "", 50)]

    finding = Finding.objects.get()
    assert finding.evidence["good"] == 1
    assert finding.evidence["latest"]["base"] == 2
    assert finding.last_run.sequence == 3
    assert listing.count_open() == 1
    assert "run 1" in " ".join(description.describe(finding).reasons)

    run_with_changes(replica, 100, 60, b"x")
    assert open_findings(replica) == [("mass_change", "", 60)]
    words = description.describe(Finding.objects.get())
    assert words.title == "50 of 100 files were changed or removed"
    assert words.reasons[:2] == [
        "Run 4 found this again; the previous complete run is 3.",
        "Since run 3, 60 of 100 files were changed or removed.",
    ]

    run_with_changes(replica, 100, 1)
    assert [kind for kind, _path, _number in open_findings(replica)] == ["mass_change"]
    actions.release(Finding.objects.get(), user, "meant")
    with pytest.raises(actions.ActionRefused):
        actions.release(Finding.objects.get(), user, "again")

    run_with_changes(replica, 100, 60, b"new again")
    assert open_findings(replica) == [("mass_change", "", 60)]
    assert Finding.objects.count() == 2


@pytest.mark.parametrize(
    ("group", "before", "after", "is_held"),
    [
        ({}, 60, 1, True),
        ({}, 20, 10, False),  # half is not more than half
        ({}, 21, 10, True),
        ({}, 12, 3, True),
        ({}, 11, 5, True),
        ({}, 10, 2, False),  # ten files are what somebody tidies up
        ({"limit_files": 100}, 60, 1, False),
        ({"limit_share": 99}, 60, 1, False),
        ({"policy": "rotating", "keep_days": 30}, 60, 1, False),  # all of them are older than that
        ({"policy": "rotating", "keep_days": 36500}, 60, 1, True),
    ],
)
def test_a_small_replica_that_is_emptied(group: dict[str, Any], before: int, after: int, is_held: bool) -> None:
    """More than half of the files gone, of eleven at least, holds where the group sets no limits."""
    replica = StagedReplica(**group)
    run_with_changes(replica, before, 0)
    run_with_changes(replica, after, 0)
    replica.compare()

    finding = Finding.objects.filter(kind="mass_change", replica=replica.replica).first()
    assert (finding is not None) == is_held
    if finding is not None:
        reasons = description.describe(finding).reasons
        assert reasons[0].startswith(f"{before - after} of {before} files were changed or removed, more than half.")


def test_links_and_moves_empty_nothing() -> None:
    """Only files that went count: neither links, nor what has another name now."""
    replica = StagedReplica()
    links = [link_row(f"l{index}", "f0") for index in range(15)]
    replica.run([*(file(f"f{index}", b"%d" % index) for index in range(20)), *links])
    replica.run([file(f"moved/f{index}", b"%d" % index) for index in range(20)])
    assert set(change_kinds(replica.compare()).values()) == {"-moved", "moved", "removed"}
    assert open_findings(replica) == []


def last_good_run(replica: StagedReplica, contents: dict[str, bytes]) -> Any:
    """Prove all runs until now and remove nearly all files. Return the last good run that the finding names."""
    prove_runs(replica)
    replica.run([file(path, content) for path, content in list(contents.items())[:2]])
    replica.compare()
    finding = Finding.objects.filter(kind="mass_change").latest("pk")
    assert finding.state == Finding.State.OPEN
    return finding.evidence["good"]


def damaged_replica(*later_runs: str) -> tuple[StagedReplica, dict[str, bytes]]:
    """Return a replica with a good run, one in which a file was damaged, and the later runs: each `bad` or `good`.

    Beside it the contents of its files before the damage.
    """
    replica = StagedReplica()
    good = {f"f{index}": b"%d" % index for index in range(30)}
    bad = good | {"f0": b"rot"}

    first = replica.run([file(path, content) for path, content in good.items()])
    replica.run([*(file(path, content) for path, content in bad.items()), confirmed_note("f0", str(first.uuid))])
    for later_run in later_runs:
        contents = bad if later_run == "bad" else good
        replica.run([file(path, content) for path, content in contents.items()])
    return replica, good


@pytest.mark.parametrize(
    ("later_runs", "expected"),
    [((), 1), (("bad", "bad"), 1), (("bad", "good"), 4), (("good", "good"), 4)],
)
def test_the_last_good_run_has_no_damage(later_runs: tuple[str, ...], expected: int) -> None:
    """A run that is proven to be what its server signed is not good while it has a damaged file."""
    assert last_good_run(*damaged_replica(*later_runs)) == expected


def test_damage_that_is_mended_later_was_damage_then() -> None:
    """The run that proves a file right again cannot be named when it is itself the mass change."""
    replica, contents = damaged_replica("bad")
    prove_runs(replica)
    replica.run([file("f0", contents["f0"])])
    replica.compare()
    assert Finding.objects.get(kind="mass_change").evidence["good"] == 1
    assert Finding.objects.get(kind="corrupted").state == Finding.State.RESOLVED


def test_what_a_person_accepted_is_good() -> None:
    """Accepted damage and a released mass change speak against no run; a mass change on hold does."""
    user = stage.make_user("operator")
    replica, contents = damaged_replica("bad")
    prove_runs(replica)
    actions.accept(Finding.objects.get(), user, "a thumbnail")
    assert last_good_run(replica, contents) == 3

    run_with_changes(replica, 200, 0)
    prove_runs(replica)
    run_with_changes(replica, 200, 200)
    replica.compare()
    finding = Finding.objects.get(kind="mass_change")
    assert finding.evidence["latest"]["good"] == 3

    actions.release(finding, user, "meant")
    assert last_good_run(replica, contents) == 6


def test_no_run_is_good() -> None:
    """If no run before is proven, or each has damage, no run is named and the words say so."""
    replica = StagedReplica(limit_files=10, limit_share=10)
    run_with_changes(replica, 100, 0)
    run_with_changes(replica, 100, 50)
    replica.compare()
    finding = Finding.objects.get()
    assert finding.evidence["good"] is None
    assert finding.evidence["good_run"] is None
    assert "No earlier run is known to be good" in description.describe(finding).reasons[-1]


@pytest.mark.parametrize(("files", "changed", "is_held"), [(30, 16, True), (30, 15, False), (11, 6, True)])
def test_more_than_half_changed(files: int, changed: int, is_held: bool) -> None:
    """Changed files count as removed ones do: small data is protected, too."""
    replica = StagedReplica()
    run_with_changes(replica, files, 0)
    run_with_changes(replica, files, changed)
    assert bool(open_findings(replica)) == is_held


def test_a_climbing_series_is_not_learned() -> None:
    """Who changes three times as much each night teaches nothing: one night says nothing of what is usual."""
    replica = StagedReplica()
    run_with_changes(replica, 3000, 0)
    for night in range(5):
        run_with_changes(replica, 3000, 90, b"n" * (night + 1))
    run_with_changes(replica, 3000, 269, b"first step")
    assert open_findings(replica) == []

    run_with_changes(replica, 3000, 806, b"second step here")
    assert open_findings(replica) == [("mass_change", "", 806)]
    run_with_changes(replica, 3000, 2400, b"third step is the last")
    assert open_findings(replica) == [("mass_change", "", 2400)]


def test_learned_limits_are_capped() -> None:
    """The change of three nights is usual, but no history allows more than half of the files."""
    replica = StagedReplica()
    run_with_changes(replica, 600, 0)
    for night in range(6):
        run_with_changes(replica, 600, 110, b"n" * (night + 1))
    assert open_findings(replica) == []
    assert mass_change.limits_for(replica.compare()) == (300, 500, True, True)


def test_what_changes_nearly_whole_every_night_is_usual() -> None:
    """More than half is no mass change where most runs before changed as much and nobody called that one."""
    replica = StagedReplica(limit_share=100)
    run_with_changes(replica, 20, 0)
    for night in range(6):
        run_with_changes(replica, 20, 20, b"n" * (night + 1))
    assert open_findings(replica) == []

    replica.replica.group.limit_share = None
    replica.replica.group.save()
    run_with_changes(replica, 20, 20, b"one more night")
    assert open_findings(replica) == []


def test_what_is_released_again_and_again_is_usual() -> None:
    """A person who says three times that a change of more than half was meant need not say it every night."""
    user = stage.make_user("operator")
    replica = StagedReplica()
    run_with_changes(replica, 20, 0)
    for night in range(3):
        run_with_changes(replica, 20, 20, b"n" * (night + 1))
        assert open_findings(replica) == [("mass_change", "", 20)]
        actions.release(Finding.objects.get(state=Finding.State.OPEN), user, "the dumps of the night")

    run_with_changes(replica, 20, 20, b"the fourth night")
    assert open_findings(replica) == []


def test_additions_never_hold() -> None:
    """An archive that doubles, and doubles again, loses and changes nothing."""
    replica = StagedReplica()
    for files in (300, 600, 2400):
        run_with_changes(replica, files, 0)
    assert open_findings(replica) == []


def run_with_logs(replica: StagedReplica, sizes: list[int], content: bytes, mtime_ns: int = LATER_MTIME) -> None:
    """Add a run of logs of these sizes."""
    entries = [
        file(f"log/{number:03}.log", content + b"%d" % number, size=size, mtime_ns=mtime_ns)
        for number, size in enumerate(sizes)
    ]
    replica.run(entries)


@pytest.mark.parametrize(
    ("policy", "grow", "is_held"),
    [
        ("rotating", lambda size: size * 2, False),
        ("rotating", lambda size: size + 20 + size % 199, False),
        ("rotating", lambda size: size + 256 + 16 - size % 16, True),  # a header and a filled block are no growth
        ("rotating", lambda size: size // 2, True),
        ("mutable", lambda size: size * 2, True),
    ],
)
def test_growth_under_the_rotating_policy(policy: str, grow: Callable[[int], int], is_held: bool) -> None:
    """Logs that are appended to grow out of what was there, each by as much as it likes."""
    replica = StagedReplica(policy=policy, keep_days=30 if policy == "rotating" else None)
    sizes = [10_000 + 37 * number for number in range(40)]
    run_with_logs(replica, sizes, b"old")
    run_with_logs(replica, [grow(size) for size in sizes], b"new", LATER_MTIME + 1)
    assert bool(open_findings(replica)) == is_held


def test_a_replica_that_is_restored_is_released_by_proof() -> None:
    """A later run that is byte for byte the last good one ends the hold, and what was open since."""
    replica = StagedReplica()
    good = [file(f"f{number:02}", b"%d" % number) for number in range(30)]
    replica.run(good)
    prove_runs(replica)
    replica.run([*(file(f"f{number:02}.locked", b"E%d" % number) for number in range(29)), error_row("x.locked")])
    assert open_findings(replica) == [("mass_change", "", 30), ("unreadable", "x.locked", 1)]
    title = description.describe(Finding.objects.get(kind="mass_change")).title

    # Partly restored: nothing is proven, and the title stays what it was.
    replica.run([*good[:20], *(file(f"f{number:02}.locked", b"E%d" % number) for number in range(20, 29))])
    assert next(kind for kind, _path, _number in open_findings(replica)) == "mass_change"
    assert description.describe(Finding.objects.get(kind="mass_change")).title == title

    replica.run(good)
    assert open_findings(replica) == []
    finding = Finding.objects.get(kind="mass_change")
    assert finding.state == Finding.State.RESOLVED
    assert finding.last_run.sequence == 4
    words = description.describe(finding)
    assert words.title == title
    assert "The change was undone: run 4 is byte for byte run 1." in words.meaning
    assert not Finding.objects.filter(state=Finding.State.OPEN).exists()


def test_another_state_proves_no_restoration() -> None:
    """A run that lacks one file of the last good one, or has one more, leaves the replica on hold."""
    replica = StagedReplica()
    run_with_changes(replica, 30, 0)
    run_with_changes(replica, 30, 30)
    for files in (29, 31):
        run_with_changes(replica, files, 0)
        assert [kind for kind, _path, _number in open_findings(replica)] == ["mass_change"]
    run_with_changes(replica, 30, 0)
    assert open_findings(replica) == []


def test_an_undone_release_ends_by_proof_at_once() -> None:
    """Who undoes a release after the data came back is told at once that the hold is over."""
    user = stage.make_user("operator")
    replica = StagedReplica()
    run_with_changes(replica, 30, 0)
    run_with_changes(replica, 30, 30)
    replica.compare()
    finding = Finding.objects.get()
    actions.release(finding, user, "meant")
    run_with_changes(replica, 30, 0)
    replica.compare()
    actions.undo(finding, user, "it was not")
    assert finding.state == Finding.State.RESOLVED
