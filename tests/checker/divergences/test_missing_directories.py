"""Directories of which a replica holds nothing: one row is kept, and every reader sees each path below."""

from __future__ import annotations

import random
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
from tests.scanner.factories import error_row, link_row, special_row

pytestmark = pytest.mark.django_db(transaction=True)
NEVER = 10**9


@pytest.fixture(autouse=True)
def from_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two paths are an absence here."""
    monkeypatch.setattr(missing_directories, "LEAST", 2)


def kept(comparison: GroupComparison) -> dict[str, int | None]:
    """The rows that there are, and for how many paths each stands."""
    return dict(Divergence.objects.filter(comparison_id=comparison.pk).values_list("path", "number"))


def many(number: int, folder: str = "share/dir{}") -> list[Record]:
    """Files in three directories."""
    return [file(f"{folder.format(at % 3)}/f{at:03}", str(at).encode()) for at in range(number)]


def seen(comparison: GroupComparison) -> dict[str, Any]:
    """All that readers see of a comparison, but since when, and by which finding."""
    rows = list(queries.iterate_divergences(comparison.pk, DivergenceFilter()))
    paths = [row.path for row in rows]
    assert paths == sorted(paths) and len(set(paths)) == len(paths)
    assert paths == [row.path for row in _pages(comparison)]
    seats = {one.position: one.counts for one in comparison.participants.all()}
    sides = comparison.participants.filter(run__isnull=False).count()
    levels: dict[str, Any] = {}
    below = [""]
    while below:
        some, after = queries.read_subdirectories(comparison.pk, DivergenceFilter(below=below.pop()), sides)
        assert not after
        levels |= {one.directory: (one.counts, one.damaged, one.wrong) for one in some}
        below += [one.directory for one in some]
    plain = {row.path: row._replace(since=timezone.now(), finding=None)[:-2] for row in rows}
    return {"rows": plain, "counts": comparison.counts, "seats": seats, "levels": levels}


def _pages(comparison: GroupComparison) -> list[DivergenceRow]:
    found, after = [], ""
    while True:
        page = queries.read_page(comparison.pk, DivergenceFilter(), after, 7)
        found += page.rows
        after = page.after
        if not after:
            return found


def accept_all() -> None:
    """An operator accepts whatever is open between the replicas."""
    operator = stage.make_user("operator")
    for one in Finding.objects.filter(replica=None, state="open"):
        actions.accept(one, operator, "known")


def again(fleet: StagedGroup, monkeypatch: pytest.MonkeyPatch, least: int) -> GroupComparison:
    """The newest runs compared anew, with absences of so many paths."""
    monkeypatch.setattr(missing_directories, "LEAST", least)
    GroupComparison.objects.update(basis="")
    return fleet.compare()


def test_an_empty_replica_is_one_row() -> None:
    """All is there to be read, page by page and path by path; what differs on the others has rows of its own."""
    fleet = StagedGroup(3)
    fleet.runs([*many(30), file("share/odd", b"1")], [*many(30), file("share/odd", b"2")], [])
    comparison = fleet.compare()
    assert kept(comparison) == {"": 30, "share/odd": None}
    assert comparison.counts == {"lost": 30, "mismatch": 1, "unsure": 1}
    empty = comparison.participants.get(replica=fleet.replicas[2].replica)
    assert empty.counts["-"] == 31
    assert [row.path for row in queries.read_directory_page(comparison.pk, DivergenceFilter(below="share/")).rows] == [
        "share/odd"
    ]
    (level,) = queries.read_subdirectories(comparison.pk, DivergenceFilter(), 3)[0]
    assert (level.directory, level.counts, level.wrong[2]) == ("share/", {"lost": 30, "mismatch": 1}, 31)
    below = queries.read_page(comparison.pk, DivergenceFilter(below="share/dir1/"))
    assert len(below.rows) == 10 and {row.cells for row in below.rows} == {"++-"}
    assert queries.read_page(comparison.pk, DivergenceFilter(below="share/dir1/"), limit=10).after == ""
    assert len(queries.read_page(comparison.pk, DivergenceFilter(search="f02")).rows) == 10
    assert len(queries.read_page(comparison.pk, DivergenceFilter(kinds=("mismatch",))).rows) == 1
    assert queries.read_page(comparison.pk, DivergenceFilter(position=1)).rows[0].path == "share/odd"
    assert len(queries.read_page(comparison.pk, DivergenceFilter(position=3)).rows) == 31
    one = queries.read_divergence(comparison.pk, "share/dir1/f001")
    assert one and (one.kind, one.cells, one.current) == ("lost", "++-", True)
    assert queries.read_divergence(comparison.pk, "share/dir1/f") is None
    lines = b"".join(divergence_export.export_bytes(comparison, DivergenceFilter(), "jsonl")).splitlines()
    assert len(lines) == 31


def test_one_finding_tells_an_absence() -> None:
    """It names the directory and the number, and shows each path as any other finding does."""
    fleet = StagedGroup(2)
    fleet.runs([*many(9), file("all")], [file("all")])
    assert kept(fleet.compare()) == {"share/": 9}
    finding = Finding.objects.get(replica=None)
    assert (finding.path, finding.folded, finding.number) == ("share/", True, 9)
    assert finding.concerns == [fleet.replicas[1].replica.pk] and "9 paths below share" in description.title(finding)
    assert len(queries.read_finding_page(finding.pk).rows) == 9
    assert {row.finding for row in _pages(fleet.compare())} == {finding.uuid}
    fleet.run(1, [*many(9), file("all")])
    fleet.compare()
    finding.refresh_from_db()
    assert finding.state == "resolved"


def test_the_root_and_what_lies_in_it() -> None:
    """A replica that holds nothing lacks what lies in no directory, too; so does a finding of all."""
    fleet = StagedGroup(2)
    fleet.runs([file("a", b"1"), file("b", b"2"), file("d/c", b"3")], [])
    assert kept(fleet.compare()) == {"": 3}
    assert list(fleet.divergences()) == ["a", "b", "d/c"]
    finding = Finding.objects.get(replica=None)
    assert (finding.path, finding.folded, finding.number) == ("", True, 3)


def test_all_accepted_stays_so_when_it_becomes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths that were lost one by one and are told by one finding are still told by it as an absence, and back."""
    monkeypatch.setattr(missing_directories, "LEAST", NEVER)
    fleet = StagedGroup(2)
    lost = [file(f"share/{at % 30:02}/f{at}", str(at).encode()) for at in range(90)]
    fleet.runs([*lost, file("all")], [file("all")])
    assert len(kept(fleet.compare())) == 90
    finding = Finding.objects.get(replica=None)
    actions.accept(finding, stage.make_user("operator"), "not kept there")
    before = {(row.since, row.finding) for row in _pages(fleet.compare())}
    assert kept(again(fleet, monkeypatch, 2)) == {"share/": 90}
    assert {(row.since, row.finding) for row in _pages(fleet.compare())} == before
    assert len(kept(again(fleet, monkeypatch, NEVER))) == 90
    assert {(row.since, row.finding) for row in _pages(fleet.compare())} == before
    assert list(Finding.objects.filter(replica=None, state="accepted")) == [finding]


