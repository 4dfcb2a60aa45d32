"""Directories of which a replica has nothing: one row is stored, and every reader sees each path below."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from checker.divergences import missing_directories, queries
from checker.divergences.queries import DivergenceFilter, DivergenceRow
from checker.findings import actions, description
from checker.jobs import group_comparisons
from checker.models import Divergence, Finding, GroupComparison
from checker.pages import divergence_export
from scanner.format.records import Record
from scanner.models import Group, Run
from tests.checker import stage
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import file
from tests.parameters import usual_first
from tests.scanner.factories import error_row, link_row, special_row

pytestmark = pytest.mark.django_db(transaction=True)
NEVER = 10**9
"""So many paths no directory has: each path has a row of its own."""


@pytest.fixture(autouse=True)
def from_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make two paths enough for a missing directory."""
    monkeypatch.setattr(missing_directories, "LEAST", 2)


def stored_numbers(comparison: GroupComparison) -> dict[str, int | None]:
    """Return the paths of the stored rows, each with the number of paths for which it stands."""
    return dict(Divergence.objects.filter(comparison_id=comparison.pk).values_list("path", "number"))


def files_in_three(number: int, directory: str = "share/dir{}") -> list[Record]:
    """Return some files in three directories."""
    return [file(f"{directory.format(index % 3)}/f{index:03}", str(index).encode()) for index in range(number)]


def read_everything(comparison: GroupComparison) -> dict[str, Any]:
    """Return all that readers see of a comparison, but for times and findings."""
    rows = list(queries.iterate_divergences(comparison.pk, DivergenceFilter()))
    paths = [row.path for row in rows]
    assert paths == sorted(paths)
    assert len(set(paths)) == len(paths)
    assert paths == [row.path for row in rows_of_pages(comparison)]

    participants = comparison.participants.filter(run__isnull=False).count()
    directories: dict[str, Any] = {}
    waiting = [""]
    while waiting:
        chosen = DivergenceFilter(below=waiting.pop())
        page = queries.read_subdirectories(comparison.pk, chosen, participants)
        assert not page.after
        for summary in page.rows:
            directories[summary.directory] = (summary.counts, summary.damaged, summary.wrong)
            waiting.append(summary.directory)

    return {
        "rows": {row.path: row._replace(since=timezone.now(), finding=None)[:-2] for row in rows},
        "counts": comparison.counts,
        "participants": {participant.position: participant.counts for participant in comparison.participants.all()},
        "directories": directories,
    }


def rows_of_pages(comparison: GroupComparison) -> Iterator[DivergenceRow]:
    """Yield all divergences, read page by page."""
    after = ""
    while True:
        page = queries.read_page(comparison.pk, DivergenceFilter(), after, 7)
        yield from page.rows
        after = page.after
        if not after:
            return


def accept_all() -> None:
    """Let an operator accept all open findings between replicas."""
    operator = stage.make_user("operator")
    for finding in Finding.objects.filter(replica=None, state="open"):
        actions.accept(finding, operator, "known")


def compare_again(group: StagedGroup, monkeypatch: pytest.MonkeyPatch, least: int) -> GroupComparison:
    """Compare the newest runs anew, with so many paths being enough for a missing directory."""
    monkeypatch.setattr(missing_directories, "LEAST", least)
    GroupComparison.objects.update(basis="")
    return group.compare()


