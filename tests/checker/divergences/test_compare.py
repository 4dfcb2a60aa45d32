"""Find what the replicas of a group differ in, over real runs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from checker.divergences import missing_directories
from checker.findings import actions, description
from checker.jobs import group_comparisons
from checker.models import Divergence, Finding, GroupComparison
from checker.pages import overview, replica_facts
from scanner import scopes
from scanner.format.excludes import parse_excludes, scope_digest
from scanner.models import Group, Replica, Run
from tests.checker import stage
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import LATER_MTIME, file
from tests.scanner.factories import error_row, link_row, special_row

pytestmark = pytest.mark.django_db(transaction=True)


def stage_primary() -> tuple[StagedGroup, Replica]:
    """Stage a group of two replicas with an allowed lag of six hours. Return it with its primary, the first replica."""
    group = StagedGroup(2, relation="primary", lag=timedelta(hours=6))
    primary = group.replicas[0].replica
    primary.leads = True
    primary.save()
    return group, primary


def read_status(group: StagedGroup, index: int) -> str:
    """Return how one replica takes part in the newest comparison."""
    return group.compare().participants.get(replica=group.replicas[index].replica).status


def test_equal_is_immediate() -> None:
    """Replicas that hold the same diverge in nothing, and the signed digests say so."""
    group = StagedGroup()
    group.runs(*[[file("a"), file("b", b"b"), link_row("l", "a")]] * 3)
    comparison = group.compare()
    assert comparison.equal
    assert comparison.counts == {}
    assert group.divergences() == {}


def test_lost_mismatch_unknown_and_moved() -> None:
    """Each path has one kind, and a character for each replica."""
    group = StagedGroup()
    group.runs(
        [file("same"), file("lost", b"1"), file("other", b"2"), file("shut", b"3"), file("old/name", b"4")],
        [file("same"), file("other", b"2"), error_row("shut"), file("old/name", b"4")],
        [file("same"), file("lost", b"1"), file("other", b"x"), file("shut", b"3"), file("new/name", b"4")],
    )
    kinds_and_cells = {path: (kind, cells) for path, (kind, cells, _judged) in group.divergences().items()}
    assert kinds_and_cells == {
        "lost": ("lost", "+-+"),
        "other": ("mismatch", "+++"),
        "shut": ("unknown", "+!+"),
        "old/name": ("moved", "++>"),
        "new/name": ("moved", ">>+"),
    }
    assert Divergence.objects.get(path="old/name").others == {"3": "new/name"}
    assert group.compare().counts == {"lost": 1, "mismatch": 1, "unknown": 1, "moved": 2, "damaged": 1}
    assert Finding.objects.filter(replica=None).count() == 2


def test_damage_is_told_with_the_good_copy_and_resolved_by_proof() -> None:
    """A damaged copy is a finding of its own that names the good copies; equal again resolves it."""
    group = StagedGroup()
    good = group.replicas[0].replica
    damaged = group.replicas[1].replica
    group.runs(*[[file("a", b"good"), file("b")]] * 3)
    group.compare()
    group.run(1, [file("a", b"rotten"), file("b")], rotten=["a"])
    assert group.divergences() == {"a": ("mismatch", "+++", "gdg")}

    finding = Finding.objects.get(replica=None)
    assert finding.severity == Finding.Severity.CRITICAL
    assert finding.concerns == [damaged.pk]

    page = description.describe(finding)
    assert f"damaged on {damaged.server.name}:/srv/data" in page.title
    assert good.server.name in page.title
    assert any(good.server.name in step for step in page.next_steps)
    assert len(page.reasons) == 5

    rows = overview.replica_rows(replica_facts.replicas_in_use(), timezone.now())
    statuses = {row.replica: row.assessment.status for row in rows}
    assert statuses[damaged] == "damaged"
    assert statuses[good] == "proven"

    group.run(1, [file("a", b"good"), file("b")])
    assert group.divergences() == {}
    finding.refresh_from_db()
    assert finding.state == "resolved"
    assert [entry.action for entry in finding.audit_entries.all()] == ["opened", "resolved"]


def test_accepted_stays_accepted_until_it_is_another() -> None:
    """An accepted divergence opens no finding while it is the same; other content, or one more replica, does."""
    group = StagedGroup()
    group.runs([file("a"), file("only", b"1")], [file("a")], [file("a"), file("only", b"1")])
    group.compare()
    finding = Finding.objects.get(replica=None)
    actions.accept(finding, stage.make_user("operator"), "not needed there")

    group.run(0, [file("a"), file("only", b"1", mode=0o100600)])
    group.compare()
    assert Finding.objects.filter(replica=None).count() == 1, "the same divergence"

    group.run(2, [file("a")])
    group.compare()
    assert Finding.objects.filter(replica=None, state="open").count() == 1, "one more has lost it"


def test_a_thousand_lost_files_are_few_lines() -> None:
    """Like divergences fold by directory; a damaged copy among them never does."""
    group = StagedGroup(2)
    files = [file(f"dir{number % 3}/f{number:04}", str(number).encode()) for number in range(300)]
    group.runs([*files, file("z", b"good")], [file("z", b"good")])
    group.run(1, [file("z", b"bad")], rotten=["z"])
    assert group.compare().counts == {"lost": 300, "mismatch": 1, "damaged": 1}

    lost_findings = Finding.objects.filter(replica=None, kind="lost")
    assert lost_findings.count() == 3
    finding = lost_findings.first()
    assert finding is not None
    assert finding.folded
    assert finding.number == 100
    assert "100 paths below dir" in description.title(finding)

    group.run(1, [*files[:150], file("z", b"bad")])
    group.compare()
    numbers = lost_findings.filter(state="open").values_list("number", flat=True)
    assert sorted(numbers) == [50, 50, 50], "half of them are there again"


def test_stale_held_failed_and_without_a_run() -> None:
    """Who does not stand for what is there now says so, has no vote and opens nothing."""
    group = StagedGroup(4)
    group.runs(*[[file("a", b"1")]] * 2, [file("a", b"2")])
    assert group.divergences()["a"][2] == "ggd"

    long_ago = timezone.now() - timedelta(days=9)
    Run.objects.filter(replica=group.replicas[1].replica).update(finished_at=long_ago, received_at=long_ago)
    assert group.divergences()["a"][2] == "ggd", "what was outvoted once stays damaged"
    participants = group.compare().participants.all()
    assert [participant.status for participant in participants] == ["current", "stale", "current", "none"]

    group.run(0, [], outcome="failed")
    assert read_status(group, 0) == "failed"

    server = group.replicas[2].replica.server
    server.held_at = timezone.now()
    server.save()
    assert read_status(group, 2) == "held"
    assert not Divergence.objects.get().current


def test_unknown_is_neither_lost_nor_fine() -> None:
    """Everything below a directory that could not be listed, or behind a mount, is unknown there."""
    group = StagedGroup(2)
    group.runs(
        [file("d/a", b"1"), file("d/b", b"2"), file("m/c", b"3"), file("e", b"4")],
        [error_row("d", "EIO", "list"), special_row("m", "mount"), file("e", b"4")],
    )
    assert group.divergences() == {
        "d": ("unknown", ".!", ""),
        "d/a": ("unknown", "+?", ""),
        "d/b": ("unknown", "+?", ""),
        "m": ("unknown", ".!", ""),
        "m/c": ("unknown", "+?", ""),
    }
    assert not Finding.objects.filter(replica=None).exists()


def test_names_that_are_almost_alike() -> None:
    """Names that differ only in normalisation or in letter case are pointed out, moved or not."""
    composed = "caf\u00e9.txt"
    decomposed = "cafe\u0301.txt"
    group = StagedGroup(2)
    group.runs(
        [file(composed, b"1"), file("Readme", b"2"), file("Notes", b"3"), file("x", b"9")],
        [file(decomposed, b"1"), file("README", b"2"), file("notes", b"other"), file("x", b"9")],
    )
    divergences = Divergence.objects.filter(comparison_id=group.compare().pk)
    facts = {divergence.path: (divergence.kind, divergence.alike, divergence.others) for divergence in divergences}
    assert facts[composed] == ("moved", "unicode", {"2": decomposed})
    assert facts["Readme"][:2] == ("moved", "case")
    assert facts["Notes"] == ("lost", "case", {"2": "notes"})


def test_followers_of_a_primary_may_be_behind() -> None:
    """Followers may lag for a while and keep what the primary removed; what it never had is lost on it."""
    group, primary = stage_primary()
    group.runs(*[[file("gone", b"1"), file("edit", b"2"), file("same")]] * 2)
    group.run(0, [file("edit", b"3", mtime_ns=LATER_MTIME), file("new", b"4"), file("same")])
    group.run(1, [file("gone", b"1"), file("edit", b"2"), file("same"), file("stray", b"5")])
    assert group.divergences() == {
        "gone": ("lingering", ".~", ""),
        "edit": ("lagging", "+~", ""),
        "new": ("lagging", "+~", ""),
        "stray": ("lost", "-+", ""),
    }

    Run.objects.filter(replica=primary).update(finished_at=timezone.now() - timedelta(hours=9))
    Group.objects.filter(pk=group.group.pk).update(lag=timedelta(hours=7))
    divergences = group.divergences()
    assert divergences["edit"] == ("mismatch", "++", "no")
    assert divergences["new"] == ("lost", "+-", "")
    assert divergences["gone"] == ("lingering", ".~", "")


@pytest.mark.parametrize("hours_ahead", [0, 9000])
def test_a_clock_that_is_ahead_allows_no_lag(hours_ahead: int) -> None:
    """Count as missing what the primary has had for longer than the lag, also when its run claimed to end in a year."""
    group, primary = stage_primary()
    group.runs([file("new", b"4"), file("same")], [file("same")])
    arrived = timezone.now() - timedelta(hours=9)
    claimed = arrived + timedelta(hours=hours_ahead)
    Run.objects.filter(replica=primary).update(finished_at=claimed, received_at=arrived)
    assert group.divergences() == {"new": ("lost", "+-", "")}


def test_what_went_is_no_lag() -> None:
    """A path that a follower lost while the primary held it does not lag, however new the primary's content is."""
    group, _primary = stage_primary()
    group.runs(*[[file("same", b"1"), file("edited", b"2"), file("back", b"3"), file("z")]] * 2)
    group.run(0, [file("same", b"1"), file("edited", b"9", mtime_ns=LATER_MTIME), file("z")])
    group.run(1, [file("z")])
    assert group.divergences() == {"same": ("lost", "+-", ""), "edited": ("lost", "+-", "")}

    group.run(0, [file("same", b"1"), file("edited", b"9", mtime_ns=LATER_MTIME), file("back", b"4"), file("z")])
    assert group.divergences()["back"] == ("lagging", "+~", ""), "the primary had removed it, too, and brought it anew"


