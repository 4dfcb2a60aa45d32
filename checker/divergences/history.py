"""What the replicas held under a path, one content after the other: which of it came by damage, and which by edits.

Nothing here reads the database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from checker.models import Kind


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
    after: datetime | None = None
    """When the run before that one arrived, which did not see it yet; None for a first run."""


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


class Taint(NamedTuple):
    """How a content came by damage."""

    before: str
    """What was there before."""
    kind: str


def _steps(one: Holding) -> Iterator[tuple[Past, Past]]:
    """What a replica held, and what came in its place."""
    return pairwise(one.pasts)


def tainted(holdings: Sequence[Holding]) -> dict[str, Taint]:
    """The contents that came by damage somewhere."""
    present = {one.content for one in holdings}
    found: dict[str, Taint] = {}
    for one in holdings:
        for before, past in _steps(one):
            damage = past.kind == Kind.CORRUPTED or (past.kind == Kind.REWRITTEN and before.content in present)
            proven = past.content in found and found[past.content].kind == Kind.CORRUPTED
            if damage and not proven and not _is_from_elsewhere(past, one, holdings):
                found[past.content] = Taint(before.content, str(past.kind))
    return found


def doubtful(holdings: Sequence[Holding], bad: Collection[str]) -> set[str]:
    """Contents that may have come by damage, or were made of such ones."""
    found = {
        past.content
        for one in holdings
        for _before, past in _steps(one)
        if past.kind in (Kind.CORRUPTED, Kind.REWRITTEN) and not _is_from_elsewhere(past, one, holdings)
    }
    while True:
        made = {
            past.content
            for one in holdings
            for before, past in _steps(one)
            if before.content in found.union(bad) and past.kind in (Kind.MODIFIED, Kind.RETYPED)
            and _was_made_here(past, holdings)
        }  # fmt: skip
        if made <= found:
            return found
        found |= made


def _was_made_here(past: Past, holdings: Sequence[Holding]) -> bool:
    """Whether no replica held this content any earlier."""
    return all(other.began >= past.began for one in holdings for other in one.pasts if other.content == past.content)


def _beginnings(content: str, where: Holding, holdings: Sequence[Holding]) -> list[Past]:
    """How other replicas began, of those that held this content first of all."""
    first = [one.pasts[0] for one in holdings if one is not where and one.pasts]
    return [past for past in first if past.content == content]


def _is_from_elsewhere(past: Past, where: Holding, holdings: Sequence[Holding]) -> bool:
    """Whether another replica held this content before: damage does not make what is elsewhere.

    That is so when it held it while this one still held something else, by the runs of both; or first of all, and
    earlier. Of what was written with its time kept no order is asked for where the other one held it in its first run:
    it may be what mended this copy, from a replica that was added later.
    """
    others = [other for one in holdings if one is not where for other in one.pasts if other.content == past.content]
    if past.after is not None and any(other.began <= past.after for other in others):
        return True
    found = _beginnings(past.content, where, holdings)
    return any(first.began < past.began or (past.kind == Kind.REWRITTEN and first.kind is None) for first in found)


class Edit(NamedTuple):
    """An honest edit, or a copy of one, put a newer content in the place of an older one."""

    old: str
    new: str
    last: str
    """What the replica that says so holds, or held last."""


def edits(holdings: Sequence[Holding]) -> Iterator[Edit]:
    """All edits.

    What was written again with a later time is older and newer than what it replaced: of the two nothing can be told.
    """
    for one in holdings:
        last = one.pasts[-1].content if one.pasts else ""
        for at, old in enumerate(one.pasts):
            for step, new in enumerate(one.pasts[at + 1 :], at + 1):
                before = one.pasts[step - 1]
                if not _is_later(before, new) or _is_old(new, before, one, holdings):
                    break
                if old.content != new.content:
                    yield Edit(old.content, new.content, last)
        for before, new in _steps(one):
            if new.kind == Kind.REVERTED and (new.mtime_ns or 0) > (before.mtime_ns or 0):
                yield from (Edit(before.content, new.content, last), Edit(new.content, before.content, last))


def _is_later(old: Past, new: Past) -> bool:
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