def test_an_empty_replica_is_one_row() -> None:
    """All is there to be read, page by page and path by path; what differs on the others has rows of its own."""
    group = StagedGroup(3)
    group.runs(
        [*files_in_three(30), file("share/odd", b"1")],
        [*files_in_three(30), file("share/odd", b"2")],
        [],
    )
    comparison = group.compare()
    assert stored_numbers(comparison) == {"": 30, "share/odd": None}
    assert comparison.counts == {"lost": 30, "mismatch": 1, "unsure": 1}
    empty = comparison.participants.get(replica=group.replicas[2].replica)
    assert empty.counts["-"] == 31

    in_share = queries.read_directory_page(comparison.pk, DivergenceFilter(below="share/"))
    assert [row.path for row in in_share.rows] == ["share/odd"]
    (share,) = queries.read_subdirectories(comparison.pk, DivergenceFilter(), 3).rows
    assert (share.directory, share.counts, share.wrong[2]) == ("share/", {"lost": 30, "mismatch": 1}, 31)

    below = queries.read_page(comparison.pk, DivergenceFilter(below="share/dir1/"))
    assert len(below.rows) == 10
    assert {row.cells for row in below.rows} == {"++-"}
    assert queries.read_page(comparison.pk, DivergenceFilter(below="share/dir1/"), limit=10).after == ""

    assert len(queries.read_page(comparison.pk, DivergenceFilter(search="f02")).rows) == 10
    assert len(queries.read_page(comparison.pk, DivergenceFilter(kinds=("mismatch",))).rows) == 1
    assert queries.read_page(comparison.pk, DivergenceFilter(position=1)).rows[0].path == "share/odd"
    assert len(queries.read_page(comparison.pk, DivergenceFilter(position=3)).rows) == 31

    row = queries.read_divergence(comparison.pk, "share/dir1/f001")
    assert row is not None
    assert (row.kind, row.cells, row.current) == ("lost", "++-", True)
    assert queries.read_divergence(comparison.pk, "share/dir1/f") is None

    lines = b"".join(divergence_export.export_bytes(comparison, DivergenceFilter(), "jsonl")).splitlines()
    assert len(lines) == 31


def test_one_finding_tells_a_missing_directory() -> None:
    """It names the directory and the number, and shows each path as any other finding does."""
    group = StagedGroup(2)
    group.runs([*files_in_three(9), file("all")], [file("all")])
    assert stored_numbers(group.compare()) == {"share/": 9}

    finding = Finding.objects.get(replica=None)
    assert (finding.path, finding.folded, finding.number) == ("share/", True, 9)
    assert finding.concerns == [group.replicas[1].replica.pk]
    assert "9 paths below share" in description.title(finding)
    assert len(queries.read_finding_page(finding.pk).rows) == 9
    assert {row.finding for row in rows_of_pages(group.compare())} == {finding.uuid}

    group.run(1, [*files_in_three(9), file("all")])
    group.compare()
    finding.refresh_from_db()
    assert finding.state == "resolved"


def test_the_root_and_what_lies_in_it() -> None:
    """A replica that holds nothing lacks what lies in no directory, too; so does a finding of all."""
    group = StagedGroup(2)
    group.runs([file("a", b"1"), file("b", b"2"), file("d/c", b"3")], [])
    assert stored_numbers(group.compare()) == {"": 3}
    assert list(group.divergences()) == ["a", "b", "d/c"]
    finding = Finding.objects.get(replica=None)
    assert (finding.path, finding.folded, finding.number) == ("", True, 3)


