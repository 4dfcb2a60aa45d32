"""Attribute a missing directory to the finding that would tell each of its paths by itself.

Each test runs with two paths being enough for a missing directory, and with --long also with a row for each path.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import pytest
from django.utils import timezone

from checker.divergences import missing_directories, queries
from checker.divergences.queries import DivergenceFilter, DivergenceRow
from checker.findings import actions
from checker.models import Divergence, Finding, GroupComparison
from scanner.format.records import Record
from tests.checker import stage
from tests.checker.divergences.test_missing_directories import (
    NEVER,
    accept_all,
    compare_again,
    files_in_three,
    stored_numbers,
)
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import LATER_MTIME, file
from tests.parameters import usual_first
from tests.scanner import factories
from tests.scanner.factories import error_row

pytestmark = pytest.mark.django_db(transaction=True)
COMMON = file("all")
"""A file that no replica loses."""


@pytest.fixture(
    params=[pytest.param(2, id="directories"), pytest.param(NEVER, id="rows", marks=pytest.mark.long)], autouse=True
)
def least(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Set how many paths are enough for a missing directory, and return it."""
    number: int = request.param
    monkeypatch.setattr(missing_directories, "LEAST", number)
    return number


def read_rows(comparison: GroupComparison) -> list[DivergenceRow]:
    """Return all divergences."""
    return list(queries.iterate_divergences(comparison.pk, DivergenceFilter()))


def open_paths(group: StagedGroup) -> set[str]:
    """Compare the newest runs, and return the paths that belong to an open finding."""
    comparison = group.compare()
    open_findings = set(Finding.objects.filter(replica=None, state="open").values_list("uuid", flat=True))
    return {row.path for row in read_rows(comparison) if row.finding in open_findings}


def lost_and_accepted(number: int, *, replicas: int = 2) -> StagedGroup:
    """Stage a group whose last replica lacks so many paths below share/, which was accepted."""
    group = StagedGroup(replicas, limit_files=100_000)
    group.runs(*[[*files_in_three(number), COMMON]] * (replicas - 1), [COMMON])
    group.compare()
    accept_all()
    assert open_paths(group) == set()
    return group


def test_what_comes_after_it_was_accepted(least: int) -> None:
    """It is told by itself, and the rest stays accepted, while the whole directory is lost and when a part is back."""
    group = lost_and_accepted(9)
    since = {row.since for row in read_rows(group.compare())}
    group.run(0, [*files_in_three(11), COMMON])
    assert open_paths(group) == {"share/dir0/f009", "share/dir1/f010"}
    assert least == NEVER or set(stored_numbers(group.compare()).values()) == {9, None}

    group.run(1, [COMMON, files_in_three(9)[0]])
    assert open_paths(group) == {"share/dir0/f009", "share/dir1/f010"}

    accept_all()
    group.run(1, [COMMON])
    assert open_paths(group) == {"share/dir0/f000"}, "it is lost anew"
    assert since < {row.since for row in read_rows(group.compare())}


def test_what_came_while_all_was_restored() -> None:
    """The new file is missing, though all that was accepted is back."""
    group = lost_and_accepted(9)
    group.run(0, [*files_in_three(9), file("share/new", b"new"), COMMON])
    group.run(1, [*files_in_three(9), COMMON])
    assert open_paths(group) == {"share/new"}


def test_other_content_is_another_loss_and_other_metadata_is_not() -> None:
    """A person accepted that this content is not there."""
    group = lost_and_accepted(9)
    edited = files_in_three(9)
    edited[4] = file("share/dir1/f004", b"edited", mtime_ns=LATER_MTIME)
    group.run(0, [*edited, COMMON])
    assert open_paths(group) == {"share/dir1/f004"}

    accept_all()
    touched = [*edited[:5], file("share/dir2/f005", b"5", mtime_ns=LATER_MTIME), *edited[6:]]
    group.run(0, [*touched, COMMON])
    assert open_paths(group) == set()
    group.run(1, [COMMON, touched[0]])
    assert open_paths(group) == set()


def test_as_many_as_were_accepted_are_not_the_same() -> None:
    """A loss is not covered because as many other paths are no longer lost."""
    group = StagedGroup(2, limit_files=100_000)
    first = [file(f"share/a/f{number:03}", b"a%d" % number) for number in range(40)]
    second = [file(f"share/b/g{number:03}", b"b%d" % number) for number in range(10)]
    group.runs([*first, *second, COMMON], [*second, COMMON])
    group.compare()
    accept_all()
    group.run(0, [*first[:20], *second, COMMON])
    group.run(1, [COMMON])
    assert open_paths(group) == {record.path for record in second}


