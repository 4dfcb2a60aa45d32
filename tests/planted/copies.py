"""Plants what happens to the copies of a group, by a seed, and writes down what must be said of each path.

The expectations come from the rules as they are written (`checker.divergences.verdicts`, the documentation) alone:
nothing here knows how replicas are compared. Roles are given out anew for each path: in the words of an expectation
`cells` and `judged` stand in the order of the roles, and are put in the order of the replicas by `expect`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.disk_image import BLOCK, DiskImage
from tests.planted.plant import DAY, Gardener

Roles = list[int]


class Expected(NamedTuple):
    """Expected divergence of a path: its kind, and a cell and a verdict for each replica. All empty: none."""

    kind: str = ""
    cells: str = ""
    judged: str = ""
    planted: str = ""
    """What was done, in words."""


class Copies:
    """Three trees that begin alike, each on a file system of its own."""

    def __init__(self, images: list[DiskImage], seed: int) -> None:
        self.images = images
        self.roots = [image.mount_point / "data" for image in images]
        self.garden = Gardener(images[0], self.roots[0], seed)
        self.dice = self.garden.dice
        self.expected: dict[str, Expected] = {}
        self.broken: set[tuple[str, int]] = set()
        """Path and place of each copy that the planting knows to be damaged."""
        self.left_damaged: set[str] = set()
        """Paths of which, in the end, every copy is damaged."""
        self.doing = ""

    def take(self) -> tuple[str, Roles]:
        """A file that all hold alike and nothing else is done to, and who plays which part."""
        name = self.garden.name(self.garden.take(large=True))
        self.garden.expected[name] = ""
        return name, self.dice.sample(range(3), 3)

    def expect(self, name: str, roles: Roles, kind: str, cells: str, judged: str = "") -> None:
        """Write down what must be said from now on."""
        expectation = Expected(kind, _placed(cells, roles), _placed(judged, roles) if judged else "", self.doing)
        self.expected[name] = expectation

    def agree(self, name: str) -> None:
        """Write down that nothing diverges."""
        self.expected[name] = Expected(planted=self.doing)
        self.broken -= {(name, position) for position in range(3)}

    def path(self, position: int, name: str) -> Path:
        """A copy."""
        return self.roots[position] / name

    def beneath(self, position: int, name: str) -> None:
        """Damage a file as an ageing disk does: no time changes."""
        path = self.path(position, name)
        size = path.stat().st_size
        damage = self.dice.choice(["flip", "zero", "cut"])
        if damage == "flip":
            self.images[position].flip_bit(path, self.dice.randrange(size), self.dice.randrange(8))
        elif damage == "zero":
            self.images[position].zero_block(path, BLOCK)
        else:
            self.images[position].shorten(path, self.dice.randrange(BLOCK, size - 1))
        self.broken.add((name, position))

    def rewrite(self, position: int, name: str, content: bytes) -> None:
        """Another content through the file system, the time kept."""
        path = self.path(position, name)
        before = path.stat().st_mtime_ns
        path.write_bytes(content)
        os.utime(path, ns=(before, before))

    def damage(self, position: int, name: str) -> bytes:
        """The same damage as beneath, through the file system, the time kept; the content comes back."""
        content = bytearray(self.path(position, name).read_bytes())
        content[self.dice.randrange(len(content))] ^= 1 << self.dice.randrange(8)
        self.rewrite(position, name, bytes(content))
        self.broken.add((name, position))
        return bytes(content)

    def edit(self, position: int, name: str, days: int = 0) -> bytes:
        """Another content with the time of now, or of so many days before the time that it had."""
        path = self.path(position, name)
        before = path.stat().st_mtime_ns
        path.write_bytes(b"edited " + self.dice.randbytes(8) + path.read_bytes())
        if days:
            os.utime(path, ns=(before - days * DAY,) * 2)
        return path.read_bytes()

    def sync(self, source: int, target: int, name: str, *, times: bool = True) -> None:
        """Copy as a sync tool does that goes by contents; damage spreads with it."""
        paths = self.path(source, name), self.path(target, name)
        paths[1].parent.mkdir(parents=True, exist_ok=True)
        if not times:
            shutil.copyfile(*paths)
        elif shutil.which("rsync") and self.dice.random() < 0.5:
            subprocess.run(["rsync", "-a", "--checksum", *map(str, paths)], check=True, capture_output=True)
        else:
            shutil.copy2(*paths)
        if (name, source) in self.broken:
            self.broken.add((name, target))
        else:
            self.broken.discard((name, target))


def _placed(text: str, roles: Roles) -> str:
    """Characters in the order of the roles, put in the order of the replicas."""
    return "".join(text[roles.index(position)] for position in range(len(roles)))
