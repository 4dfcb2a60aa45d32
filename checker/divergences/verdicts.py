"""Which copy is good: what history, votes and confirmed reads say of a path of which there are several contents.

Nothing here reads the database. The rules, in this order; history outweighs votes, since a sync tool spreads damage:

1. A content is *tainted* when it came to some replica by damage: the bytes changed beneath the file system (confirmed),
   or the file was written and its time kept while another replica still holds what it held before. It is tainted
   wherever it lies now, unless another replica has held it from its own beginning: earlier than that, or, of what was
   written, in its first run, whenever that was.
2. What a replica held before such damage and another one still holds is *good*.
3. What an honest edit put in the place of another content (later time, no way back) is *newer*, and the other *older*;
   a copy without times of what another replica has held from its beginning, with an earlier time, is no edit.
4. What more than half of all votes hold, two at least, is *good*, when history says nothing of how the contents came
   about; a copy with the very same modification time and another content is then *damaged*.
5. Of all else nothing can be told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from checker.models import Divergence, Kind

Copy = Divergence.Copy


class Past(NamedTuple):
    """A content that a replica held under a path for some runs in a row."""

    content: str
    """What it was: equal for equal contents."""
    began: datetime
    """When the run that brought it arrived."""
    sequence: int
    mtime_ns: int | None
    kind: str | None
    """The kind of change that brought it; None for a first run, and where it is not known. Neither these nor ADDED
    and MOVED say that it took the place of the past before it."""


class Holding(NamedTuple):
    """What a replica holds under a path, and held before."""

    pasts: tuple[Past, ...]
    """Oldest first."""
    present: bool
    """Whether the last of them is what lies there now."""
    voter: str | None
    """Whose vote it is; None: it has none."""

    @property
    def content(self) -> str | None:
        """What lies there now."""
        return self.pasts[-1].content if self.present and self.pasts else None


class Why(StrEnum):
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
    UNCLEAR = "unclear"


class Ruling(NamedTuple):
    """The verdict on each copy, in the order of the holdings, and what speaks for it."""

    copies: tuple[Copy, ...]
    reasons: tuple[Why | None, ...]
    votes: dict[str, int]
    """How many votes each content has."""
    all_votes: int

    @property
    def judged(self) -> str:
        """As `Divergence.judged` has it."""
        return "".join(copy.value for copy in self.copies)

    @property
    def verdict(self) -> Divergence.Verdict:
        """On the path as a whole."""
        if Copy.DAMAGED in self.copies:
            return Divergence.Verdict.DAMAGED
        return Divergence.Verdict.NEWER if Copy.NEWER in self.copies else Divergence.Verdict.UNSURE


def rule(holdings: Sequence[Holding]) -> Ruling:
    """Judge the copies of one path."""
    votes, all_votes = count_votes(holdings)
    tainted = _tainted(holdings)
    clean = {one.content for one in holdings if one.content is not None and one.content not in tainted}
    newest = _newest(holdings, clean)
    known = _known_good(clean, newest, tainted, votes, all_votes, holdings)
    found = [_copy(one, holdings, tainted, newest, known) for one in holdings]
    return Ruling(tuple(copy for copy, _why in found), tuple(why for _copy, why in found), votes, all_votes)


def count_votes(holdings: Sequence[Holding]) -> tuple[dict[str, int], int]:
    """How many votes each content has, and how many there are; whose copies differ votes for none."""
    said: dict[str, set[str]] = {}
    for one in holdings:
        if one.voter is not None and one.content is not None:
            said.setdefault(one.voter, set()).add(one.content)
    return dict(Counter(next(iter(some)) for some in said.values() if len(some) == 1)), len(said)


class Taint(NamedTuple):
    """How a content came by damage."""

    before: str
    """What was there before."""
    kind: str


def _tainted(holdings: Sequence[Holding]) -> dict[str, Taint]:
    """The contents that came by damage somewhere."""
    present = {one.content for one in holdings}
    found: dict[str, Taint] = {}
    for one in holdings:
        for before, past in zip(one.pasts, one.pasts[1:], strict=False):
            damage = past.kind == Kind.CORRUPTED or (past.kind == Kind.REWRITTEN and before.content in present)
            proven = past.content in found and found[past.content].kind == Kind.CORRUPTED
            if damage and not proven and not _is_from_elsewhere(past, one, holdings):
                found[past.content] = Taint(before.content, str(past.kind))
    return found


def _beginnings(content: str, where: Holding, holdings: Sequence[Holding]) -> list[Past]:
    """How other replicas began, of those that held this content first of all."""
    first = [one.pasts[0] for one in holdings if one is not where and one.pasts]
    return [past for past in first if past.content == content]


def _is_from_elsewhere(past: Past, where: Holding, holdings: Sequence[Holding]) -> bool:
    """Whether another replica held this content first of all, and earlier: damage does not make what is elsewhere.

    Of what was written with its time kept no order is asked for where the other one held it in its first run: it may be
    what mended this copy, from a replica that was added later.
    """
    found = _beginnings(past.content, where, holdings)
    return any(first.began < past.began or (past.kind == Kind.REWRITTEN and first.kind is None) for first in found)


def _edits(holdings: Sequence[Holding], clean: set[str]) -> set[tuple[str, str]]:
    """Pairs (older, newer) of clean contents: an honest edit put the newer one in the place of the older one.

    What was written again with a later time is older and newer than what it replaced: of the two nothing can be told.
    """
    found = set()
    for one in holdings:
        for at, old in enumerate(one.pasts):
            for step, new in enumerate(one.pasts[at + 1 :], at + 1):
                before = one.pasts[step - 1]
                if not _is_edit(before, new) or _is_old(new, before, one, holdings):
                    break
                found.add((old.content, new.content))
        for before, new in zip(one.pasts, one.pasts[1:], strict=False):
            if new.kind == Kind.REVERTED and (new.mtime_ns or 0) > (before.mtime_ns or 0):
                found |= {(before.content, new.content), (new.content, before.content)}
    return {(old, new) for old, new in found if old != new and {old, new} <= clean}


def _is_edit(old: Past, new: Past) -> bool:
    if new.kind not in (Kind.MODIFIED, Kind.RETYPED):
        return False
    return old.mtime_ns is None or new.mtime_ns is None or new.mtime_ns > old.mtime_ns


def _is_old(new: Past, old: Past, where: Holding, holdings: Sequence[Holding]) -> bool:
    """Whether another replica held the new content first of all, earlier, and with no later time than the old one's:
    then what looks like an edit is a copy of that, made without its time."""
    return any(
        first.began < new.began and (first.mtime_ns is None or old.mtime_ns is None or first.mtime_ns <= old.mtime_ns)
        for first in _beginnings(new.content, where, holdings)
    )


def _newest(holdings: Sequence[Holding], clean: set[str]) -> str | None:
    """The clean content that came after all other ones, when history says so of each and nothing to the contrary."""
    edits = _edits(holdings, clean)
    for content in clean:
        rest = clean - {content}
        if rest and all((old, content) in edits and (content, old) not in edits for old in rest):
            return content
    return None


def _known_good(
    clean: set[str],
    newest: str | None,
    tainted: dict[str, Taint],
    votes: dict[str, int],
    all_votes: int,
    holdings: Sequence[Holding],
) -> str | None:
    """The clean content that is known to be whole, where there is no newer one."""
    if newest is not None:
        return None
    before = {taint.before for taint in tainted.values()} & clean
    if len(before) == 1 and (len(clean) == 1 or not _is_entangled(clean, holdings)):
        return before.pop()
    for content in clean:
        if votes.get(content, 0) >= 2 and 2 * votes[content] > all_votes:
            return None if _is_entangled(clean, holdings) else content
    return None


def _is_entangled(clean: set[str], holdings: Sequence[Holding]) -> bool:
    """Whether a replica held several of the clean contents, one after the other: then history speaks, unclearly."""
    return any(len({past.content for past in one.pasts} & clean) > 1 for one in holdings)


def _copy(
    one: Holding,
    holdings: Sequence[Holding],
    tainted: dict[str, Taint],
    newest: str | None,
    known: str | None,
) -> tuple[Copy, Why | None]:
    content = one.content
    if content is None:
        return Copy.NOTHING, None
    if content in tainted:
        return Copy.DAMAGED, _how_damaged(one, tainted[content])
    if newest is not None:
        return _by_age(one, content, newest)
    if content == known:
        held = any(taint.before == content for taint in tainted.values())
        return Copy.GOOD, Why.HELD_BEFORE if held else Why.MAJORITY
    if known is not None and not any(taint.before == known for taint in tainted.values()):
        times = {each.pasts[-1].mtime_ns for each in holdings if each.content == known}
        if one.pasts[-1].mtime_ns is not None and one.pasts[-1].mtime_ns in times:
            return Copy.DAMAGED, Why.OUTVOTED
    return Copy.UNSURE, _why_unsure(one, known)


def _how_damaged(one: Holding, taint: Taint) -> Why:
    last = one.pasts[-1]
    if last.kind == Kind.CORRUPTED:
        return Why.DAMAGED_HERE
    return Why.REWRITTEN_HERE if last.kind == Kind.REWRITTEN and taint.kind == Kind.REWRITTEN else Why.SPREAD


def _by_age(one: Holding, content: str, newest: str) -> tuple[Copy, Why]:
    if content == newest:
        edited = one.pasts[-1].kind in (Kind.MODIFIED, Kind.RETYPED)
        return Copy.NEWER, Why.EDITED_HERE if edited else Why.CAME_LATER
    back = one.pasts[-1].kind == Kind.REVERTED and any(past.content == newest for past in one.pasts)
    return Copy.OLDER, Why.PUT_BACK if back else Why.SUPERSEDED


def _why_unsure(one: Holding, known: str | None) -> Why:
    if known is not None:
        return Why.OTHER_TIME
    return Why.UNCLEAR if len({past.content for past in one.pasts}) > 1 else Why.NO_MAJORITY