def test_a_few_accepted_do_not_accept_all(least: int) -> None:
    """Two lost files that were accepted stay so when all of their directory is lost; the others are told."""
    group = StagedGroup(2, limit_files=100_000)
    group.runs([*files_in_three(9), COMMON], [*files_in_three(9)[2:], COMMON])
    group.compare()
    accept_all()
    group.run(1, [COMMON])
    assert open_paths(group) == {record.path for record in files_in_three(9)[2:]}
    assert least == NEVER or stored_numbers(group.compare())["share/dir2/"] == 3


def test_one_more_makes_it_a_directory(monkeypatch: pytest.MonkeyPatch, least: int) -> None:
    """The path that makes enough of them is told, and no other."""
    if least != NEVER:
        monkeypatch.setattr(missing_directories, "LEAST", 30)
    group = lost_and_accepted(29)
    group.run(0, [*files_in_three(30), COMMON])
    assert open_paths(group) == {"share/dir2/f029"}


def test_what_belongs_to_another_finding_stays_with_it() -> None:
    """Accepted or opened again, a missing directory takes nothing from the finding of what came later."""
    group = lost_and_accepted(9)
    accepted = list(Finding.objects.filter(replica=None))
    group.run(0, [*files_in_three(10), COMMON])
    assert open_paths(group) == {"share/dir0/f009"}

    for finding in accepted:
        actions.undo(finding, stage.make_user("operator"), "a mistake")
    group.run(0, [*files_in_three(10), file("other"), COMMON])
    assert len(open_paths(group)) == 11
    assert not Finding.objects.filter(replica=None, state="resolved").exists()


def test_a_copy_for_a_while() -> None:
    """A path that has a copy elsewhere is moved there; when the copy goes, that path alone is lost anew."""
    group = lost_and_accepted(30)
    group.run(1, [COMMON, file("tmp/x", b"4")])
    assert open_paths(group) == set()
    group.run(1, [COMMON])
    assert open_paths(group) == {"share/dir1/f004"}


def test_several_findings_that_were_accepted(monkeypatch: pytest.MonkeyPatch, least: int) -> None:
    """Directories of several findings are not one missing directory, and none is told anew."""
    monkeypatch.setattr(missing_directories, "LEAST", NEVER)
    group = lost_and_accepted(30)
    assert Finding.objects.filter(replica=None, state="accepted").count() == 3
    compare_again(group, monkeypatch, least)
    assert open_paths(group) == set()


def test_an_open_one_stays_open() -> None:
    """A finding of what is still lost is not resolved because the parent directory is lost, too."""
    group = StagedGroup(2, limit_files=100_000)
    top = [*files_in_three(30, "top/d{}"), file("top/all")]
    group.runs([*files_in_three(30), *top], top)
    group.compare()
    first = set(Finding.objects.filter(replica=None).values_list("pk", flat=True))
    group.run(1, [])
    assert len(open_paths(group)) == 61
    assert set(Finding.objects.filter(pk__in=first, state="open").values_list("pk", flat=True)) == first


@pytest.mark.parametrize("first", [True, False])
def test_a_replica_that_cannot_look_comes_to_it(first: bool) -> None:
    """Who holds what is as before, whatever the positions of the replicas are now."""
    group = StagedGroup(3, limit_files=100_000)
    newcomer = 0 if first else 2
    holder, lacking = sorted({0, 1, 2} - {newcomer})
    group.run(holder, [*files_in_three(30), COMMON])
    group.run(lacking, [COMMON])
    group.compare()
    accept_all()
    group.run(newcomer, [COMMON, error_row("share", "EIO", "list")])
    assert open_paths(group) == set()


def test_what_is_unreadable_elsewhere_is_told() -> None:
    """Who comes to it and cannot read one of the files holds that one, too: it is no longer the same."""
    group = StagedGroup(3, limit_files=100_000)
    group.run(0, [COMMON])
    group.run(1, [*files_in_three(9), COMMON])
    group.compare()
    accept_all()
    group.run(2, [error_row("share/dir0/f000"), *files_in_three(9)[1:], COMMON])
    assert open_paths(group) == {record.path for record in files_in_three(9)}


