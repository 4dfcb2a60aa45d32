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
from checker.proofs.verifier import verify_run
from scanner.models import Run
from tests.disk_image import DiskImage
from tests.planted.copies import Expected
from tests.planted.scatter import Scatter
from tests.planted.suite import Matrix, Road
from tests.scanner import factories

FILES = 350
MEGABYTES = 40
GOOD = {"g", "n"}


class Fleet:
    """A group whose replicas are these roots, each on a server of its own unless servers are given."""

    def __init__(self, directory: Path, roots: list[Path], servers: list[int] | None = None) -> None:
        self.group = factories.make_group()
        places = servers or list(range(len(roots)))
        self.left_damaged: set[str] = set()
        known = {place: factories.make_server() for place in dict.fromkeys(places)}
        self.roads = [
            Road(
                directory / f"collector{position}",
                root,
                directory / f"state{place}",
                group=self.group,
                server=known[place],
            )
            for position, (root, place) in enumerate(zip(roots, places, strict=True))
        ]

    def run(self, position: int) -> Run:
        """A run of one replica, ingested, compared with the one before, and proven."""
        run = self.roads[position].run()
        run_comparisons.catch_up(run.replica_id)
        if run.state == Run.State.INGESTED:
            assert verify_run(run).ok
        return run

    def night(self) -> dict[str, Expected]:
        """A run of each, and what is said then."""
        for position in range(len(self.roads)):
            self.run(position)
        return self.divergences()

    def compare(self) -> GroupComparison:
        """The comparison of the newest runs."""
        group_comparisons.catch_up(self.group.pk)
        made = group_comparisons.newest_comparison(self.group)
        assert made is not None and made.state == GroupComparison.State.DONE, made and made.reason
        return made

    def divergences(self) -> dict[str, Expected]:
        """By path what is said of it now."""
        rows = Divergence.objects.filter(comparison_id=self.compare().pk)
        return {row.path: Expected(row.kind, row.cells, row.judged) for row in rows}


class Tables(NamedTuple):
    """Counts of expected against reported kinds, cells and copies; and what was planted where nothing
    can be told."""

    kinds: Matrix
    cells: Matrix
    copies: Matrix
    unsure: Counter[str]

    @classmethod
    def empty(cls) -> Tables:
        """Nothing yet."""
        return cls(Matrix(), Matrix(), Matrix(), Counter())

    def add(self, scatter: Scatter, divergences: dict[str, Expected]) -> None:
        """A night's comparison. That a damaged copy is called good is told at once, whatever was expected."""
        for path in sorted({*divergences, *scatter.expected}):
            expected = scatter.expected.get(path, Expected())
            actual = divergences.get(path, Expected())
            if expected[:3] != actual[:3]:
                print(f"{path}: {expected.planted or 'nothing planted'}: expected {expected[:3]}, said {actual[:3]}")
            self.kinds[expected.kind or "none", actual.kind or "none"] += 1
            for position in range(3):
                self._copy(expected, actual, position)
                is_called_good = actual.judged[position : position + 1] in GOOD
                is_damaged = (path, position) in scatter.broken
                assert not (is_damaged and is_called_good), (path, expected, actual)

    def _copy(self, expected: Expected, actual: Expected, position: int) -> None:
        self.cells[_cell(expected.cells, position), _cell(actual.cells, position)] += 1
        words = [
            Divergence.CopyVerdict(row.judged[position : position + 1] or " ").name.lower()
            for row in (expected, actual)
        ]
        self.copies[words[0], words[1]] += 1
        if words[1] == "unsure":
            self.unsure[expected.planted] += 1


def _cell(cells: str, position: int) -> str:
    return Divergence.Cell(cells[position]).name.lower() if cells else "none"


@contextlib.contextmanager
def mounted(directory: Path, base: Path, number: int = 3) -> Iterator[list[DiskImage]]:
    """Return `number` file systems that begin as copies of one."""
    with contextlib.ExitStack() as stack:
        images = []
        for position in range(number):
            place = directory / f"disk{position}"
            place.mkdir(parents=True)
            subprocess.run(["cp", "--sparse=always", str(base), str(place / "image")], check=True)
            images.append(stack.enter_context(DiskImage(place)))
        yield images


def grow(
    directory: Path, base: Path, seed: int, tables: Tables, look: Callable[[Fleet, Scatter], None] | None = None
) -> Fleet:
    """One seed, from trees that differ in little to trees that are mended. `look` sees the last night before that."""
    with mounted(directory, base) as images:
        scatter = Scatter(images, seed)
        fleet = Fleet(directory, scatter.roots)
        for prepare in (
            scatter.before_the_first,
            scatter.edits_for_all,
            scatter.scatter,
            scatter.spread,
            scatter.spread,
        ):
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
