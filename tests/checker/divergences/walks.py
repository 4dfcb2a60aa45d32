"""Random lives of one file on several replicas, with the runs that saw them, and what can be known of each copy.

A walk is a list of acts and runs in the order of time. Runs read at one instant, but the server knows only when a run
began and when its report arrived, and reports may arrive late and in any order between replicas. What nobody can see is
left out: a copy that rots before any run of its replica has seen its content, or that is edited before a run has seen
the rot, looks like an edit.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from checker.divergences.history import HeldContent, ReplicaHistory
from checker.models import Change

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
KEPT = "kept"
"""Origin of a content that somebody wrote, its time kept."""


@dataclass
class Content:
    """A content and how it came about."""

    name: str
    origin: str
    source: Content | None = None
    is_damaged: bool = False
    disk: Disk | None = None
    """Where it came about. None for what was there from the beginning."""

    def descends_by_edits_from(self, other: Content) -> bool:
        """Return whether edits with a later time alone led from another content to this one."""
        content: Content | None = self
        while content is not None and content.origin == "edit":
            content = content.source
            if content is other:
                return True
        return False

    @property
    def is_untold(self) -> bool:
        """Return whether history cannot tell: a write that kept its time, or an edit of that or of damage, led here."""
        content: Content | None = self
        while content is not None and content.origin in (KEPT, "edit"):
            if content.origin == KEPT:
                return True
            content = content.source
            if content is not None and content.is_damaged:
                return True
        return False


@dataclass
class Sight:
    """The file as one run found it."""

    began: datetime
    read: datetime
    arrived: datetime
    content: Content | None
    mtime: int
    is_error: bool
    is_ctime_same: bool
    is_renamed_back: bool


@dataclass
class Disk:
    """The file on one replica, and the runs that looked at it."""

    content: Content | None
    mtime: int = 1000
    created: datetime | None = None
    is_error: bool = False
    on_hold: bool = False
    is_seen: bool = False
    """Whether a run has seen the content since it was written here."""
    is_ctime_same: bool = True
    """Whether nothing was written since the last run."""
    has_hidden_rot: bool = False
    is_away: bool = False
    """Whether the file is there under another name."""
    is_renamed_back: bool = False
    sights: list[Sight] = field(default_factory=list)

    def write(self, content: Content, mtime: int) -> None:
        """Change the file through the file system."""
        self.content = content
        self.mtime = mtime
        self.is_seen = False
        self.is_ctime_same = False
        self.has_hidden_rot = False
        self.is_error = False
        self.is_away = False
        self.is_renamed_back = False

    @property
    def is_readable(self) -> bool:
        """Return whether a program can read the file under its name."""
        return self.content is not None and not self.is_error and not self.is_away


class Walk:
    """A walk of so many steps."""

    def __init__(self, seed: str, steps: int = 24) -> None:
        self.dice = random.Random(seed)
        self.now = START
        self.number = 0
        initial = Content("c0", "first")
        self.disks = [Disk(initial) for _ in range(3)]
        # One copy may have been rotten before anybody looked.
        if self.dice.random() < 0.3:
            rotten = self.dice.choice(self.disks)
            rotten.content = Content("c0r", "rot", initial, is_damaged=True, disk=rotten)
        for disk in self.dice.sample(self.disks, 3):
            self.run(disk)
        self.steps = steps

    def step(self) -> None:
        """Let one thing happen."""
        self._pass_time()
        if self.dice.random() < 0.55:
            self.run(self.dice.choice(self.disks))
            return
        acts = [
            *[self.edit] * 3,
            self.edit_keeping_time,
            *[self.rot] * 2,
            *[self.copy] * 2,
            *[self.sync] * 4,
            self.fail,
            self.recover,
            self.remove,
            self.rename,
            self.rename_back,
            self.hold,
            self.touch,
            self.join,
        ]
        self.dice.choice(acts)()

    def run(self, disk: Disk) -> None:
        """Let a run look at a disk. Its report may be late, but never overtakes another one of its replica."""
        self._pass_time()
        began = self.now - timedelta(minutes=self.dice.randrange(1, 40))
        late = self.dice.choice([1, 1, 1, 1, 5, 30, 3000])
        arrived = self.now + timedelta(minutes=late)
        if disk.sights:
            arrived = max(arrived, disk.sights[-1].arrived + timedelta(seconds=1))
        seen = None if disk.is_away else disk.content
        disk.sights.append(
            Sight(
                began,
                self.now,
                arrived,
                seen,
                disk.mtime,
                disk.is_error and seen is not None,
                disk.is_ctime_same,
                disk.is_renamed_back,
            )
        )
        if not disk.is_error and not disk.is_away:
            disk.is_seen = True
            disk.has_hidden_rot = False
            disk.is_ctime_same = True
            disk.is_renamed_back = False

    def edit(self) -> None:
        """Edit a copy, with a later time."""
        disk = self._pick()
        if disk is None or disk.has_hidden_rot or disk.content is None:
            return
        if disk.is_seen or not disk.content.is_damaged:
            disk.write(self._new("edit", disk, is_damaged=disk.content.is_damaged), self._mtime())
            disk.has_hidden_rot = disk.content.is_damaged

    def edit_keeping_time(self) -> None:
        """Edit a copy and keep its time."""
        disk = self._pick()
        if disk is None or disk.content is None:
            return
        if disk.is_seen and not disk.has_hidden_rot:
            disk.write(self._new(KEPT, disk, is_damaged=disk.content.is_damaged), disk.mtime)
            disk.has_hidden_rot = disk.content.is_damaged

    def rot(self) -> None:
        """Change the bytes of a copy that a run has seen, below the file system."""
        disk = self.dice.choice(self.disks)
        if disk.content is None or not disk.is_seen or disk.has_hidden_rot or disk.is_away or not disk.is_ctime_same:
            return
        disk.content = self._new("rot", disk, is_damaged=True)
        disk.has_hidden_rot = True
        disk.is_seen = False

    def copy(self) -> None:
        """Copy a file over another one; it gets a new time."""
        self._transfer(keep_time=False)

    def sync(self) -> None:
        """Copy a file over another one with its time."""
        self._transfer(keep_time=True)

    def fail(self) -> None:
        """Make a copy unreadable."""
        disk = self._pick()
        if disk is not None and not disk.has_hidden_rot:
            disk.is_error = True

    def recover(self) -> None:
        """Make a copy readable again, as it was or rotten."""
        disk = self.dice.choice(self.disks)
        if disk.is_error and disk.content is not None and disk.sights and disk.sights[-1].is_error:
            disk.is_error = False
            if self.dice.random() < 0.5 and disk.is_seen and disk.is_ctime_same:
                disk.content = self._new("rot", disk, is_damaged=True)
                disk.has_hidden_rot = True
                disk.is_seen = False

    def remove(self) -> None:
        """Remove a copy."""
        disk = self._pick()
        if disk is not None and sum(other.is_readable for other in self.disks) > 2:
            disk.content = None

    def rename(self) -> None:
        """Give a copy another name."""
        disk = self._pick()
        if disk is not None:
            disk.is_away = True
            disk.is_ctime_same = False

    def rename_back(self) -> None:
        """Give a copy its name again."""
        for disk in self.disks:
            if disk.is_away:
                disk.is_away = False
                disk.is_renamed_back = True

    def hold(self) -> None:
        """Put a replica on hold, or release it."""
        disk = self.dice.choice(self.disks)
        disk.on_hold = not disk.on_hold

    def touch(self) -> None:
        """Give a copy that a run has seen a new time."""
        disk = self._pick()
        if disk is not None and disk.is_seen:
            disk.mtime = self._mtime()
            disk.is_ctime_same = False

    def join(self) -> None:
        """Add a replica that is filled from another one."""
        source = self._pick()
        if source is None or source.has_hidden_rot or len(self.disks) > 3:
            return
        joined = Disk(source.content, source.mtime, created=self.now)
        self._pass_time()
        self.disks.append(joined)
        self.run(joined)

    def histories(self, moment: datetime) -> list[ReplicaHistory]:
        """Return what the server knows at a moment."""
        return [_history(disk, position, moment) for position, disk in enumerate(self.disks)]

    def current(self, position: int, moment: datetime) -> Content | None:
        """Return the content that the server takes for the current one of a replica."""
        arrived = [sight for sight in self.disks[position].sights if sight.arrived <= moment]
        if not arrived or arrived[-1].is_error:
            return None
        return arrived[-1].content

    def _transfer(self, *, keep_time: bool) -> None:
        source, target = self.dice.sample(self.disks, 2)
        if not source.is_readable or source.has_hidden_rot or source.content is target.content or target.is_away:
            return
        assert source.content is not None
        target.write(source.content, source.mtime if keep_time else self._mtime())

    def _pick(self) -> Disk | None:
        readable = [disk for disk in self.disks if disk.is_readable]
        return self.dice.choice(readable) if readable else None

    def _new(self, origin: str, disk: Disk, *, is_damaged: bool) -> Content:
        self.number += 1
        return Content(f"c{self.number}", origin, disk.content, is_damaged, disk)

    def _pass_time(self) -> None:
        self.now += timedelta(minutes=self.dice.choice([1, 7, 60, 600]))

    def _mtime(self) -> int:
        return 2001 + 2 * int((self.now - START).total_seconds())


def _history(disk: Disk, position: int, moment: datetime) -> ReplicaHistory:
    """Return the contents of a replica with the kinds that the comparison of its runs gives them."""
    contents: list[HeldContent] = []
    previous: Sight | None = None
    last_read: Sight | None = None
    arrived = [sight for sight in disk.sights if sight.arrived <= moment]
    for sequence, sight in enumerate(arrived, 1):
        content = sight.content
        if content is not None and not sight.is_error:
            assert not contents or last_read is not None
            if contents and contents[-1].content == content.name:
                contents[-1] = contents[-1].touched(sight.mtime)
            else:
                kind = _kind(sight, previous, contents)
                after = None
                if kind in (Change.Kind.ADDED, Change.Kind.MOVED):
                    after = previous.began if previous else None
                elif last_read is not None:
                    after = last_read.began
                contents.append(
                    HeldContent(
                        content.name,
                        sight.arrived,
                        sequence,
                        sight.mtime,
                        kind,
                        after,
                        after_error=previous is not None and previous.is_error and not sight.is_ctime_same,
                    )
                )
            last_read = sight
        previous = sight

    present = bool(arrived) and arrived[-1].content is not None and not arrived[-1].is_error
    voter = str(position) if present and not disk.on_hold else None
    read_since = arrived[-1].began if arrived else None
    return ReplicaHistory(tuple(contents), present, voter, read_since, disk.on_hold, disk.created, place=str(position))


def _kind(sight: Sight, previous: Sight | None, contents: list[HeldContent]) -> str | None:
    """Return the kind of change of a content that differs from the last one that was read."""
    assert sight.content is not None
    if previous is None:
        return None
    if previous.content is None:
        return Change.Kind.ADDED
    if not contents:
        return Change.Kind.READABLE
    if any(held.content == sight.content.name for held in contents[:-1]):
        return Change.Kind.REVERTED
    if sight.mtime != contents[-1].mtime_ns:
        return Change.Kind.MODIFIED
    if previous.is_error or sight.is_ctime_same:
        return Change.Kind.CORRUPTED
    return Change.Kind.REWRITTEN


class Oracle:
    """A judge who knows every act, and says of the copies what the runs of a walk have shown by a moment."""

    def __init__(self, walk: Walk, moment: datetime) -> None:
        self._walk = walk
        self._moment = moment
        self._positions = range(len(walk.disks))
        self.contents = [walk.current(position, moment) for position in self._positions]
        bound = [
            content
            for content, disk in zip(self.contents, walk.disks, strict=True)
            if content is not None and not disk.on_hold
        ]
        self._binding = {id(content): content for content in bound}
        self._is_shown_whole = all(self._is_certain(content) for content in self._binding.values())

    @property
    def has_mismatch(self) -> bool:
        """Return whether the copies differ."""
        return len({id(content) for content in self.contents if content is not None}) > 1

    def can_tell(self, position: int) -> bool:
        """Return whether the copy on a replica is known to be good, damaged, newer or older."""
        content = self.contents[position]
        assert content is not None
        if not self._is_certain(content):
            return False
        if content.is_damaged:
            return True
        return id(content) in self._binding and self._is_shown_whole and self._is_in_order()

    def is_shown(self, content: Content) -> bool:
        """Return whether the runs of the replica where a content came about have shown it, and all that led to it."""
        made: Content | None = content
        while made is not None and made.disk is not None:
            shown = [sight for sight in made.disk.sights if sight.content is made and sight.arrived <= self._moment]
            if not shown:
                return False
            made = made.source
        return True

    def _is_certain(self, content: Content) -> bool:
        """Return whether the runs have shown how a content came about, and nothing but acts would say otherwise."""
        if content.is_untold or not self.is_shown(content):
            return False
        return not content.is_damaged or self._is_damage_seen(content)

    def _is_damage_seen(self, content: Content) -> bool:
        """Return whether a run has shown the damage: the ctime did not move, or most first runs had something else."""
        firsts = [disk.sights[0] for disk in self._walk.disks if disk.created is None and disk.sights]
        if any(first.content is content for first in firsts):
            arrived = [first for first in firsts if first.arrived <= self._moment]
            return sum(first.content is not content for first in arrived) > 1
        return any(
            sight.content is content and sight.is_ctime_same and sight.arrived <= self._moment
            for disk in self._walk.disks
            for sight in disk.sights
        )

    def _is_in_order(self) -> bool:
        """Return whether edits alone lead from each undamaged content to the next, and nobody went back."""
        good = [content for content in self._binding.values() if not content.is_damaged]
        for first in good:
            for second in good:
                if first is second:
                    continue
                if not first.descends_by_edits_from(second) and not second.descends_by_edits_from(first):
                    return False
        return not self._went_back(good)

    def _went_back(self, good: list[Content]) -> bool:
        for disk in self._walk.disks:
            seen: list[Content] = []
            for sight in disk.sights:
                if sight.arrived > self._moment or sight.content is None or sight.is_error:
                    continue
                if any(sight.content is not old and old.descends_by_edits_from(sight.content) for old in seen):
                    return True
                if sight.content not in seen:
                    seen.append(sight.content)
        return False
