"""Which finding tells what lies in an absence: the same that would tell each path by itself.

Each test runs twice: with directories kept as one row from two paths on, and with a row for each path.
"""

from __future__ import annotations

import contextlib
import importlib
import random
from collections.abc import Iterator

import pytest
from django.db import connection
from django.db.migrations import RunSQL
from django.utils import timezone

from checker.divergences import missing_directories, queries
from checker.divergences.queries import DivergenceFilter, DivergenceRow
from checker.findings import actions
from checker.models import Divergence, Finding, GroupComparison
from scanner.format.records import Record
from tests.checker import stage
from tests.checker.divergences.test_missing_directories import NEVER, accept_all, again, kept, many
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import LATER_MTIME, file
from tests.scanner import factories
from tests.scanner.factories import error_row

pytestmark = pytest.mark.django_db(transaction=True)
ALL = file("all")


@pytest.fixture(params=[2, NEVER], ids=["absences", "rows"], autouse=True)
def least(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """From how many paths on a directory is one row."""
    number: int = request.param
    monkeypatch.setattr(missing_directories, "LEAST", number)
    return number


def rows(comparison: GroupComparison) -> list[DivergenceRow]:
    """All paths."""
    return list(queries.iterate_divergences(comparison.pk, DivergenceFilter()))


def told(fleet: StagedGroup) -> set[str]:
    """The paths that an open finding tells by the newest comparison."""
    comparison = fleet.compare()
    opened = set(Finding.objects.filter(replica=None, state="open").values_list("uuid", flat=True))
    return {row.path for row in rows(comparison) if row.finding in opened}


def lost_and_accepted(number: int, *, replicas: int = 2) -> StagedGroup:
    """The last replica lacks so many paths below share/, which was accepted."""
    fleet = StagedGroup(replicas, limit_files=100_000)
    fleet.runs(*[[*many(number), ALL]] * (replicas - 1), [ALL])
    fleet.compare()
    accept_all()
    assert told(fleet) == set()
    return fleet


def test_what_comes_after_it_was_accepted(least: int) -> None:
    """It is told by itself, and the rest stays accepted, while the whole directory is lost and when a part is back."""
    fleet = lost_and_accepted(9)
    since = {row.since for row in rows(fleet.compare())}
    fleet.run(0, [*many(11), ALL])
    assert told(fleet) == {"share/dir0/f009", "share/dir1/f010"}
    assert least == NEVER or set(kept(fleet.compare()).values()) == {9, None}
    fleet.run(1, [ALL, many(9)[0]])
    assert told(fleet) == {"share/dir0/f009", "share/dir1/f010"}
    accept_all()
    fleet.run(1, [ALL])
    assert told(fleet) == {"share/dir0/f000"}, "it is lost anew"
    assert since < {row.since for row in rows(fleet.compare())}


def test_what_came_while_all_was_restored() -> None:
    """The new file is missing, though all that was accepted is back."""
    fleet = lost_and_accepted(9)
    fleet.run(0, [*many(9), file("share/new", b"new"), ALL])
    fleet.run(1, [*many(9), ALL])
    assert told(fleet) == {"share/new"}


def test_other_content_is_another_loss_and_other_metadata_is_not() -> None:
    """What was accepted is that this content is not there."""
    fleet = lost_and_accepted(9)
    edited, touched = many(9), many(9)
    edited[4] = touched[4] = file("share/dir1/f004", b"edited", mtime_ns=LATER_MTIME)
    touched[5] = file("share/dir2/f005", b"5", mtime_ns=LATER_MTIME)
    fleet.run(0, [*edited, ALL])
    assert told(fleet) == {"share/dir1/f004"}
    accept_all()
    fleet.run(0, [*touched, ALL])
    assert told(fleet) == set()
    fleet.run(1, [ALL, touched[0]])
    assert told(fleet) == set()


def test_as_many_as_were_accepted_are_not_the_same() -> None:
    """A loss is not covered because as many other paths are no longer lost."""
    fleet = StagedGroup(2, limit_files=100_000)
    one = [file(f"share/a/f{at:03}", b"a%d" % at) for at in range(40)]
    other = [file(f"share/b/g{at:03}", b"b%d" % at) for at in range(10)]
    fleet.runs([*one, *other, ALL], [*other, ALL])
    fleet.compare()
    accept_all()
    fleet.run(0, [*one[:20], *other, ALL])
    fleet.run(1, [ALL])
    assert told(fleet) == {f"share/b/g{at:03}" for at in range(10)}


def test_a_few_accepted_do_not_accept_all(least: int) -> None:
    """Two lost files that were accepted stay so when all of their directory is lost; the others are told."""
    fleet = StagedGroup(2, limit_files=100_000)
    fleet.runs([*many(9), ALL], [*many(9)[2:], ALL])
    fleet.compare()
    accept_all()
    fleet.run(1, [ALL])
    assert told(fleet) == {record.path for record in many(9)[2:]}
    assert least == NEVER or kept(fleet.compare())["share/dir2/"] == 3


def test_one_more_makes_it_a_directory(monkeypatch: pytest.MonkeyPatch, least: int) -> None:
    """The path that makes enough of them is told, and no other."""
    if least != NEVER:
        monkeypatch.setattr(missing_directories, "LEAST", 30)
    fleet = lost_and_accepted(29)
    fleet.run(0, [*many(30), ALL])
    assert told(fleet) == {"share/dir2/f029"}


def test_what_was_told_by_another_finding_stays_with_it() -> None:
    """Accepted or opened again, an absence takes nothing from the finding that tells what came later."""
    fleet = lost_and_accepted(9)
    accepted = list(Finding.objects.filter(replica=None))
    fleet.run(0, [*many(10), ALL])
    assert told(fleet) == {"share/dir0/f009"}
    for one in accepted:
        actions.undo(one, stage.make_user("operator"), "a mistake")
    fleet.run(0, [*many(10), file("other"), ALL])
    assert len(told(fleet)) == 11
    assert not Finding.objects.filter(replica=None, state="resolved").exists()


def test_a_copy_for_a_while() -> None:
    """What has a copy elsewhere is moved there; when the copy goes, that path alone is lost anew."""
    fleet = lost_and_accepted(30)
    fleet.run(1, [ALL, file("tmp/x", b"4")])
    assert told(fleet) == set()
    fleet.run(1, [ALL])
    assert told(fleet) == {"share/dir1/f004"}


def test_several_findings_that_were_accepted(monkeypatch: pytest.MonkeyPatch, least: int) -> None:
    """Directories of several findings are not one absence, and none is told anew."""
    monkeypatch.setattr(missing_directories, "LEAST", NEVER)
    fleet = lost_and_accepted(30)
    assert Finding.objects.filter(replica=None, state="accepted").count() == 3
    again(fleet, monkeypatch, least)
    assert told(fleet) == set()


def test_an_open_one_stays_open() -> None:
    """What is still lost is not resolved because its parent directory is lost, too."""
    fleet = StagedGroup(2, limit_files=100_000)
    top = [*many(30, "top/d{}"), file("top/all")]
    fleet.runs([*many(30), *top], top)
    fleet.compare()
    first = set(Finding.objects.filter(replica=None).values_list("pk", flat=True))
    fleet.run(1, [])
    assert len(told(fleet)) == 61
    assert set(Finding.objects.filter(pk__in=first, state="open").values_list("pk", flat=True)) == first


@pytest.mark.parametrize("first", [True, False])
def test_a_replica_that_cannot_look_comes_to_it(first: bool) -> None:
    """Who holds what is as before, whatever the places of the replicas are now."""
    fleet = StagedGroup(3, limit_files=100_000)
    newcomer = 0 if first else 2
    holder, lacking = sorted({0, 1, 2} - {newcomer})
    fleet.run(holder, [*many(30), ALL])
    fleet.run(lacking, [ALL])
    fleet.compare()
    accept_all()
    fleet.run(newcomer, [ALL, error_row("share", "EIO", "list")])
    assert told(fleet) == set()


def test_what_is_unreadable_elsewhere_is_told() -> None:
    """Who comes to it and cannot read one of the files holds that one, too: it is no longer the same."""
    fleet = StagedGroup(3, limit_files=100_000)
    fleet.run(0, [ALL])
    fleet.run(1, [*many(9), ALL])
    fleet.compare()
    accept_all()
    fleet.run(2, [error_row("share/dir0/f000"), *many(9)[1:], ALL])
    assert told(fleet) == {record.path for record in many(9)}


def test_nothing_is_accepted_unseen() -> None:
    """One path less and another one more are as many: who looked before has not seen the new one."""
    fleet = StagedGroup(2, limit_files=100_000)
    fleet.runs([*many(9), ALL], [ALL])
    fleet.compare()
    pages = [(one, actions.revision(one)) for one in Finding.objects.filter(replica=None)]
    fleet.run(0, [*many(9)[:8], file("share/dir2/new", b"new"), ALL])
    fleet.compare()
    operator = stage.make_user("operator")
    for one, looked_at in pages:
        with contextlib.suppress(actions.ActionRefused):
            actions.accept(one, operator, "known", seen_revision=looked_at)
    assert "share/dir2/new" in told(fleet)


def test_after_the_upgrade() -> None:
    """What was accepted before there were absences is not told anew."""
    fleet = lost_and_accepted(9)
    migration = importlib.import_module("checker.migrations.0007_absences").Migration
    seats, *_ = [str(one.sql) for one in migration.operations if isinstance(one, RunSQL)]
    GroupComparison.objects.update(seating=[])
    with connection.cursor() as cursor:
        cursor.execute(seats)
    assert told(fleet) == set()
    assert GroupComparison.objects.get().seating == [world.replica.pk for world in fleet.replicas]


def test_many_that_came_under_other_names(least: int) -> None:
    """What the replica holds beside is compared by content: what has a copy there is moved, and the rest is lost."""
    fleet = StagedGroup(3, limit_files=100_000)
    other = [file(f"new/{at:03}", b"other %d" % at) for at in range(40)]
    fleet.runs([*many(30), ALL], [*many(30), ALL], [*other, file("new/moved", b"4"), ALL])
    kinds = {row.path: row.kind for row in rows(fleet.compare())}
    assert kinds["share/dir1/f004"] == kinds["new/moved"] == "moved"
    assert kinds["share/dir1/f001"] == "lost"


def test_too_few_to_compare_for_a_while() -> None:
    """A finding keeps its paths while fewer than two replicas can be compared, and goes on when they can."""
    fleet = StagedGroup(2)
    fleet.runs([*many(9), ALL], [ALL])
    fleet.compare()
    holder = fleet.replicas[0].replica
    holder.archived_at = timezone.now()
    holder.save()
    factories.make_replica(group=fleet.group)
    fleet.compare()
    findings = Finding.objects.filter(replica=None, state="open")
    assert sum(len(queries.read_finding_page(one.pk).rows) for one in findings) == 9
    accept_all()
    holder.archived_at = None
    holder.save()
    assert told(fleet) == set()


def test_directories_that_are_spelled_alike() -> None:
    """Each of two lost directories whose names differ in case alone is near to a third one."""
    fleet = StagedGroup(2, limit_files=100_000)
    upper = [file(f"Share/f{at}", b"S%d" % at) for at in range(5)]
    lower = [file(f"share/f{at}", b"s%d" % at) for at in range(5)]
    fleet.runs([*upper, *lower, ALL], [ALL, file("SHARE/f1", b"zz")])
    fleet.compare()
    assert set(Divergence.objects.filter(alike="case").values_list("path", flat=True)) >= {"Share/f1", "share/f1"}


@pytest.mark.parametrize("seed", range(4))
def test_every_new_loss_is_told(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over random histories: what is lost anew is told by an open finding, and what was accepted and is still lost is
    not."""
    dice = random.Random(seed)
    fleet = StagedGroup(dice.choice([2, 3]), limit_files=100_000)
    accepted: set[tuple[str, str]] = set()
    before: set[tuple[str, int]] = set()
    for states in _nights(dice, len(fleet.replicas)):
        for at, records in states.items():
            fleet.run(at, records)
        opened = told(fleet)
        cells = {(row.path, row.cells) for row in rows(fleet.compare()) if row.kind == "lost"}
        now = {(path, at) for path, some in cells for at, cell in enumerate(some) if cell == "-"}
        assert {path for path, _at in now - before} <= opened
        accepted &= cells
        assert not {path for path, _cells in accepted} & opened
        if dice.random() < 0.6:
            accept_all()
            accepted = cells
        before = now


def _nights(dice: random.Random, number: int) -> Iterator[dict[int, list[Record]]]:
    """Replicas that lose and get back directories and files."""
    universe = [f"{one}/{other}/f{at}" for one in "ab" for other in "xy" for at in range(5)]
    have = [set(universe) for _ in range(number)]
    yield {at: [file(path, path.encode()) for path in universe] for at in range(number)}
    for _ in range(10):
        some = range(number) if dice.random() < 0.5 else [dice.randrange(number)]
        for at in some:
            for _ in range(dice.randrange(1, 3)):
                chosen = dice.choice(["", "a/", "b/", "a/x/", "a/y/", "b/x/", *dice.sample(universe, 6)])
                hit = {path for path in universe if path.startswith(chosen)}
                have[at] = have[at] - hit if dice.random() < 0.55 else have[at] | hit
        yield {at: [*(file(path, path.encode()) for path in sorted(have[at])), file("all")] for at in some}
