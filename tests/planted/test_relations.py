"""Relations of replicas, with real collectors on real trees and from seeds: one leads and the others lag, or
some keep only a part."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from scanner.models import Group, Run
from tests.parameters import usual_first
from tests.planted.copies import Expected
from tests.planted.fleet import Fleet
from tests.planted.test_votes import write

pytestmark = pytest.mark.django_db(transaction=True)
SEEDS = 3
ACTS = ("new", "edit", "removed", "lost", "edit, lost", "damaged", "none")


class Leading:
    """A leader and two followers, what is done to them, and what must be said: while they may lag, and after that."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.dice = random.Random(seed)
        self.soon = dict[str, Expected]()
        self.late = dict[str, Expected]()
        self.roots = [directory / f"tree{number}" for number in range(3)]
        names = [f"{self.dice.choice('abc')}/{number:03}" for number in range(60)]
        for name in names:
            for root in self.roots:
                write(root / name, f"content of {name}")
        self.fleet = Fleet(directory, self.roots)
        self.fleet.group.relation = Group.Relation.PRIMARY
        self.fleet.group.lag = timedelta(hours=6)
        self.fleet.group.save()
        self.leader = self.fleet.roads[0].replica
        self.leader.leads = True
        self.leader.save()
        self.names = names

    def plant(self) -> None:
        """One act for each file, by chance."""
        for name in self.names:
            self._plant(self.dice.choice(ACTS), name)

    def _plant(self, act: str, name: str) -> None:
        number = self.dice.choice((1, 2))
        lacking = "+-+" if number == 1 else "++-"
        if act == "new":
            (self.roots[0] / f"{name}.new").write_text("new")
            self.soon[f"{name}.new"] = Expected("lagging", "+~~")
            self.late[f"{name}.new"] = Expected("lost", "+--")
        if act.startswith("edit"):
            (self.roots[0] / name).write_text("edited")
        if act == "edit":
            self.soon[name] = Expected("lagging", "+~~")
            self.late[name] = Expected("mismatch", "+++", "noo")
        if act == "removed":
            (self.roots[0] / name).unlink()
            self.soon[name] = self.late[name] = Expected("lingering", ".~~")
        if act == "lost":
            (self.roots[number] / name).unlink()
            self.soon[name] = self.late[name] = Expected("lost", lacking)
        if act == "edit, lost":
            (self.roots[number] / name).unlink()
            self.soon[name] = Expected("lost", lacking.replace("+", "~").replace("~", "+", 1))
            self.late[name] = Expected("mismatch", lacking, "n o" if number == 1 else "no ")
        if act == "damaged":
            write(self.roots[number] / name, f"damaged {name}"[: len(f"content of {name}")])
            # The time is kept, and the content new: perhaps an edit.
            self.soon[name] = self.late[name] = Expected("mismatch", "+++", "uuu")


@pytest.mark.parametrize("seed", usual_first(range(SEEDS)))
def test_one_leads(tmp_path: Path, seed: int) -> None:
    """A new file may lag for a while and is missing then; a removed one is missing at once; damage is reported."""
    trees = Leading(tmp_path, seed)
    assert trees.fleet.night() == {}
    trees.plant()
    assert trees.fleet.night() == trees.soon
    Run.objects.filter(replica=trees.leader).update(finished_at=timezone.now() - timedelta(hours=7))
    assert trees.fleet.night() == trees.late


@pytest.mark.parametrize("seed", usual_first(range(SEEDS)))
def test_some_keep_a_part(tmp_path: Path, seed: int) -> None:
    """A path that does not match the patterns of a replica is not missed there; one that matches is."""
    dice = random.Random(seed)
    roots = [tmp_path / f"tree{number}" for number in range(3)]
    expected = {}
    for number in range(60):
        name = f"{dice.choice(('photos', 'films'))}/{number:03}.{dice.choice(('jpg', 'mov'))}"
        fits = name.startswith("photos/") or name.endswith(".jpg")
        is_present = dice.random() < 0.7
        for root in [*roots[:2], *([roots[2]] if is_present else [])]:
            write(root / name, f"content of {name}")
        if fits and not is_present:
            expected[name] = Expected("lost", "++-")
    fleet = Fleet(tmp_path, roots)
    fleet.group.relation = Group.Relation.SUBSET
    fleet.group.save()
    part = fleet.roads[2].replica
    part.keeps = "/photos/\n*.jpg\n"
    part.save()
    assert fleet.night() == expected