def test_all_accepted_stays_so_when_it_becomes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths that were lost one by one and belong to one finding still do as a missing directory, and back."""

    def since_and_findings() -> set[tuple[Any, Any]]:
        return {(row.since, row.finding) for row in rows_of_pages(group.compare())}

    monkeypatch.setattr(missing_directories, "LEAST", NEVER)
    group = StagedGroup(2)
    lost = [file(f"share/{number % 30:02}/f{number}", str(number).encode()) for number in range(90)]
    group.runs([*lost, file("all")], [file("all")])
    assert len(stored_numbers(group.compare())) == 90
    finding = Finding.objects.get(replica=None)
    actions.accept(finding, stage.make_user("operator"), "not kept there")
    before = since_and_findings()

    assert stored_numbers(compare_again(group, monkeypatch, 2)) == {"share/": 90}
    assert since_and_findings() == before
    assert len(stored_numbers(compare_again(group, monkeypatch, NEVER))) == 90
    assert since_and_findings() == before
    assert list(Finding.objects.filter(replica=None, state="accepted")) == [finding]


def test_moved_or_spelled_otherwise_is_told_path_by_path() -> None:
    """A directory is not missing when the replica may have it under another name, or could not see it."""
    group = StagedGroup(3, limit_files=10_000)
    whole = [*files_in_three(9), file("all")]
    elsewhere = [*files_in_three(9, "elsewhere/dir{}"), file("all")]
    group.runs(whole, elsewhere[3:], whole)
    assert group.divergences()["share/dir0/f003"] == ("moved", "+>+", "")
    assert None in stored_numbers(group.compare()).values()

    group.runs(whole, [file("all"), file("kept", b"4")], whole)
    assert group.divergences()["share/dir1/f004"][:2] == ("moved", "+>+")

    group.runs(whole, [file("all"), file("Share/dir1/f004", b"x")], whole)
    group.compare()
    assert Divergence.objects.get(path="share/dir1/f004").alike == "case"

    group.runs(whole, [file("all"), error_row("share", "EIO", "list")], whole)
    assert set(group.divergences().values()) == {("unknown", "+?+", ""), ("unknown", ".!.", "")}


def test_what_need_not_be_there_is_told_path_by_path() -> None:
    """A directory is not missing where it need not be, or may lag; it is when it has been there for longer."""
    group = StagedGroup(2, relation=Group.Relation.SUBSET)
    first, second = (staged.replica for staged in group.replicas)
    second.keeps = "/all\n"
    second.save()
    group.runs([*files_in_three(9), file("all")], [file("all")])
    assert group.divergences() == {}

    Group.objects.update(relation=Group.Relation.PRIMARY)
    first.leads = True
    first.save()
    assert {kind for kind, _cells, _judged in group.divergences().values()} == {"lagging"}

    Run.objects.filter(replica=first).update(finished_at=timezone.now() - timedelta(days=9))
    group.run(0, [*files_in_three(12), file("all")])
    divergences = group.divergences()
    assert {kind for kind, _cells, _judged in divergences.values()} == {"lagging", "lost"}
    assert divergences["share/dir0/f009"][0] == "lagging"
    assert [number for number in stored_numbers(group.compare()).values() if number] == [9]

    first.leads = False
    first.save()
    second.leads = True
    second.save()
    assert set(stored_numbers(group.compare()).values()) == {None}, "what the primary lacks may linger"


@pytest.mark.parametrize("seed", usual_first(range(3)))
def test_readers_see_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over random histories nobody can tell a missing directory from a row for each of its paths."""
    dice = random.Random(seed)
    group = StagedGroup(3, limit_files=10_000)
    missing = 0
    for night in range(4):
        group.runs(*_random_states(dice, night))
        moment = timezone.now()
        if night == 2:
            accept_all()

        expected = read_everything(compare_again(group, monkeypatch, NEVER))
        folded = compare_again(group, monkeypatch, 2)
        assert read_everything(folded) == expected
        missing += sum(1 for number in stored_numbers(folded).values() if number)
        assert read_everything(group_comparisons.get_or_request(group.group, moment)) == expected
    assert missing


def _random_states(dice: random.Random, night: int) -> list[list[Record]]:
    """Return three trees that are much alike. Each has lost some directories; on the last night, the second has all."""
    lost = [{f"{dice.choice('abc')}/" for _ in range(dice.randrange(2))} for _ in range(3)]
    lost = [directories | {f"{dice.choice('abc')}/{dice.choice('xyz')}/" for _ in range(2)} for directories in lost]
    if night == 3:
        lost[1] = {""}

    states: list[list[Record]] = [[], [], []]
    for number in range(60):
        path = f"f{number}"
        if number % 7:
            path = f"{'abc'[number % 3]}/{'xyz'[number // 3 % 3]}/f{number}"
        for directories, records in zip(lost, states, strict=True):
            roll = dice.random()
            if any(path.startswith(directory) for directory in directories) or roll < 0.02:
                continue
            odd = [file(path, b"odd"), error_row(path), link_row(path, "x"), special_row(path, "mount")]
            records.append(dice.choice(odd) if roll < 0.08 else file(path, str(number).encode()))
    return states
