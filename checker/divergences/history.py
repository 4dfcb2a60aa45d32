"""Read from the histories of one path which contents appeared through damage, and which through edits.

Nothing here reads the database. When a content began is known as an interval only: after the start of the last run that
did not find it, and before the arrival of the run that did. Where two intervals overlap, nobody knows what came first.

A file may have thousands of contents on each replica. Everything is looked up by content, so that the cost grows with
the number of contents alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from checker.changes.kinds import EMPTY_SHA256
from checker.divergences.stamps import is_no_later, is_same_time
from checker.models import Change

EDITS = frozenset({Change.Kind.MODIFIED, Change.Kind.RETYPED})
FIRST_SIGHTS = frozenset({None, Change.Kind.READABLE})
"""Kinds of a first content of which nobody knows how long it had been there."""


class HeldContent(NamedTuple):
    """A content that a replica had at the path for some runs in a row."""

    content: str
    """Equal for equal contents."""
    received_at: datetime
    """When the run that brought it arrived. The content began before."""
    sequence: int
    mtime_ns: int | None
    """The newest modification time that it was seen with."""
    kind: str | None
    """The kind of change that brought it. None for a first run, and where the change is not known. With None, ADDED or
    MOVED it did not replace the content before it."""
    after: datetime | None = None
    """When the last run began that did not find it. The content began later. None for a first run."""
    is_broken: bool = False
    """Whether the bytes that differ from the content before say that this is damage."""
    after_error: bool = False
    """Whether the run before could not read the path, and no ctime tells that nobody wrote since. With its time kept,
    the content may be damage, or restored from elsewhere."""
    first_mtime_ns: int | None = None
    """The modification time that it was first seen with, where that is another one."""

    @property
    def begin_mtime_ns(self) -> int | None:
        """The modification time that it was first seen with."""
        return self.mtime_ns if self.first_mtime_ns is None else self.first_mtime_ns

    def touched(self, mtime_ns: int | None) -> HeldContent:
        """Return the same content, seen with another modification time."""
        return self._replace(mtime_ns=mtime_ns, first_mtime_ns=self.begin_mtime_ns)


def is_remains(content: str) -> bool:
    """Return whether a content is that of no file, or of an empty one: what may be left of a file that was lost."""
    return content == EMPTY_SHA256 or content.startswith(("link:", "special:"))


class ReplicaHistory(NamedTuple):
    """The contents that a replica has and had at the path."""

    contents: tuple[HeldContent, ...]
    """Oldest first."""
    present: bool
    """Whether the replica still has the last of them."""
    voter: str | None
    """The vote that this replica shares with others on its file system. None when it has no vote."""
    read_since: datetime | None = None
    """When its newest run began. None: now."""
    on_hold: bool = False
    """Whether a mass change holds the replica. Then its edits define nothing for others."""
    created_at: datetime | None = None
    """When the replica was set up. What others were seen with before may have been copied to it."""
    place: str | None = None
    """Server and file system: replicas with the same text have one vote together, when they have one. None: `voter`."""

    @property
    def current_content(self) -> str | None:
        """The content that the replica has now, or None."""
        if self.present and self.contents:
            return self.contents[-1].content
        return None


class Damage(NamedTuple):
    """The damage through which a content appeared."""

    previous_content: str | None
    """The content that the damage replaced, or that outvoted it. None where nobody knows any more."""
    kind: str
    """A kind of change, or one of the values below."""


BROKEN = "broken"
"""The bytes that differ say that it is damage."""
OUTVOTED = "outvoted"
"""At first sight most other replicas had another content with the same time."""
REMEMBERED = "remembered"
"""An earlier comparison found that the content is damaged."""


class Sight(NamedTuple):
    """The first time that a replica was seen with a content."""

    position: int
    held: HeldContent
    is_first: bool
    """Whether nothing is known of the path on this replica before."""


class PathHistories:
    """The histories of one path on all replicas, by content."""

    def __init__(self, histories: Sequence[ReplicaHistory]) -> None:
        self.histories = histories
        self.current_contents = {
            history.current_content for history in histories if history.current_content is not None
        }
        self._sights: dict[str, list[Sight]] = {}
        for position, history in enumerate(histories):
            seen = set()
            for index, held in enumerate(history.contents):
                if held.content in seen:
                    continue
                seen.add(held.content)
                is_first = index == 0 and held.kind in FIRST_SIGHTS
                self._sights.setdefault(held.content, []).append(Sight(position, held, is_first))

        self._first_contents: dict[str, list[tuple[int, HeldContent]]] = {}
        for position, history in enumerate(histories):
            if history.contents:
                first = history.contents[0]
                self._first_contents.setdefault(first.content, []).append((position, first))

    def replacements(self) -> Iterator[tuple[int, HeldContent, HeldContent]]:
        """Yield each content with the position of its replica and the content that replaced it."""
        for position, history in enumerate(self.histories):
            for previous, held in pairwise(history.contents):
                yield position, previous, held

    def sights(self, content: str) -> Sequence[Sight]:
        """Return the first sight of a content on each replica that ever had it."""
        return self._sights.get(content, ())

    def first_contents(self, content: str, position: int) -> Iterator[HeldContent]:
        """Yield the first content of each other replica whose first content is `content`."""
        for other_position, first in self._first_contents.get(content, ()):
            if other_position != position:
                yield first

    def was_elsewhere(self, content: str, position: int) -> bool:
        """Return whether another replica has or had a content."""
        return any(sight.position != position for sight in self.sights(content))

    def was_elsewhere_before(self, held: HeldContent, position: int) -> bool:
        """Return whether another replica certainly had this content while this one still had something else."""
        if held.after is None:
            return False
        return any(
            sight.position != position and sight.held.received_at < held.after for sight in self.sights(held.content)
        )

    def is_first_content_elsewhere(self, content: str, position: int) -> bool:
        """Return whether another replica had a content when it was first seen: nobody knows since when."""
        return any(sight.position != position and sight.is_first for sight in self.sights(content))

    def is_original_elsewhere(self, content: str, position: int) -> bool:
        """Return whether another replica was first seen with a content, and had not joined later."""
        return any(
            sight.position != position and sight.is_first and not self.joined_later(sight.position)
            for sight in self.sights(content)
        )

    def original_contents(self) -> Iterator[str]:
        """Yield the content with which each replica was first seen that had not joined later."""
        for position, history in enumerate(self.histories):
            if history.contents and history.contents[0].kind in FIRST_SIGHTS and not self.joined_later(position):
                yield history.contents[0].content

    def is_copy_of_older(self, held: HeldContent, position: int) -> bool:
        """Return whether another replica was first seen with this content, and with an earlier time."""
        return any(
            first.begin_mtime_ns is not None
            and held.begin_mtime_ns is not None
            and not is_no_later(held.begin_mtime_ns, first.begin_mtime_ns)
            for first in self.first_contents(held.content, position)
            if first.kind in FIRST_SIGHTS
        )

    def is_independent(self, sight: Sight) -> bool:
        """Return whether a first content cannot be a copy of what another replica was seen with.

        A replica that is set up later is filled from somewhere.
        """
        created_at = self.histories[sight.position].created_at
        for other in self.sights(sight.held.content):
            if other.position == sight.position:
                continue
            if created_at is not None and other.held.received_at < created_at:
                return False
            # What was copied from elsewhere has no earlier time than that.
            is_source = not other.is_first and is_no_later(other.held.begin_mtime_ns, sight.held.begin_mtime_ns)
            if is_source and (other.held.after is None or other.held.after <= sight.held.received_at):
                return False
        return True

    def joined_later(self, position: int) -> bool:
        """Return whether a replica was set up when another one had been seen already."""
        created_at = self.histories[position].created_at
        if created_at is None:
            return False
        return any(
            other.contents[0].received_at < created_at
            for other_position, other in enumerate(self.histories)
            if other_position != position and other.contents
        )

    def may_be_filled(self, position: int) -> bool:
        """Return whether what a replica has may have come with its setup, as a copy of another one."""
        history = self.histories[position]
        if len(history.contents) != 1 or history.contents[0].kind not in FIRST_SIGHTS:
            return False
        return not self.is_independent(Sight(position, history.contents[0], is_first=True))


def find_damage(paths: PathHistories) -> dict[str, Damage]:
    """Return the contents that appeared on some replica through damage, as their histories prove it."""
    damages: dict[str, Damage] = {}
    for position, previous, held in paths.replacements():
        is_confirmed = held.kind == Change.Kind.CORRUPTED
        if not (is_confirmed or held.is_broken) or not _is_damage(paths, position, previous, held):
            continue
        # Confirmed damage, once known, is not replaced by anything less.
        known = damages.get(held.content)
        if known is None or (is_confirmed and known.kind != Change.Kind.CORRUPTED):
            damages[held.content] = Damage(previous.content, Change.Kind.CORRUPTED if is_confirmed else BROKEN)
    return damages


def _is_damage(paths: PathHistories, position: int, previous: HeldContent, held: HeldContent) -> bool:
    """Return whether a content that appeared as damage does was not there before.

    Damage does not make what exists elsewhere: a mirror below the file system was mended. Where another replica had the
    content when it was first seen, and nobody knows since when, it is damage if the content that it replaced was
    elsewhere, too.
    """
    if paths.was_elsewhere_before(held, position):
        return False
    if held.after_error and not held.is_broken:
        return False
    if paths.is_first_content_elsewhere(held.content, position):
        return paths.was_elsewhere(previous.content, position)
    return True


def find_mended(paths: PathHistories) -> set[str]:
    """Return the contents that came below the file system, and certainly were elsewhere before: no damage does that."""
    return {
        held.content
        for position, _previous, held in paths.replacements()
        if held.kind == Change.Kind.CORRUPTED and paths.was_elsewhere_before(held, position)
    }


def find_outvoted(paths: PathHistories, suspects: Collection[str]) -> dict[str, Damage]:
    """Return the contents that were in the minority when the replicas were first seen, beside the same time.

    These votes do not depend on the order in which runs arrive, nor on what became of the replicas since. Only what no
    run saw coming has one: whatever came later may be a copy.
    """
    contents_by_voter: dict[str, set[str]] = {}
    firsts: list[Sight] = []
    for position, history in enumerate(paths.histories):
        # A replica that joined later may have been filled from one that nobody has read since.
        if not history.contents or history.contents[0].kind not in FIRST_SIGHTS or paths.joined_later(position):
            continue
        sight = Sight(position, history.contents[0], is_first=True)
        firsts.append(sight)
        # What may be a copy says nothing.
        if paths.is_independent(sight):
            place = history.place or history.voter
            contents_by_voter.setdefault(place or f"position {position}", set()).add(
                sight.held.content if place else ""
            )

    majority = _majority(contents_by_voter)
    if majority is None or majority in suspects:
        return {}

    times = [sight.held.begin_mtime_ns for sight in firsts if sight.held.content == majority]
    outvoted = {}
    for sight in firsts:
        is_other = sight.held.content != majority
        has_same_time = any(is_same_time(sight.held.begin_mtime_ns, mtime_ns) for mtime_ns in times)
        if is_other and has_same_time and paths.is_independent(sight):
            outvoted[sight.held.content] = Damage(majority, OUTVOTED)
    return outvoted


def _majority(contents_by_voter: Mapping[str, set[str]]) -> str | None:
    """Return the content with more than half of all votes, two at least."""
    votes: dict[str, int] = {}
    for contents in contents_by_voter.values():
        if len(contents) == 1:
            (content,) = contents
            votes[content] = votes.get(content, 0) + 1
    for content, number in votes.items():
        if content and number >= 2 and 2 * number > len(contents_by_voter):
            return content
    return None


def find_doubtful(paths: PathHistories, damaged: Collection[str]) -> set[str]:
    """Return the contents that may have appeared through damage, or were made from such a content."""
    # A file that was renamed and changed began here, with its time kept.
    doubtful = {
        history.contents[0].content
        for history in paths.histories
        if history.contents and history.contents[0].kind in (Change.Kind.REWRITTEN, Change.Kind.CORRUPTED)
    }
    edits: dict[str, set[str]] = {}
    for position, previous, held in paths.replacements():
        if paths.was_elsewhere_before(held, position):
            continue
        if held.kind == Change.Kind.CORRUPTED or held.is_broken:
            doubtful.add(held.content)
        elif held.kind == Change.Kind.REWRITTEN:
            # Damage from before the first run was mended from where the replicas were first seen with the content.
            is_mended = previous.content in damaged and paths.is_original_elsewhere(held.content, position)
            if not is_mended:
                doubtful.add(held.content)
        elif held.kind in EDITS and not paths.is_copy_of_older(held, position):
            edits.setdefault(previous.content, set()).add(held.content)

    # What was made from a doubtful content is doubtful, too, and so on.
    remaining = [*doubtful, *damaged]
    while remaining:
        for derived in edits.pop(remaining.pop(), ()):
            if derived not in doubtful:
                doubtful.add(derived)
                remaining.append(derived)
    return doubtful


class Edits:
    """The honest edits of a path: which content replaced which, and whether that is certain."""

    def __init__(self, paths: PathHistories) -> None:
        self._paths = paths
        self._contradictory: set[tuple[str, str]] = set()
        self._chain_starts: list[list[int]] = []
        self._indexes: list[dict[str, list[int]]] = []
        self._brought: dict[str, set[str]] = {}
        self._successors: dict[str, set[str]] = {}
        for position, history in enumerate(paths.histories):
            self._read(position, history)

    def is_edit(self, old_content: str, new_content: str) -> bool:
        """Return whether edits alone led from one content to the other on some replica.

        Content that was written again with a later time is both older and newer than the content that it replaced:
        nothing can be told of the two, so both directions are edits.
        """
        if (old_content, new_content) in self._contradictory:
            return True
        return self._is_chained(old_content, new_content) and self._is_made_from(old_content, new_content)

    def are_related(self, first: str, second: str) -> bool:
        """Return whether edits alone led from one of two contents to the other in the history of some replica."""
        return first == second or self._is_chained(first, second) or self._is_chained(second, first)

    def _is_made_from(self, old_content: str, new_content: str) -> bool:
        """Return whether, wherever a content may have come about, it replaced the old one, or a relative of that."""
        return all(self.are_related(source, old_content) for source in self._possible_sources(new_content))

    def _possible_sources(self, content: str) -> set[str]:
        """Return the contents that this one replaced where it may have come about, and is not certainly a copy."""
        sources = set()
        for sight in self._paths.sights(content):
            index = self._indexes[sight.position][content][0]
            is_edit = index > 0 and sight.held.kind in EDITS
            if is_edit and not self._paths.was_elsewhere_before(sight.held, sight.position):
                sources.add(self._paths.histories[sight.position].contents[index - 1].content)
        return sources

    def _is_chained(self, old_content: str, new_content: str) -> bool:
        """Return whether edits alone led from one content to the other in the history of some replica."""
        for chain_starts, indexes in zip(self._chain_starts, self._indexes, strict=True):
            old_indexes = indexes.get(old_content, [])
            for index in indexes.get(new_content, []):
                before = bisect_left(old_indexes, index)
                if before and old_indexes[before - 1] >= chain_starts[index]:
                    return True
        return False

    def sources(self, content: str) -> Collection[str]:
        """Return the contents that an edit replaced with `content`."""
        return self._brought.get(content, ())

    def successors(self, content: str) -> Collection[str]:
        """Return the contents with which an edit replaced `content` for good."""
        return self._successors.get(content, ())

    def _read(self, position: int, history: ReplicaHistory) -> None:
        chain_starts: list[int] = []
        indexes: dict[str, list[int]] = {}
        for index, held in enumerate(history.contents):
            indexes.setdefault(held.content, []).append(index)
            if index == 0:
                chain_starts.append(0)
                continue

            previous = history.contents[index - 1]
            if self._is_later_edit(position, history, previous, held):
                chain_starts.append(chain_starts[-1])
                self._brought.setdefault(held.content, set()).add(previous.content)
                if history.contents[-1].content != previous.content:
                    self._successors.setdefault(previous.content, set()).add(held.content)
                continue

            chain_starts.append(index)
            if held.kind == Change.Kind.REVERTED and (held.begin_mtime_ns or 0) > (previous.mtime_ns or 0):
                self._contradictory |= {(previous.content, held.content), (held.content, previous.content)}
        self._chain_starts.append(chain_starts)
        self._indexes.append(indexes)

    def _is_later_edit(self, position: int, history: ReplicaHistory, old: HeldContent, new: HeldContent) -> bool:
        """Return whether an edit brought `new`, and neither its time nor other replicas are against it."""
        if history.on_hold or new.kind not in EDITS or new.content == old.content:
            return False
        if is_remains(new.content) and not is_remains(old.content):
            return False
        new_mtime_ns = new.begin_mtime_ns
        if old.mtime_ns is not None and new_mtime_ns is not None and new_mtime_ns <= old.mtime_ns:
            return False

        # What looks like an edit is a copy of old content, made without its time, when another replica had it first of
        # all, with no later time than that of the content that it replaced here.
        return not any(
            is_no_later(first.begin_mtime_ns, old.mtime_ns)
            for first in self._paths.first_contents(new.content, position)
        )