def test_a_primary_may_be_damaged() -> None:
    """Damage on the primary is nothing that followers may lag behind: it is told before it is spread."""
    group, primary = stage_primary()
    group.runs(*[[file("a", b"good"), file("b", b"1"), file("z")]] * 2)
    group.compare()
    group.run(0, [file("a", b"rotten"), file("b", b"2", mtime_ns=LATER_MTIME), file("z")], rotten=["a"])
    assert group.divergences() == {"a": ("mismatch", "++", "dg"), "b": ("lagging", "+~", "")}
    finding = Finding.objects.get(replica=None)
    assert finding.severity == Finding.Severity.CRITICAL
    assert finding.concerns == [primary.pk]


def test_a_replica_may_keep_only_a_part() -> None:
    """A path that does not fit the patterns of a replica is not expected there."""
    group = StagedGroup(2, relation="subset")
    part = group.replicas[1].replica
    part.keeps = "2026/\n*.jpg"
    part.save()
    group.runs([file("2025/a", b"1"), file("2026/a", b"2"), file("2025/b.jpg", b"3")], [file("2026/a", b"2")])
    assert group.divergences() == {"2025/b.jpg": ("lost", "+-", "")}


def test_other_excludes_are_unknown() -> None:
    """A path that one run left out by its excludes is not known there."""
    group = StagedGroup(2)
    scopes.record_scope(group.group)
    before = scope_digest(parse_excludes("").patterns, False)
    group.group.excludes = "*.tmp"
    group.group.save()
    scopes.record_scope(group.group)
    after = scope_digest(parse_excludes("*.tmp").patterns, False)
    group.run(0, [file("a"), file("b.tmp", b"1"), file("c", b"2")], config=before)
    group.run(1, [file("a")], config=after)
    assert group.divergences() == {"b.tmp": ("unknown", "+?", ""), "c": ("lost", "+-", "")}


