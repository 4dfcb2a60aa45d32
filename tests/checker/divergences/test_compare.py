"""What the replicas of a group differ in, over real runs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from checker.findings import actions, description
from checker.jobs import group_comparisons
from checker.models import Divergence, Finding, GroupComparison
from checker.pages import overview, replica_facts
from scanner import scopes
from scanner.format.excludes import parse_excludes, scope_digest
from scanner.models import Group, Run
from tests.checker import stage
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import LATER_MTIME, file
from tests.scanner.factories import error_row, link_row, special_row

pytestmark = pytest.mark.django_db(transaction=True)


def test_equal_is_immediate() -> None:
    """Replicas that hold the same diverge in nothing, and the signed digests say so."""
    fleet = StagedGroup()
    fleet.runs(*[[file("a"), file("b", b"b"), link_row("l", "a")]] * 3)
    comparison = fleet.compare()
    assert comparison.equal and comparison.counts == {} and fleet.divergences() == {}


def test_lost_mismatch_unknown_and_moved() -> None:
    """Each path has one kind, and a character for each replica."""
    fleet = StagedGroup()
    fleet.runs(
        [file("same"), file("lost", b"1"), file("other", b"2"), file("shut", b"3"), file("old/name", b"4")],
        [file("same"), file("other", b"2"), error_row("shut"), file("old/name", b"4")],
        [file("same"), file("lost", b"1"), file("other", b"x"), file("shut", b"3"), file("new/name", b"4")],
    )
    found = fleet.divergences()
    assert found["lost"][:2] == ("lost", "+-+")
    assert found["other"][:2] == ("mismatch", "+++")
    assert found["shut"][:2] == ("unknown", "+!+")
    assert found["old/name"][:2] == ("moved", "++>")
    assert found["new/name"][:2] == ("moved", ">>+")
    assert "same" not in found
    moved = Divergence.objects.get(path="old/name")
    assert moved.others == {"3": "new/name"}
    assert fleet.compare().counts == {"lost": 1, "mismatch": 1, "unknown": 1, "moved": 2, "damaged": 1}
    assert Finding.objects.filter(replica=None).count() == 2


def test_damage_is_told_with_the_good_copy_and_resolved_by_proof() -> None:
    """A damaged copy is a finding of its own that names the good copies; equal again resolves it."""
    fleet = StagedGroup()
    fleet.runs(*[[file("a", b"good"), file("b")]] * 3)
    fleet.compare()
    fleet.run(1, [file("a", b"rotten"), file("b")])
    assert fleet.divergences() == {"a": ("mismatch", "+++", "gdg")}
    finding = Finding.objects.get(replica=None)
    damaged = fleet.replicas[1].replica
    assert finding.severity == Finding.Severity.CRITICAL and finding.concerns == [damaged.pk]
    told = description.describe(finding)
    good = fleet.replicas[0].replica.server.name
    assert f"damaged on {damaged.server.name}:/srv/data" in told.title and good in told.title
    assert any(good in step for step in told.next_steps) and len(told.reasons) == 5
    states = {
        line.replica: line.assessment.status
        for line in overview.replica_rows(replica_facts.replicas_in_use(), timezone.now())
    }
    assert states[damaged] == "damaged" and states[fleet.replicas[0].replica] == "proven"
    fleet.run(1, [file("a", b"good"), file("b")])
    assert fleet.divergences() == {}
    finding.refresh_from_db()
    assert finding.state == "resolved"
    assert [entry.action for entry in finding.audit_entries.all()] == ["opened", "resolved"]


def test_accepted_stays_accepted_until_it_is_another() -> None:
    """What was accepted opens no finding again while it is the same; another content, or another loser, does."""
    fleet = StagedGroup()
    fleet.runs([file("a"), file("only", b"1")], [file("a")], [file("a"), file("only", b"1")])
    fleet.compare()
    finding = Finding.objects.get(replica=None)
    actions.accept(finding, stage.make_user("operator"), "not needed there")
    fleet.run(0, [file("a"), file("only", b"1", mode=0o100600)])
    fleet.compare()
    assert Finding.objects.filter(replica=None).count() == 1, "the same divergence"
    fleet.run(2, [file("a")])
    fleet.compare()
    assert Finding.objects.filter(replica=None, state="open").count() == 1, "one more has lost it"


def test_a_thousand_lost_files_are_few_lines() -> None:
    """Like divergences fold by directory; a damaged copy among them never does."""
    fleet = StagedGroup(2)
    many = [file(f"dir{at % 3}/f{at:04}", str(at).encode()) for at in range(300)]
    fleet.runs([*many, file("z", b"good")], [file("z", b"good")])
    fleet.run(1, [file("z", b"bad")])
    comparison = fleet.compare()
    assert comparison.counts == {"lost": 300, "mismatch": 1, "damaged": 1}
    assert Finding.objects.filter(replica=None, kind="lost").count() == 3
    finding = Finding.objects.filter(replica=None, kind="lost").first()
    assert finding and finding.folded and finding.number == 100 and "100 paths below dir" in description.title(finding)
    fleet.run(1, [*many[:150], file("z", b"bad")])
    fleet.compare()
    numbers = Finding.objects.filter(replica=None, kind="lost", state="open").values_list("number", flat=True)
    assert sorted(numbers) == [50, 50, 50], "half of them are there again"


def test_stale_held_failed_and_without_a_run() -> None:
    """Who does not stand for what is there now says so, has no vote and opens nothing."""
    fleet = StagedGroup(4)
    fleet.runs(*[[file("a", b"1")]] * 2, [file("a", b"2")])
    assert fleet.divergences()["a"][2] == "ggd "[:3]
    Run.objects.filter(replica=fleet.replicas[1].replica).update(
        finished_at=timezone.now() - timedelta(days=9), received_at=timezone.now() - timedelta(days=9)
    )
    assert fleet.divergences()["a"][2] == "uuu", "one vote against one"
    seats = {one.replica_id: one.standing for one in fleet.compare().participants.all()}
    assert list(seats.values()) == ["current", "stale", "current", "none"]
    fleet.run(0, [], outcome="failed")
    assert fleet.compare().participants.get(replica=fleet.replicas[0].replica).standing == "failed"
    server = fleet.replicas[2].replica.server
    server.held_at = timezone.now()
    server.save()
    assert fleet.compare().participants.get(replica=fleet.replicas[2].replica).standing == "held"
    assert not Divergence.objects.get().current


def test_unknown_is_neither_lost_nor_fine() -> None:
    """What lies below a directory that could not be listed, or behind a mount, is unknown there."""
    fleet = StagedGroup(2)
    fleet.runs(
        [file("d/a", b"1"), file("d/b", b"2"), file("m/c", b"3"), file("e", b"4")],
        [error_row("d", "EIO", "list"), special_row("m", "mount"), file("e", b"4")],
    )
    found = fleet.divergences()
    assert found == {
        "d": ("unknown", ".!", ""), "d/a": ("unknown", "+?", ""), "d/b": ("unknown", "+?", ""),
        "m": ("unknown", ".!", ""), "m/c": ("unknown", "+?", ""),
    }  # fmt: skip
    assert not Finding.objects.filter(replica=None).exists()


def test_names_that_are_almost_alike() -> None:
    """Names that differ only in normalisation or in letter case are pointed out, moved or not."""
    fleet = StagedGroup(2)
    fleet.runs(
        [file("caf\u00e9.txt", b"1"), file("Readme", b"2"), file("Notes", b"3"), file("x", b"9")],
        [file("cafe\u0301.txt", b"1"), file("README", b"2"), file("notes", b"other"), file("x", b"9")],
    )
    rows = {one.path: one for one in Divergence.objects.filter(comparison_id=fleet.compare().pk)}
    here, there = "caf\u00e9.txt", "cafe\u0301.txt"
    assert rows[here].kind == "moved" and rows[here].alike == "unicode" and rows[here].others == {"2": there}
    assert rows["Readme"].kind == "moved" and rows["Readme"].alike == "case"
    assert rows["Notes"].kind == "lost" and rows["Notes"].alike == "case" and rows["Notes"].others == {"2": "notes"}


def test_one_leads() -> None:
    """Where one leads, the others may lag for a while and keep what it removed; what it never had is lost on it."""
    fleet = StagedGroup(2, relation="primary", lag=timedelta(hours=6))
    leader = fleet.replicas[0].replica
    leader.leads = True
    leader.save()
    fleet.runs(*[[file("gone", b"1"), file("edit", b"2"), file("same")]] * 2)
    fleet.run(0, [file("edit", b"3", mtime_ns=LATER_MTIME), file("new", b"4"), file("same")])
    fleet.run(1, [file("gone", b"1"), file("edit", b"2"), file("same"), file("stray", b"5")])
    assert fleet.divergences() == {
        "gone": ("lingering", ".~", ""), "edit": ("lagging", "+~", ""), "new": ("lagging", "+~", ""),
        "stray": ("lost", "-+", ""),
    }  # fmt: skip
    early = timezone.now() - timedelta(hours=9)
    Run.objects.filter(replica=leader).update(finished_at=early)
    Group.objects.filter(pk=fleet.group.pk).update(lag=timedelta(hours=7))
    found = fleet.divergences()
    assert found["edit"] == ("mismatch", "++", "no") and found["new"] == ("lost", "+-", "")
    assert found["gone"] == ("lingering", ".~", "")


def test_what_went_is_no_lag() -> None:
    """What a follower had, and lost while the leader held it, does not lag: however new the leader's content is."""
    fleet = StagedGroup(2, relation="primary", lag=timedelta(hours=6))
    leader = fleet.replicas[0].replica
    leader.leads = True
    leader.save()
    fleet.runs(*[[file("same", b"1"), file("edited", b"2"), file("back", b"3"), file("z")]] * 2)
    fleet.run(0, [file("same", b"1"), file("edited", b"9", mtime_ns=LATER_MTIME), file("z")])
    fleet.run(1, [file("z")])
    assert fleet.divergences() == {"same": ("lost", "+-", ""), "edited": ("lost", "+-", "")}
    fleet.run(0, [file("same", b"1"), file("edited", b"9", mtime_ns=LATER_MTIME), file("back", b"4"), file("z")])
    assert fleet.divergences()["back"] == ("lagging", "+~", ""), "the leader had removed it, too, and brought it anew"


