"""Store what a comparison found beside what the previous one stored, and find names that are almost alike."""

from __future__ import annotations

import pytest

from checker.divergences import moves
from checker.models import Divergence, Finding
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import file

pytestmark = pytest.mark.django_db(transaction=True)


def stored_rows(group: StagedGroup) -> dict[str, Divergence]:
    """Return the rows of the newest comparison by their paths."""
    rows = Divergence.objects.filter(comparison_id=group.compare().pk)
    return {row.path: row for row in rows}


def test_what_stays_keeps_its_finding_and_since() -> None:
    """The same divergence stays; a changed one begins anew; one that is over goes; a new one is told at once."""
    group = StagedGroup(2)
    same = [file("all")]
    group.runs([*same, file("stays"), file("changes", b"1"), file("ends")], same)
    before = stored_rows(group)
    assert set(before) == {"stays", "changes", "ends"}
    assert all(row.finding_id for row in before.values())

    group.runs([*same, file("stays"), file("changes", b"1"), file("new")], [*same, file("changes", b"2")])
    after = stored_rows(group)
    assert set(after) == {"stays", "changes", "new"}

    old = before["stays"]
    new = after["stays"]
    assert (new.pk, new.since, new.finding_id) == (old.pk, old.since, old.finding_id)
    assert after["changes"].since > before["changes"].since
    assert after["changes"].finding_id not in {None, before["changes"].finding_id}
    assert after["new"].finding_id is not None

    closed = Finding.objects.filter(replica=None, state=Finding.State.RESOLVED)
    assert {finding.path for finding in closed} == {"changes", "ends"}


def test_folded_findings_tell_all_that_is_written() -> None:
    """A finding that is made before its divergences are written has them all, and counts on when more come."""
    group = StagedGroup(2)
    lost = [file(f"{number % 30:02}/{number:03}", b"%d" % number) for number in range(90)]
    group.runs([file("all"), *lost], [file("all")])
    rows = stored_rows(group)
    (finding,) = Finding.objects.filter(replica=None, state=Finding.State.OPEN)
    assert finding.folded
    assert finding.number == 90
    assert {row.finding_id for row in rows.values()} == {finding.pk}

    group.runs([file("all"), *lost[:50]], [file("all")])
    assert len(stored_rows(group)) == 50
    finding.refresh_from_db()
    assert finding.number == 50
    assert finding.state == Finding.State.OPEN


@pytest.mark.parametrize(
    ("name", "other", "alike"),
    [
        ("Photo.JPG", "photo.jpg", "case"),
        ("STRASSE", "stra\u00dfe", "case"),
        ("\u212aelvin", "kelvin", "case"),
        ("re\u0301sume\u0301", "r\u00e9sum\u00e9", "unicode"),
        ("photo-1", "photo-2", ""),
    ],
)
def test_names_almost_alike(name: str, other: str, alike: str) -> None:
    """A name that differs in letter case or normalisation alone is told, whichever of both is of ASCII."""
    group = StagedGroup(2)
    group.runs([file("all"), file(name, b"1")], [file("all"), file(other, b"2")])
    rows = stored_rows(group)
    assert {rows[name].alike, rows[other].alike} == {alike}
    assert (rows[name].others or {}).get("2") == (other if alike else None)


def test_only_crossed_patterns_are_looked_at() -> None:
    """A path can be the new name of another only where each may be at a position at which the other is missing."""
    assert moves.may_be_pair("+-", "-+")
    assert moves.may_be_pair("++-", "+-+")
    assert moves.may_be_pair("~-", "-+")
    assert not moves.may_be_pair("+-+", "--+")
    assert not moves.may_be_pair("+-", "+-")
    assert not moves.may_be_pair("++-", "+--")