def test_nothing_is_accepted_unseen() -> None:
    """One path less and another one more are as many: who looked before has not seen the new one."""
    group = StagedGroup(2, limit_files=100_000)
    group.runs([*files_in_three(9), COMMON], [COMMON])
    group.compare()
    pages = [(finding, actions.revision(finding)) for finding in Finding.objects.filter(replica=None)]
    group.run(0, [*files_in_three(9)[:8], file("share/dir2/new", b"new"), COMMON])
    group.compare()
    operator = stage.make_user("operator")
    for finding, revision in pages:
        with contextlib.suppress(actions.ActionRefused):
            actions.accept(finding, operator, "known", seen_revision=revision)
    assert "share/dir2/new" in open_paths(group)


def test_many_that_came_under_other_names(least: int) -> None:
    """A lost path whose content the replica has under another name is moved, and the rest is lost."""
    group = StagedGroup(3, limit_files=100_000)
    other = [file(f"new/{number:03}", b"other %d" % number) for number in range(40)]
    whole = [*files_in_three(30), COMMON]
    group.runs(whole, whole, [*other, file("new/moved", b"4"), COMMON])
    kinds = {row.path: row.kind for row in read_rows(group.compare())}
    assert kinds["share/dir1/f004"] == kinds["new/moved"] == "moved"
    assert kinds["share/dir1/f001"] == "lost"


def test_too_few_to_compare_for_a_while() -> None:
    """A finding keeps its paths while fewer than two replicas can be compared, and goes on when they can."""
    group = StagedGroup(2)
    group.runs([*files_in_three(9), COMMON], [COMMON])
    group.compare()
    holder = group.replicas[0].replica
    holder.archived_at = timezone.now()
    holder.save()
    factories.make_replica(group=group.group)
    group.compare()
    findings = Finding.objects.filter(replica=None, state="open")
    assert sum(len(queries.read_finding_page(finding.pk).rows) for finding in findings) == 9

    accept_all()
    holder.archived_at = None
    holder.save()
    assert open_paths(group) == set()


def test_directories_that_are_spelled_alike() -> None:
    """Each of two lost directories whose names differ in case alone is near to a third one."""
    group = StagedGroup(2, limit_files=100_000)
    upper = [file(f"Share/f{number}", b"S%d" % number) for number in range(5)]
    lower = [file(f"share/f{number}", b"s%d" % number) for number in range(5)]
    group.runs([*upper, *lower, COMMON], [COMMON, file("SHARE/f1", b"zz")])
    group.compare()
    assert set(Divergence.objects.filter(alike="case").values_list("path", flat=True)) >= {"Share/f1", "share/f1"}


@pytest.mark.parametrize("seed", usual_first(range(4)))
def test_every_new_loss_is_told(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over random histories an open finding tells each new loss, and none tells what was accepted and is still lost."""
    dice = random.Random(seed)
    group = StagedGroup(dice.choice([2, 3]), limit_files=100_000)
    accepted: set[tuple[str, str]] = set()
    lost_before: set[tuple[str, int]] = set()

    for states in _nights(dice, len(group.replicas)):
        for index, records in states.items():
            group.run(index, records)
        opened = open_paths(group)

        lost_rows = {(row.path, row.cells) for row in read_rows(group.compare()) if row.kind == "lost"}
        lost = {(path, index) for path, cells in lost_rows for index, cell in enumerate(cells) if cell == "-"}
        assert {path for path, _index in lost - lost_before} <= opened

        accepted &= lost_rows
        assert not {path for path, _cells in accepted} & opened
        if dice.random() < 0.6:
            accept_all()
            accepted = lost_rows
        lost_before = lost


def _nights(dice: random.Random, number: int) -> Iterator[dict[int, list[Record]]]:
    """Yield nights in which replicas lose and get back directories and files."""
    universe = [f"{top}/{inner}/f{index}" for top in "ab" for inner in "xy" for index in range(5)]
    paths_of = [set(universe) for _ in range(number)]
    yield {index: [file(path, path.encode()) for path in universe] for index in range(number)}

    for _ in range(10):
        running = range(number) if dice.random() < 0.5 else [dice.randrange(number)]
        for index in running:
            for _ in range(dice.randrange(1, 3)):
                chosen = dice.choice(["", "a/", "b/", "a/x/", "a/y/", "b/x/", *dice.sample(universe, 6)])
                hit = {path for path in universe if path.startswith(chosen)}
                if dice.random() < 0.55:
                    paths_of[index] = paths_of[index] - hit
                else:
                    paths_of[index] = paths_of[index] | hit
        yield {
            index: [*(file(path, path.encode()) for path in sorted(paths_of[index])), file("all")] for index in running
        }
