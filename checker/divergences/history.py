"""Read from the histories of one path which contents appeared through damage, and which through edits.

Nothing here reads the database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from checker.models import Change


class HeldContent(NamedTuple):
    """A content that a replica had at the path for some runs in a row."""

    content: str
    """Equal for equal contents."""
    received_at: datetime
    """When the run that brought it arrived."""
    sequence: int
    mtime_ns: int | None
    kind: str | None
    """The kind of change that brought it. None for a first run, and where the change is not known. With None, ADDED or
    MOVED it did not replace the content before it."""
    previous_received_at: datetime | None = None
    """When the run before that one arrived, which did not have it yet. None for a first run."""


class ReplicaHistory(NamedTuple):
    """The contents that a replica has and had at the path."""

    contents: tuple[HeldContent, ...]
    """Oldest first."""
    present: bool
    """Whether the replica still has the last of them."""
    voter: str | None
    """The vote that this replica shares with others on its file system. None when it has no vote."""

    @property
    def current_content(self) -> str | None:
        """The content that the replica has now, or None."""
        if self.present and self.contents:
            return self.contents[-1].content
        return None


class Damage(NamedTuple):
    """The damage through which a content appeared."""

    previous_content: str
    kind: str


def _replacements(history: ReplicaHistory) -> Iterator[tuple[HeldContent, HeldContent]]:
    """Yield each content with the one that replaced it."""
    return pairwise(history.contents)


def find_damage(histories: Sequence[ReplicaHistory]) -> dict[str, Damage]:
    """Return the contents that appeared on some replica through damage.

    Confirmed damage outweighs a write that kept the time, whichever replica shows it.
    """
    # A write that kept the time is damage only where somebody still has the content from before.
    current_contents = {history.current_content for history in histories}
    damages: dict[str, Damage] = {}

    for history in histories:
        for previous, held in _replacements(history):
            is_damage = held.kind == Change.Kind.CORRUPTED
            if held.kind == Change.Kind.REWRITTEN and previous.content in current_contents:
                is_damage = True
            if not is_damage or _is_from_elsewhere(held, history, histories):
                continue

            # Confirmed damage, once known, is not replaced by a mere write.
            known = damages.get(held.content)
            if known is None or known.kind != Change.Kind.CORRUPTED:
                damages[held.content] = Damage(previous.content, str(held.kind))
    return damages


def find_doubtful(histories: Sequence[ReplicaHistory], damaged: Collection[str]) -> set[str]:
    """Return the contents that may have appeared through damage, or were made from such a content."""
    doubtful = set()
    for history in histories:
        for _previous, held in _replacements(history):
            if held.kind in (Change.Kind.CORRUPTED, Change.Kind.REWRITTEN) and not _is_from_elsewhere(
                held, history, histories
            ):
                doubtful.add(held.content)

    # What was made from a doubtful content is doubtful, too, and so on: each round finds the next step.
    while True:
        derived = _find_derived(histories, doubtful.union(damaged))
        if derived <= doubtful:
            return doubtful
        doubtful |= derived


def _find_derived(histories: Sequence[ReplicaHistory], suspects: Collection[str]) -> set[str]:
    """Return the contents that an edit first made from one of `suspects`."""
    derived = set()
    for history in histories:
        for previous, held in _replacements(history):
            is_edit = held.kind in (Change.Kind.MODIFIED, Change.Kind.RETYPED)
            if previous.content in suspects and is_edit and _is_first(held, histories):
                derived.add(held.content)
    return derived


def _is_first(held: HeldContent, histories: Sequence[ReplicaHistory]) -> bool:
    """Return whether no replica had this content any earlier."""
    for history in histories:
        for other in history.contents:
            if other.content == held.content and other.received_at < held.received_at:
                return False
    return True


def _first_contents(
    content: str, history: ReplicaHistory, histories: Sequence[ReplicaHistory]
) -> Iterator[HeldContent]:
    """Yield the first content of each other replica whose first content is `content`."""
    for other in histories:
        if other is not history and other.contents and other.contents[0].content == content:
            yield other.contents[0]


def _is_from_elsewhere(held: HeldContent, history: ReplicaHistory, histories: Sequence[ReplicaHistory]) -> bool:
    """Return whether another replica had this content before: damage does not make what exists elsewhere.

    That is so when the other one had it while this one still had something else, by the runs of both; or when the other
    one had it first of all, and earlier. A write that kept the time needs no order where the other one had it in its
    first run: the write may have mended this copy from a replica that was added later.
    """
    if held.previous_received_at is not None:
        for other_history in histories:
            if other_history is history:
                continue
            for other in other_history.contents:
                if other.content == held.content and other.received_at <= held.previous_received_at:
                    return True

    for first in _first_contents(held.content, history, histories):
        if first.received_at < held.received_at:
            return True
        if held.kind == Change.Kind.REWRITTEN and first.kind is None:
            return True
    return False


class Edit(NamedTuple):
    """An honest edit, or a copy of one, that replaced older content with newer."""

    old_content: str
    new_content: str
    last_content: str
    """The last content of the replica whose history shows the edit."""


def find_edits(histories: Sequence[ReplicaHistory]) -> Iterator[Edit]:
    """Yield all edits.

    Content that was written again with a later time is both older and newer than the content that it replaced: nothing
    can be told of the two, so both directions are yielded.
    """
    for history in histories:
        if not history.contents:
            continue
        last_content = history.contents[-1].content

        for position, old in enumerate(history.contents):
            yield from _edits_since(old, position, history, histories)

        for previous, held in _replacements(history):
            if held.kind == Change.Kind.REVERTED and (held.mtime_ns or 0) > (previous.mtime_ns or 0):
                yield Edit(previous.content, held.content, last_content)
                yield Edit(held.content, previous.content, last_content)


def _edits_since(
    old: HeldContent, position: int, history: ReplicaHistory, histories: Sequence[ReplicaHistory]
) -> Iterator[Edit]:
    """Yield `old` with each content that followed it through edits alone."""
    last_content = history.contents[-1].content
    for previous, new in pairwise(history.contents[position:]):
        if not _is_later_edit(previous, new) or _is_copy_of_older(new, previous, history, histories):
            return
        if old.content != new.content:
            yield Edit(old.content, new.content, last_content)


def _is_later_edit(old: HeldContent, new: HeldContent) -> bool:
    """Return whether an edit brought `new`, and its modification time is not against it."""
    if new.kind not in (Change.Kind.MODIFIED, Change.Kind.RETYPED):
        return False
    return old.mtime_ns is None or new.mtime_ns is None or new.mtime_ns > old.mtime_ns


def _is_copy_of_older(
    new: HeldContent, old: HeldContent, history: ReplicaHistory, histories: Sequence[ReplicaHistory]
) -> bool:
    """Return whether what looks like an edit is a copy of old content, made without its time.

    That is so when another replica had the new content first of all, earlier, and with no later time than that of the
    content that it replaced here.
    """
    for first in _first_contents(new.content, history, histories):
        times_allow_it = first.mtime_ns is None or old.mtime_ns is None or first.mtime_ns <= old.mtime_ns
        if first.received_at < new.received_at and times_allow_it:
            return True
    return False