def test_as_of_a_moment() -> None:
    """The replicas are compared as they were at a chosen time; such a comparison opens nothing."""
    group = StagedGroup(2)
    group.runs([file("a", b"1")], [file("a", b"1")])
    two_days_ago = timezone.now() - timedelta(days=2)
    yesterday = timezone.now() - timedelta(days=1)
    Run.objects.update(received_at=two_days_ago, finished_at=two_days_ago)
    group.runs([file("a", b"1")], [file("b", b"2")])

    comparison = group_comparisons.get_or_request(group.group, yesterday)
    assert comparison.state == "done"
    assert comparison.counts == {}
    assert group.compare().counts == {"lost": 2}

    Run.objects.filter(sequence=2).update(received_at=yesterday, finished_at=yesterday)
    renewed = group_comparisons.get_or_request(group.group, yesterday)
    assert renewed.counts == {"lost": 2}, "runs of then that were proven late"

    GroupComparison.objects.filter(pk=comparison.pk).update(asked_at="2020-01-01T00:00Z")
    assert group_comparisons.delete_unused() == 1


def stage_hold(names: list[str]) -> StagedGroup:
    """Stage three replicas that were alike until the files of the last one got other names and contents."""
    group = StagedGroup()
    group.runs(*[[file(name, name.encode()) for name in names]] * 3)
    group.run(2, [file(f"{name}.locked", b"E" + name.encode()) for name in names])
    return group