def test_a_leader_may_be_damaged() -> None:
    """What came to the leader by damage is not what the others may lag behind: it is told before it is spread."""
    fleet = StagedGroup(2, relation="primary", lag=timedelta(hours=6))
    leader = fleet.replicas[0].replica
    leader.leads = True
    leader.save()
    fleet.runs(*[[file("a", b"good"), file("b", b"1"), file("z")]] * 2)
    fleet.compare()
    fleet.run(0, [file("a", b"rotten"), file("b", b"2", mtime_ns=LATER_MTIME), file("z")])
    assert fleet.divergences() == {"a": ("mismatch", "++", "dg"), "b": ("lagging", "+~", "")}
    finding = Finding.objects.get(replica=None)
    assert finding.severity == Finding.Severity.CRITICAL and finding.concerns == [leader.pk]


def test_some_keep_only_a_part() -> None:
    """Where some keep only a part, what does not fit their patterns is not expected there."""
    fleet = StagedGroup(2, relation="subset")
    part = fleet.replicas[1].replica
    part.keeps = "2026/\n*.jpg"
    part.save()
    fleet.runs([file("2025/a", b"1"), file("2026/a", b"2"), file("2025/b.jpg", b"3")], [file("2026/a", b"2")])
    assert fleet.divergences() == {"2025/b.jpg": ("lost", "+-", "")}


