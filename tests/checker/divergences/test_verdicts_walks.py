"""Verdicts over random histories in which it is known which copy is undamaged."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

import pytest

from checker.divergences.history import HeldContent, ReplicaHistory
from checker.divergences.verdicts import judge_copies
from checker.models import Change, Divergence

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
CopyVerdict = Divergence.CopyVerdict


class Disk:
    """A file on one replica, and what the runs of that replica found."""

    def __init__(self) -> None:
        self.content = "v"
        self.mtime = 1000
        self.is_rotten = False
        self.contents: list[HeldContent] = []
        self.last_run: datetime | None = None

    def write(self, content: str, mtime: int) -> None:
        """Change the file through the file system."""
        self.content = content
        self.mtime = mtime
        self.is_rotten = False

    def rot(self, content: str) -> None:
        """Change the file below the file system."""
        self.content = content
        self.is_rotten = True

    def run(self, night: int, moment: datetime) -> None:
        """Add what the collector finds, with what the comparison with the run before says of it."""
        if self.contents and self.contents[-1].content == self.content:
            self.contents[-1] = self.contents[-1]._replace(mtime_ns=self.mtime)
        else:
            held = HeldContent(self.content, moment, night, self.mtime, self._kind(), self.last_run)
            self.contents.append(held)
        self.last_run = moment
        self.is_rotten = False

    def _kind(self) -> str | None:
        if not self.contents:
            return None
        if any(held.content == self.content for held in self.contents):
            return Change.Kind.REVERTED
        if self.mtime != self.contents[-1].mtime_ns:
            return Change.Kind.MODIFIED
        return Change.Kind.CORRUPTED if self.is_rotten else Change.Kind.REWRITTEN


class Night(NamedTuple):
    """The histories of three replicas after a night, and the contents that are damaged."""

    histories: list[ReplicaHistory]
    damaged: set[str]


def nights(dice: random.Random) -> Iterator[Night]:
    """Yield six nights. Before each but the first one thing happens to one of three replicas.

    It is an edit, damage below or through the file system, or a copy from another replica, with or without its time.
    """
    disks = [Disk() for _ in range(3)]
    damaged = set[str]()
    for night in range(6):
        disk, other = dice.sample(disks, 2)
        event = dice.choice(["edit", "rot", "rewrite", "copy", "sync", "sync"])
        content = f"c{night}"
        now = 2000 + night

        if night and event == "edit" and disk.content not in damaged:
            disk.write(content, now)
        elif night and event == "rot":
            damaged.add(content)
            disk.rot(content)
        elif night and event == "rewrite":
            damaged.add(content)
            disk.write(content, disk.mtime)
        elif night and event == "copy":
            other.write(disk.content, now)
        elif night and event == "sync":
            other.write(disk.content, disk.mtime)

        for minute, running in enumerate(dice.sample(disks, 3)):
            running.run(night, START + timedelta(days=night, minutes=minute))
        histories = [ReplicaHistory(tuple(disk.contents), True, str(voter)) for voter, disk in enumerate(disks)]
        yield Night(histories, damaged)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_damaged_is_never_called_good(seed: int) -> None:
    """Nor newer; and what is undamaged is never called damaged."""
    verdicts = set()
    for walk in range(150):
        for night in nights(random.Random(f"{seed} {walk}")):
            all_equal = len({history.current_content for history in night.histories}) == 1
            judgement = judge_copies(night.histories)
            for history, copy in zip(night.histories, judgement.copies, strict=True):
                verdicts.add(copy.verdict)
                is_damaged = history.current_content in night.damaged
                wrong = {CopyVerdict.GOOD, CopyVerdict.NEWER} if is_damaged else {CopyVerdict.DAMAGED}
                assert copy.verdict not in wrong or all_equal, (copy.reason, night.histories)
    assert verdicts >= {
        CopyVerdict.GOOD,
        CopyVerdict.DAMAGED,
        CopyVerdict.NEWER,
        CopyVerdict.OLDER,
        CopyVerdict.UNSURE,
    }
