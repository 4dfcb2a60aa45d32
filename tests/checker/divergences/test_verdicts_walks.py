"""Verdicts over random histories in which it is known which copy is whole."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from checker.divergences.history import Holding, Past
from checker.divergences.verdicts import rule
from checker.models import Divergence, Kind

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
Copy = Divergence.CopyVerdict


class Disk:
    """A file on one replica, and what its runs saw of it."""

    def __init__(self) -> None:
        self.content, self.mtime, self.beneath = "v", 1000, False
        self.pasts: list[Past] = []
        self.last: datetime | None = None

    def write(self, content: str, mtime: int) -> None:
        """Through the file system."""
        self.content, self.mtime, self.beneath = content, mtime, False

    def rot(self, content: str) -> None:
        """Beneath it."""
        self.content, self.beneath = content, True

    def run(self, night: int, at: datetime) -> None:
        """What the collector sees, and what the comparison with the run before says of it."""
        if self.pasts and self.pasts[-1].content == self.content:
            self.pasts[-1] = self.pasts[-1]._replace(mtime_ns=self.mtime)
        else:
            self.pasts.append(Past(self.content, at, night, self.mtime, self._kind(), self.last))
        self.last, self.beneath = at, False

    def _kind(self) -> str | None:
        if not self.pasts:
            return None
        if any(past.content == self.content for past in self.pasts):
            return Kind.REVERTED
        if self.mtime != self.pasts[-1].mtime_ns:
            return Kind.MODIFIED
        return Kind.CORRUPTED if self.beneath else Kind.REWRITTEN


def nights(dice: random.Random) -> Iterator[tuple[list[Holding], set[str]]]:
    """Three replicas, one act between two nights: an edit, damage beneath or through the file system, or a copy with or
    without its time. What they hold, and which contents are damaged."""
    disks, bad = [Disk() for _ in range(3)], set[str]()
    for night in range(6):
        one, other = dice.sample(disks, 2)
        act, name, now = dice.choice(["edit", "rot", "rewrite", "copy", "sync", "sync"]), f"c{night}", 2000 + night
        if night and act == "edit" and one.content not in bad:
            one.write(name, now)
        elif night and act in ("rot", "rewrite"):
            bad.add(name)
            one.rot(name) if act == "rot" else one.write(name, one.mtime)
        elif night and act in ("copy", "sync"):
            other.write(one.content, one.mtime if act == "sync" else now)
        for minute, disk in enumerate(dice.sample(disks, 3)):
            disk.run(night, START + timedelta(days=night, minutes=minute))
        yield [Holding(tuple(disk.pasts), True, str(at)) for at, disk in enumerate(disks)], bad


@pytest.mark.parametrize("seed", range(20))
def test_what_is_damaged_is_never_called_good(seed: int) -> None:
    """Nor newer; and what is whole is never called damaged."""
    said = set()
    for walk in range(150):
        for holdings, bad in nights(random.Random(f"{seed} {walk}")):
            ruling = rule(holdings)
            for one, copy, why in zip(holdings, ruling.copies, ruling.reasons, strict=True):
                said.add(copy)
                wrong = {Copy.GOOD, Copy.NEWER} if one.content in bad else {Copy.DAMAGED}
                assert copy not in wrong or len({each.content for each in holdings}) == 1, (why, holdings)
    assert said >= {Copy.GOOD, Copy.DAMAGED, Copy.NEWER, Copy.OLDER, Copy.UNSURE}
