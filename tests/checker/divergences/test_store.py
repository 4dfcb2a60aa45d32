"""What is kept of a comparison of replicas from one to the next, and how names that are almost alike are found."""

from __future__ import annotations

import pytest

from checker.divergences import moves
from checker.models import Divergence, Finding
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import file

pytestmark = pytest.mark.django_db(transaction=True)


def kept(fleet: StagedGroup) -> dict[str, Divergence]:
    """By path what is kept of the newest comparison."""
    return {one.path: one for one in Divergence.objects.filter(comparison_id=fleet.compare().pk)}


def test_what_stays_keeps_its_finding_and_since() -> None:
    """What is as it was stays as it is; what changed begins anew; what is over goes; what is new is told at once."""
    fleet = StagedGroup(2)
    same = [file("all")]
    fleet.runs([*same, file("stays"), file("changes", b"1"), file("ends")], same)
    before = kept(fleet)
    assert set(before) == {"stays", "changes", "ends"} and all(one.finding_id for one in before.values())
    fleet.runs([*same, file("stays"), file("changes", b"1"), file("new")], [*same, file("changes", b"2")])
    after = kept(fleet)
    assert set(after) == {"stays", "changes", "new"}
    old, new = before["stays"], after["stays"]
    assert (new.pk, new.since, new.finding_id) == (old.pk, old.since, old.finding_id)
    assert after["changes"].since > before["changes"].since
    assert after["changes"].finding_id not in {None, before["changes"].finding_id}
    assert after["new"].finding_id is not None
    closed = Finding.objects.filter(replica=None, state=Finding.State.RESOLVED)
    assert {one.path for one in closed} == {"changes", "ends"}


def test_folded_findings_tell_all_that_is_written() -> None:
    """A finding that is made before its divergences are written has them all, and counts on when more come."""
    fleet = StagedGroup(2)
    lost = [file(f"{number % 30:02}/{number:03}", b"%d" % number) for number in range(90)]
    fleet.runs([file("all"), *lost], [file("all")])
    rows = kept(fleet)
    (finding,) = Finding.objects.filter(replica=None, state=Finding.State.OPEN)
    assert finding.folded and finding.number == 90
    assert {one.finding_id for one in rows.values()} == {finding.pk}
    fleet.runs([file("all"), *lost[:50]], [file("all")])
    assert len(kept(fleet)) == 50
    finding.refresh_from_db()
    assert finding.number == 50 and finding.state == Finding.State.OPEN


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Photo.JPG", "photo.jpg", "case"),
        ("STRASSE", "stra\u00dfe", "case"),
        ("\u212aelvin", "kelvin", "case"),
        ("re\u0301sume\u0301", "r\u00e9sum\u00e9", "unicode"),
        ("photo-1", "photo-2", ""),
    ],
)
def test_names_almost_alike(one: str, other: str, alike: str) -> None:
    """A name that differs in letter case or normalisation alone is told, whichever of both is of ASCII."""
    fleet = StagedGroup(2)
    fleet.runs([file("all"), file(one, b"1")], [file("all"), file(other, b"2")])
    rows = kept(fleet)
    assert {rows[one].alike, rows[other].alike} == {alike}
    assert (rows[one].others or {}).get("2") == (other if alike else None)


def test_only_crossed_patterns_are_looked_at() -> None:
    """A path can be another one's new name only where each is at a place at which the other is missing."""
    assert moves.may_be_pair("+-", "-+") and moves.may_be_pair("++-", "+-+") and moves.may_be_pair("~-", "-+")
    assert (
        not moves.may_be_pair("+-+", "--+")
        and not moves.may_be_pair("+-", "+-")
        and not moves.may_be_pair("++-", "+--")
    )
