"""Three replicas of a group: damage, loss, moves and lag planted from seeds, and what must be said of each copy.

The collectors run in this process here, with states, keys and file systems of their own; `tests/flow/test_fleet.py`
lets one seed go the whole road: separate processes in network namespaces against a real central server.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from checker.models import Finding
from tests.planted.fleet import Tables, grow
from tests.planted.suite import table

SEEDS = 1
CANNOT_TELL = {
    "same time since the first run, 1 : 1 : 1",
    "same time since the first run, 1 : 1",
    "other time since the first run, 2 : 1",
    "other times since the first run, 1 : 1 : 1",
    "written apart on all, time kept",
    "edited apart on two",
    "written on one, time kept, spread to a second, edited on the third",
    "an edit that is nowhere else, written with its time kept",
    "an edit that is nowhere else, written with its time kept, and spread to a second",
    "edited, with an earlier time than before",
    "a link in the place of a file",
    "an edit that came to one of two, and was damaged there",
    "damage spread to a second",
    "damage spread to a second, with the time of now",
    "damaged written, time kept",
}
"""Where neither history nor votes decide: of all copies, or, of 2 : 1 by other times, of the one. What was written with
its time kept may be an edit, and a link is no newer file."""


@pytest.mark.django_db(transaction=True)
def test_every_copy_gets_its_verdict(tmp_path: Path, small: Path, request: pytest.FixtureRequest) -> None:
    """The matrices have their diagonals alone; no damaged copy is ever called good; `--seeds N` plants more."""
    tables = Tables.empty()
    for seed in range(request.config.getoption("--seeds") or SEEDS):
        fleet = grow(tmp_path / str(seed), small, seed, tables)
        between = Finding.objects.filter(group=fleet.group, replica=None)
        assert between.exists()
        still = set(between.exclude(state=Finding.State.RESOLVED).values_list("path", flat=True))
        assert still <= fleet.left_damaged, "all is mended, but what was mended from a damaged copy"
    for name, matrix in (("kinds", tables.kinds), ("cells", tables.cells), ("copies", tables.copies)):
        print(f"\n{name}, expected x said:\n{table(matrix)}")
    print("\ncannot tell:\n" + "\n".join(f"{number:5} {planted}" for planted, number in sorted(tables.unsure.items())))
    for matrix in (tables.kinds, tables.cells, tables.copies):
        assert not {pair: number for pair, number in matrix.items() if pair[0] != pair[1]}, f"\n{table(matrix)}"
    assert set(tables.unsure) == CANNOT_TELL
    assert {pair[0] for pair in tables.kinds} == {"none", "mismatch", "lost", "unknown", "moved"}
    assert {pair[0] for pair in tables.copies} == {"good", "damaged", "newer", "older", "unsure", "nothing"}