def test_what_only_a_replica_on_hold_has_is_missing_nowhere() -> None:
    """The new names of a replica on hold are nobody else's loss; what it lost itself is shown, and calls nobody."""
    names = [f"f{index:02}" for index in range(30)]
    group = stage_hold(names)
    assert read_status(group, 2) == "held"
    assert {path: cells for path, (_kind, cells, _judged) in group.divergences().items()} == dict.fromkeys(names, "++-")
    assert group.compare().participants.get(position=1).counts.get(Divergence.Cell.LOST, 0) == 0
    assert not Finding.objects.filter(replica=None, state=Finding.State.OPEN).exists()

    actions.release(Finding.objects.get(kind="mass_change"), stage.make_user("operator"), "meant")
    assert group.divergences()["f00.locked"] == ("lost", "--+", "")


def test_a_directory_that_only_a_replica_on_hold_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is so of a large directory, too, for which one row stands."""
    monkeypatch.setattr(missing_directories, "LEAST", 5)
    names = [f"f{index:02}" for index in range(30)]
    group = stage_hold(names)
    new = [file(f"new/{name}", b"N" + name.encode()) for name in names]
    group.run(2, [*(file(f"{name}.locked", b"E" + name.encode()) for name in names), *new])
    assert set(group.divergences()) == set(names)
    assert set(group.compare().counts) == {"lost"}