def test_other_excludes_are_unknown() -> None:
    """What one run left out by its excludes is not known there."""
    fleet = StagedGroup(2)
    scopes.record_scope(fleet.group)
    before = scope_digest(parse_excludes("").patterns, False)
    fleet.group.excludes = "*.tmp"
    fleet.group.save()
    scopes.record_scope(fleet.group)
    after = scope_digest(parse_excludes("*.tmp").patterns, False)
    fleet.run(0, [file("a"), file("b.tmp", b"1"), file("c", b"2")], config=before)
    fleet.run(1, [file("a")], config=after)
    assert fleet.divergences() == {"b.tmp": ("unknown", "+?", ""), "c": ("lost", "+-", "")}


def test_as_of_a_moment() -> None:
    """The replicas as they were at a chosen time; such a comparison opens nothing."""
    fleet = StagedGroup(2)
    fleet.runs([file("a", b"1")], [file("a", b"1")])
    Run.objects.update(received_at=timezone.now() - timedelta(days=2), finished_at=timezone.now() - timedelta(days=2))
    then = timezone.now() - timedelta(days=1)
    fleet.runs([file("a", b"1")], [file("b", b"2")])
    before = group_comparisons.get_or_request(fleet.group, then)
    assert before.state == "done" and before.counts == {}
    assert fleet.compare().counts == {"lost": 2}
    Run.objects.filter(sequence=2).update(received_at=then, finished_at=then)
    assert group_comparisons.get_or_request(fleet.group, then).counts == {"lost": 2}, (
        "runs of then that were proven late"
    )
    GroupComparison.objects.filter(pk=before.pk).update(asked_at="2020-01-01T00:00Z")
    assert group_comparisons.delete_unused() == 1
