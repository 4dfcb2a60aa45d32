"""What the replicas of a group differ in, over real runs."""

from __future__ import annotations

import pytest

from checker.models import Divergence, Finding
from tests.checker.fleets import Fleet
from tests.checker.worlds import LATER, file
from tests.scanner.factories import error_row, link_row

pytestmark = pytest.mark.django_db(transaction=True)


def test_equal_is_immediate() -> None:
    """Replicas that hold the same diverge in nothing, and the signed digests say so."""
    fleet = Fleet()
    fleet.runs(*[[file("a"), file("b", b"b"), link_row("l", "a")]] * 3)
    comparison = fleet.compare()
    assert comparison.equal and comparison.counts == {} and fleet.found() == {}


def test_lost_mismatch_unknown_and_moved() -> None:
    """Each path has one kind, and a character for each replica."""
    fleet = Fleet()
    fleet.runs(
        [file("same"), file("lost", b"1"), file("other", b"2"), file("shut", b"3"), file("old/name", b"4")],
        [file("same"), file("other", b"2"), error_row("shut"), file("old/name", b"4")],
        [file("same"), file("lost", b"1"), file("other", b"x"), file("shut", b"3"), file("new/name", b"4")],
    )
    found = fleet.found()
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
