"""The replicas of a planted group: each with its own tree, collector, state and key, all with one central server."""

from __future__ import annotations

import contextlib
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from checker.jobs import group_comparisons, run_comparisons
from checker.models import Divergence, GroupComparison
from checker.proofs.verify import verify
from scanner.models import Run
from tests.images import Image
from tests.planted.copies import Expected
from tests.planted.scatter import Scatter
from tests.planted.suite import Matrix, Road
from tests.scanner import factories

FILES, MEGABYTES = 350, 40
GOOD = {"g", "n"}


class Fleet:
    """A group whose replicas are these roots, each on a server of its own unless servers are given."""

    def __init__(self, folder: Path, roots: list[Path], servers: list[int] | None = None) -> None:
        self.group = factories.make_group()
        places = servers or list(range(len(roots)))
        self.left_damaged: set[str] = set()
        known = {place: factories.make_server() for place in dict.fromkeys(places)}
        self.roads = [
            Road(folder / f"collector{at}", root, group=self.group, server=known[place])
            for at, (root, place) in enumerate(zip(roots, places, strict=True))
        ]

    def run(self, at: int) -> Run:
        """A run of one replica, ingested, compared with the one before, and proven."""
        run = self.roads[at].run()
        run_comparisons.catch_up(run.replica_id)
        if run.state == Run.State.INGESTED:
            assert verify(run).ok
        return run

    def night(self) -> dict[str, Expected]:
        """A run of each, and what is said then."""
        for at in range(len(self.roads)):
            self.run(at)
        return self.said()

    def compare(self) -> GroupComparison:
        """The comparison of the newest runs."""
        group_comparisons.catch_up(self.group.pk)
        made = group_comparisons.newest_comparison(self.group)
        assert made is not None and made.state == GroupComparison.State.DONE, made and made.reason
        return made

    def said(self) -> dict[str, Expected]:
        """By path what is said of it now."""
        rows = Divergence.objects.filter(comparison_id=self.compare().pk)
        return {one.path: Expected(one.kind, one.cells, one.judged) for one in rows}


class Tables(NamedTuple):
    """How often what was expected met what was said: of kinds, of cells, of copies; and what was planted where nothing
    can be told."""

    kinds: Matrix
    cells: Matrix
    copies: Matrix
    unsure: Counter[str]

    @classmethod
    def empty(cls) -> Tables:
        """Nothing yet."""
        return cls(Matrix(), Matrix(), Matrix(), Counter())

    def add(self, scatter: Scatter, said: dict[str, Expected]) -> None:
        """A night's comparison. That a damaged copy is called good is told at once, whatever was expected."""
        for path in sorted({*said, *scatter.expected}):
            wanted, got = scatter.expected.get(path, Expected()), said.get(path, Expected())
            if wanted[:3] != got[:3]:
                print(f"{path}: {wanted.planted or 'nothing planted'}: expected {wanted[:3]}, said {got[:3]}")
            self.kinds[wanted.kind or "none", got.kind or "none"] += 1
            for at in range(3):
                self._copy(wanted, got, at)
                assert not ((path, at) in scatter.broken and got.judged[at : at + 1] in GOOD), (path, wanted, got)

    def _copy(self, wanted: Expected, got: Expected, at: int) -> None:
        self.cells[_cell(wanted.cells, at), _cell(got.cells, at)] += 1
        words = [Divergence.CopyVerdict(one.judged[at : at + 1] or " ").name.lower() for one in (wanted, got)]
        self.copies[words[0], words[1]] += 1
        if words[1] == "unsure":
            self.unsure[wanted.planted] += 1


def _cell(cells: str, at: int) -> str:
    return Divergence.Cell(cells[at]).name.lower() if cells else "none"


@contextlib.contextmanager
def mounted(folder: Path, base: Path, number: int = 3) -> Iterator[list[Image]]:
    """So many file systems that begin as copies of one."""
    with contextlib.ExitStack() as stack:
        images = []
        for at in range(number):
            place = folder / f"disk{at}"
            place.mkdir(parents=True)
            subprocess.run(["cp", "--sparse=always", str(base), str(place / "image")], check=True)
            images.append(stack.enter_context(Image(place)))
        yield images


def grow(
    folder: Path, base: Path, seed: int, tables: Tables, look: Callable[[Fleet, Scatter], None] | None = None
) -> Fleet:
    """One seed, from trees that differ in little to trees that are mended. `look` sees the last night before that."""
    with mounted(folder, base) as images:
        scatter = Scatter(images, seed)
        fleet = Fleet(folder, scatter.roots)
        for prepare in (
            scatter.before_the_first, scatter.edits_for_all, scatter.scatter, scatter.spread, scatter.spread
        ):  # fmt: skip
            prepare()
            tables.add(scatter, fleet.night())
        if look is not None:
            look(fleet, scatter)
        scatter.unwreck()
        scatter.mend()
        fleet.left_damaged = scatter.left_damaged
        tables.add(scatter, fleet.night())
        assert fleet.compare().equal
    return fleet
