"""What a proof may close, what it may not, and what the breaker counts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from checker.findings import actions, description, update
from checker.models import AuditEntry, Finding
from scanner.format.timestamps import format_timestamp
from tests.checker import stage
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.findings.test_update import mass, told
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, file
from tests.scanner.factories import error_row

pytestmark = pytest.mark.django_db(transaction=True)


def test_damage_that_went_on_is_resolved_by_the_first_content() -> None:
    """What the path held before the first damage proves it right; what lay between is damage as well."""
    world = StagedReplica()
    keep = file("keep", b"k")
    runs = [world.run([file("a", b"good"), keep])]
    for content in (b"bad", b"worse"):
        runs.append(world.run([file("a", content), keep, confirmed_note("a", str(runs[-1].uuid))]))
        assert told(world) == [("corrupted", "a", 1)]
    world.run([file("a", b"bad", mtime_ns=LATER_MTIME), keep])
    assert told(world) == [("corrupted", "a", 1)]
    world.run([file("a", b"good"), keep])
    assert told(world) == []


def test_what_lay_between_restores_nothing() -> None:
    """Of data that must not change, a return to what a finding had in between is a change as any other."""
    world = StagedReplica(policy="immutable", limit_files=1000)
    keep = file("keep", b"k")
    for at, content in enumerate((b"one", b"two", b"three", b"two")):
        world.run([file("a", content, mtime_ns=LATER_MTIME + at), keep])
    assert told(world) == [("modified", "a", 1), ("reverted", "a", 1)]
    world.run([file("a", b"one", mtime_ns=LATER_MTIME), keep])
    assert [one for one in told(world) if one[0] == "modified"] == []


def test_hidden_is_not_gone() -> None:
    """A path that came and that nobody can see any more has not gone: its finding stays until it is seen to be gone."""
    world = StagedReplica(policy="immutable", limit_files=1000)
    world.run([file("d/a", b"a"), file("keep")])
    world.run([file("d/a", b"a"), file("d/new", b"new"), file("keep")])
    assert told(world) == [("added", "d/new", 1)]
    world.run([error_row("d", stage="list"), file("keep")])
    assert told(world) == [("added", "d/new", 1), ("unreadable", "d", 1)]
    world.run([file("d/a", b"a"), file("keep")])
    assert told(world) == []


def test_a_directory_that_another_hides_was_not_read() -> None:
    """What covers an unreadable directory proves nothing of it, nor does its removal."""
    world = StagedReplica()
    world.run([file("p/d/a", b"a"), file("p/b", b"b"), file("q/a", b"qa"), file("keep")])
    world.run([error_row("p/d", stage="list"), file("p/b", b"b"), error_row("q", stage="list"), file("keep")])
    world.run([error_row("p", stage="list"), file("keep")])
    assert {path for _kind, path, _number in told(world)} >= {"p/d", "q"}
    world.run([file("p/d/a", b"a"), file("p/b", b"b"), file("keep")])
    assert told(world) == [("unreadable", "q", 1)]


def test_read_again_after_it_was_hidden() -> None:
    """A file that could not be read, then was hidden and is read again as it was, is no change and is resolved."""
    world = StagedReplica()
    world.run([file("d/a", b"a"), file("keep")])
    for error in (error_row("d/a"), error_row("d", stage="list")):
        world.run([error, file("keep")])
        told(world)
    world.run([file("d/a", b"a"), file("keep")])
    assert told(world) == []


def test_rotation_under_a_date() -> None:
    """Logs that are packed each night under a name with a date are no ransom, new as the date is."""
    world = StagedReplica()
    names = [f"log/{at}.log" for at in range(30)]
    packed = [file(f"{name}.20261121.gz", b"old" + name.encode()) for name in names]
    keep = [*packed, *(file(f"k/{at}", b"%d" % at) for at in range(900))]
    world.run([*(file(name, name.encode()) for name in names), *keep])
    world.run([*(file(f"{name}.20261122.gz", b"gz" + name.encode()) for name in names), *keep])
    assert told(world) == []


def test_no_new_file_is_accepted_once() -> None:
    """Who accepted that nothing new comes is not told again by the next run; a new file begins anew."""
    world = StagedReplica(policy="rotating", keep_days=30, expected_interval=timedelta(hours=1))
    now = timezone.now().timestamp()
    for hours in (9, 5):
        world.run(
            [file("a")],
            started_at=format_timestamp(now - hours * 3600 - 9),
            finished_at=format_timestamp(now - hours * 3600),
        )
    assert told(world) == [("no_new_file", "", 0)]
    actions.accept(Finding.objects.get(), stage.make_user("operator"), "a holiday")
    world.run([file("a")])
    assert told(world) == []


def test_nought_is_nought() -> None:
    """With both limits nought one changed file among thousands holds the replica."""
    world = StagedReplica(limit_files=0, limit_share=0)
    mass(world, 1500, 0)
    mass(world, 1500, 1)
    assert told(world) == [("mass_change", "", 1)]


@pytest.mark.parametrize("ending", [".id-1A2B.[pay@example.org].dharma", ".locked"])
def test_endings_of_many_parts(ending: str) -> None:
    """An ending may have several parts, as malware likes it."""
    world = StagedReplica()
    names = [f"d{at % 3}/{at}.tar.gz" for at in range(1000)]
    world.run([file(name, name.encode()) for name in names])
    gone = [file(name + ending, b"E" + name.encode()) for name in names[:25]]
    world.run([*(file(name, name.encode()) for name in names[25:]), *gone])
    assert told(world) == [("mass_change", "", 25)]
    assert ending in description.describe(Finding.objects.get()).title


def test_empty_files_that_are_renamed() -> None:
    """An empty file under another name is no other content."""
    world = StagedReplica()
    names = [f"{at}.flag" for at in range(25)]
    keep = [file(f"k/{at}", str(at).encode()) for at in range(900)]
    world.run([*(file(name, b"") for name in names), *keep])
    world.run([*(file(name + ".done", b"") for name in names), *keep])
    assert told(world) == []


def test_folded_directories_say_what_they_hide() -> None:
    """Also when several directories are told in one line, it says how many paths are hidden below them."""
    world = StagedReplica()
    rows = [file(f"d/{at}/x{number}", f"{at}{number}".encode()) for at in range(3) for number in range(4)]
    world.run([*rows, file("keep")])
    world.run([*(error_row(f"d/{at}", stage="list") for at in range(3)), file("d/z"), error_row("e"), file("keep")])
    found = {finding.path: " ".join(description.describe(finding).reasons) for finding in Finding.objects.all()}
    told(world)
    found = {finding.path: " ".join(description.describe(finding).reasons) for finding in Finding.objects.all()}
    assert set(found) == {"d/", "e"} and "12 paths below" in found["d/"]


def test_a_line_counts_its_paths_once() -> None:
    """Paths of a line that change again are counted once."""
    world = StagedReplica(policy="immutable", limit_files=1000)
    for at in range(3):
        world.run(
            [file(f"d/{number}", b"%d %d" % (at, number), mtime_ns=LATER_MTIME + at) for number in range(25)]
            + [file("k")]
        )
        told(world)
    assert told(world) == [("modified", "d/", 25)]


def test_twenty_lines() -> None:
    """Up to twenty directories have a line each; more are one line."""
    for folders, expected in ((20, 20), (21, 1)):
        world = StagedReplica(policy="immutable", limit_files=1000)
        names = [f"u/{folder:02d}/{number}" for folder in range(folders) for number in range(2)]
        world.run([file(name, name.encode()) for name in names])
        world.run([file(name, b"2" + name.encode(), mtime_ns=LATER_MTIME) for name in names])
        assert len(told(world)) == expected


def test_judging_twice_changes_nothing() -> None:
    """A comparison that is judged again opens nothing, not even what was accepted or released meanwhile."""
    world = StagedReplica(policy="immutable", limit_files=2, limit_share=1)
    world.run([file(str(at), b"%d" % at) for at in range(50)])
    world.run([file(str(at), b"new %d" % at if at < 9 else b"%d" % at) for at in range(50)])
    comparison, user = world.compare(), stage.make_user("operator")
    before = list(Finding.objects.order_by("pk").values_list("pk", "state"))
    for _again in range(2):
        with transaction.atomic():
            update.update_findings(comparison)
        assert list(Finding.objects.order_by("pk").values_list("pk", "state")) == before
        assert not AuditEntry.objects.exclude(action__in=["opened", "accepted", "released"]).exists()
        for one in Finding.objects.all():
            if one.state == Finding.State.OPEN:
                (actions.release if one.kind == "mass_change" else actions.accept)(one, user, "known")
        before = [(pk, "accepted") for pk, _state in before]


def test_restless_files_fold() -> None:
    """Many files of a directory that never stand still are one line."""
    world = StagedReplica()
    for _run in range(3):
        world.run([*(error_row(f"db/{at}", "ECHANGED", "read") for at in range(30)), file("x")])
    assert told(world) == [("restless", "db/", 30)]


@pytest.mark.parametrize("error", ["EACCES", "ECHANGED"])
def test_read_again_with_another_content(error: str) -> None:
    """A file that could not be read and then holds something else was read again, and is told as what it is now."""
    world = StagedReplica()
    world.run([file("a", b"good"), file("keep")])
    for _run in range(3):
        world.run([error_row("a", error, "read"), file("keep")])
        told(world)
    assert len(told(world)) == 1
    world.run([file("a", b"bad"), file("keep")])
    assert told(world) == [("rewritten", "a", 1)]


@pytest.mark.parametrize(
    ("error", "says", "says_not"),
    [("EIO", "SMART", "permissions"), ("EUNSTABLE", "SMART", "permissions"), ("EACCES", "permissions", "SMART")],
)
def test_advice_fits_the_error(error: str, says: str, says_not: str) -> None:
    """Who lacks a right is not sent to the disk, and who has a bad disk not to the rights."""
    world = StagedReplica()
    world.run([error_row("a", error, "read"), file("keep")])
    told(world)
    steps = " ".join(description.describe(Finding.objects.get()).next_steps)
    assert says in steps and says_not not in steps
