"""Which copy is good: what history, votes and confirmed reads say of a path of which there are several contents.

Nothing here reads the database. The rules, in this order; history outweighs votes, since a sync tool spreads damage:

1. A content is *tainted* when it came to some replica by damage: the bytes changed beneath the file system (confirmed),
   or the file was written and its time kept while another replica still holds what it held before. It is tainted
   wherever it lies now, unless it was elsewhere before: another replica has held it since before the run that still saw
   what was there earlier, or from its own beginning (earlier than that, or, of what was written, in its first run,
   whenever that was).
2. What was written with its time kept, though nobody holds any more what was there before, is *doubtful*, and so is
   what was made of a tainted or doubtful content. It is never called good or newer.
3. What a replica held before such damage and another one still holds is *good*.
4. What an honest edit put in the place of another content (later time, no way back) is *newer*, and the other *older*,
   also when the edited copy was damaged since; a copy without times of what another replica has held from its
   beginning, with an earlier time, is no edit.
5. What more than half of all votes hold, two at least, is *good*, when history says nothing of how the contents came
   about; a copy with the very same modification time and another content is then *damaged*.
6. Of all else nothing can be told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from checker.divergences.history import Holding, Taint, doubtful, edits, tainted
from checker.models import Divergence, Kind

Copy = Divergence.CopyVerdict


class Reason(StrEnum):
    """What speaks for a verdict."""

    DAMAGED_HERE = "damaged_here"
    REWRITTEN_HERE = "rewritten_here"
    SPREAD = "spread"
    HELD_BEFORE = "held_before"
    EDITED_HERE = "edited_here"
    CAME_LATER = "came_later"
    PUT_BACK = "put_back"
    SUPERSEDED = "superseded"
    OUTVOTED = "outvoted"
    MAJORITY = "majority"
    NO_MAJORITY = "no_majority"
    OTHER_TIME = "other_time"
    DOUBTFUL = "doubtful"
    UNCLEAR = "unclear"


class Ruling(NamedTuple):
    """The verdict on each copy, in the order of the holdings, and what speaks for it."""

    copies: tuple[Copy, ...]
    reasons: tuple[Reason | None, ...]
    votes: dict[str, int]
    """How many votes each content has."""
    all_votes: int

    @property
    def judged(self) -> str:
        """As `Divergence.judged` has it."""
        return "".join(copy.value for copy in self.copies)

    @property
    def verdict(self) -> Divergence.PathVerdict:
        """On the path as a whole."""
        if Copy.DAMAGED in self.copies:
            return Divergence.PathVerdict.DAMAGED
        return Divergence.PathVerdict.NEWER if Copy.NEWER in self.copies else Divergence.PathVerdict.UNSURE


def rule(holdings: Sequence[Holding]) -> Ruling:
    """Judge the copies of one path."""
    votes, all_votes = count_votes(holdings)
    lives = _Lives(holdings)
    found = [lives.copy(one) for one in holdings]
    return Ruling(tuple(copy for copy, _why in found), tuple(why for _copy, why in found), votes, all_votes)


def count_votes(holdings: Sequence[Holding]) -> tuple[dict[str, int], int]:
    """How many votes each content has, and how many there are; whose copies differ votes for none."""
    said: dict[str, set[str]] = {}
    for one in holdings:
        if one.voter is not None and one.content is not None:
            said.setdefault(one.voter, set()).add(one.content)
    return dict(Counter(next(iter(some)) for some in said.values() if len(some) == 1)), len(said)


class _Lives:
    """The holdings of one path, and what history says of each content that is there now."""

    def __init__(self, holdings: Sequence[Holding]) -> None:
        self._holdings = holdings
        self._tainted = tainted(holdings)
        self._doubtful = doubtful(holdings, self._tainted)
        self._clean = {one.content for one in holdings if one.content is not None} - self._tainted.keys()
        self._edits = set(edits(holdings))
        bad = self._doubtful.union(self._tainted)
        self._superseded = {
            one.old for one in self._edits
            if one.new not in bad and one.last != one.old and not self._is_edit(one.new, one.old)
        }  # fmt: skip
        self._votes, self._all_votes = count_votes(holdings)
        self._newest = self._find_newest()
        self._known = None if self._newest is not None else self._find_good()

    def _is_edit(self, old: str, new: str) -> bool:
        return any((edit.old, edit.new) == (old, new) for edit in self._edits)

    def _find_newest(self) -> str | None:
        """The content that came after all other ones, when history says so of each and nothing to the contrary."""
        for content in self._clean - self._doubtful:
            rest = self._clean - {content}
            if rest and all(self._is_edit(old, content) and not self._is_edit(content, old) for old in rest):
                return content
        return None

    def _find_good(self) -> str | None:
        """The content that is known to be whole, where there is no newer one."""
        fit = self._clean - self._doubtful - self._superseded
        before = {taint.before for taint in self._tainted.values()} & fit
        if len(before) == 1 and (len(self._clean) == 1 or not self._is_entangled()):
            return before.pop()
        for content in fit:
            if self._votes.get(content, 0) >= 2 and 2 * self._votes[content] > self._all_votes:
                return None if self._is_entangled() else content
        return None

    def _is_entangled(self) -> bool:
        """Whether a replica held several of the clean contents, one after the other: then history speaks, unclearly."""
        return any(len({past.content for past in one.pasts} & self._clean) > 1 for one in self._holdings)

    def copy(self, one: Holding) -> tuple[Copy, Reason | None]:
        """What is said of a copy, and why."""
        content = one.content
        if content is None:
            return Copy.NOTHING, None
        if content in self._tainted:
            return Copy.DAMAGED, _how_damaged(one, self._tainted[content])
        if self._newest is not None:
            return _by_age(one, content, self._newest)
        held_before = {taint.before for taint in self._tainted.values()}
        if content == self._known:
            return Copy.GOOD, Reason.HELD_BEFORE if content in held_before else Reason.MAJORITY
        if self._known is not None and self._known not in held_before and self._has_its_time(one, self._known):
            return Copy.DAMAGED, Reason.OUTVOTED
        if content in self._superseded and content not in self._doubtful:
            return Copy.OLDER, Reason.SUPERSEDED
        return Copy.UNSURE, self._why_unsure(one, content)

    def _has_its_time(self, one: Holding, content: str) -> bool:
        """Whether a copy has the very modification time that a content has elsewhere."""
        times = {each.pasts[-1].mtime_ns for each in self._holdings if each.content == content}
        return one.pasts[-1].mtime_ns is not None and one.pasts[-1].mtime_ns in times

    def _why_unsure(self, one: Holding, content: str) -> Reason:
        if content in self._doubtful:
            return Reason.DOUBTFUL
        if self._known is not None:
            return Reason.OTHER_TIME
        return Reason.UNCLEAR if len({past.content for past in one.pasts}) > 1 else Reason.NO_MAJORITY


def _how_damaged(one: Holding, taint: Taint) -> Reason:
    last = one.pasts[-1]
    if last.kind == Kind.CORRUPTED:
        return Reason.DAMAGED_HERE
    return Reason.REWRITTEN_HERE if last.kind == Kind.REWRITTEN and taint.kind == Kind.REWRITTEN else Reason.SPREAD


def _by_age(one: Holding, content: str, newest: str) -> tuple[Copy, Reason]:
    if content == newest:
        edited = one.pasts[-1].kind in (Kind.MODIFIED, Kind.RETYPED)
        return Copy.NEWER, Reason.EDITED_HERE if edited else Reason.CAME_LATER
    back = one.pasts[-1].kind == Kind.REVERTED and any(past.content == newest for past in one.pasts)
    return Copy.OLDER, Reason.PUT_BACK if back else Reason.SUPERSEDED