def test_moved_or_spelled_otherwise_is_told_path_by_path() -> None:
    """What a replica lacks under one name and may have under another is no absence; nor is what it could not see."""
    fleet = StagedGroup(3, limit_files=10_000)
    other = [*many(9, "elsewhere/dir{}"), file("all")]
    fleet.runs([*many(9), file("all")], other[3:], [*many(9), file("all")])
    found = fleet.divergences()
    assert found["share/dir0/f003"] == ("moved", "+>+", "") and None in kept(fleet.compare()).values()
    fleet.runs([*many(9), file("all")], [file("all"), file("kept", b"4")], [*many(9), file("all")])
    assert fleet.divergences()["share/dir1/f004"][:2] == ("moved", "+>+")
    fleet.runs([*many(9), file("all")], [file("all"), file("Share/dir1/f004", b"x")], [*many(9), file("all")])
    fleet.compare()
    assert Divergence.objects.get(path="share/dir1/f004").alike == "case"
    shut = [file("all"), error_row("share", "EIO", "list")]
    fleet.runs([*many(9), file("all")], shut, [*many(9), file("all")])
    assert set(fleet.divergences().values()) == {("unknown", "+?+", ""), ("unknown", ".!.", "")}


def test_what_need_not_be_there_is_told_path_by_path() -> None:
    """What a replica is not to keep, or what may lag, is no absence; what has been there for longer is."""
    fleet = StagedGroup(2, relation=Group.Relation.SUBSET)
    fleet.replicas[1].replica.keeps = "/all\n"
    fleet.replicas[1].replica.save()
    fleet.runs([*many(9), file("all")], [file("all")])
    assert fleet.divergences() == {}
    Group.objects.update(relation=Group.Relation.PRIMARY)
    fleet.replicas[0].replica.leads = True
    fleet.replicas[0].replica.save()
    assert {kind for kind, *_ in fleet.divergences().values()} == {"lagging"}
    Run.objects.filter(replica=fleet.replicas[0].replica).update(finished_at=timezone.now() - timedelta(days=9))
    fleet.run(0, [*many(12), file("all")])
    found = fleet.divergences()
    assert {kind for kind, *_ in found.values()} == {"lagging", "lost"} and found["share/dir0/f009"][0] == "lagging"
    assert [number for number in kept(fleet.compare()).values() if number] == [9]
    fleet.replicas[0].replica.leads, fleet.replicas[1].replica.leads = False, True
    for world in fleet.replicas:
        world.replica.save()
    assert set(kept(fleet.compare()).values()) == {None}, "what the leader lacks may linger"


@pytest.mark.parametrize("seed", range(3))
def test_readers_see_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over random histories nobody can tell an absence from a row for each of its paths."""
    dice, folded = random.Random(seed), 0
    fleet = StagedGroup(3, limit_files=10_000)
    for night in range(4):
        fleet.runs(*_states(dice, night))
        moment = timezone.now()
        if night == 2:
            accept_all()
        one = again(fleet, monkeypatch, NEVER)
        wanted = seen(one)
        got = again(fleet, monkeypatch, 2)
        assert seen(got) == wanted
        folded += sum(1 for number in kept(got).values() if number)
        assert seen(group_comparisons.get_or_request(fleet.group, moment)) == wanted
    assert folded


def _states(dice: random.Random, night: int) -> list[list[Record]]:
    """Three trees that are much alike; each loses directories, all of them on the last night but for the first."""
    lost = [{f"{dice.choice('abc')}/" for _ in range(dice.randrange(2))} for _ in range(3)]
    lost = [one | {f"{dice.choice('abc')}/{dice.choice('xyz')}/" for _ in range(2)} for one in lost]
    if night == 3:
        lost[1] = {""}
    states: list[list[Record]] = [[], [], []]
    for at in range(60):
        path = f"{'abc'[at % 3]}/{'xyz'[at // 3 % 3]}/f{at}" if at % 7 else f"f{at}"
        for side, records in enumerate(states):
            roll = dice.random()
            if any(path.startswith(one) for one in lost[side]) or roll < 0.02:
                continue
            odd = [file(path, b"odd"), error_row(path), link_row(path, "x"), special_row(path, "mount")]
            records.append(dice.choice(odd) if roll < 0.08 else file(path, str(at).encode()))
    return states
