"""Judge the copies of one path: what history, votes and confirmed reads say of different contents.

Nothing here reads the database. The rules, in this order. History outweighs votes, since a sync tool spreads damage.

1. A content is *damaged* when it appeared on some replica through damage: the bytes changed below the file system
   (confirmed), or the file was written with its time kept while another replica still has the content from before. It
   is damaged wherever it is now, unless it was elsewhere before: another replica has had it since before the run that
   still found the previous content, or since its own first run (earlier than that; for a write with its time kept,
   whenever that first run was).
2. A content is *doubtful* when it was written with its time kept though nobody has the content from before any more, or
   when it was made from a damaged or doubtful content. It is never called good or newer.
3. The content that a replica had before such damage, and that another one still has, is *good*.
4. The content with which an honest edit (later time, no way back) replaced another one is *newer*, and the other one is
   *older*, also when the edited copy was damaged since. It is no edit when the copy has lost its time and another
   replica has had the content since its first run, with an earlier time.
5. The content with more than half of all votes, two at least, is *good* when history says nothing of how the contents
   came about. A copy with the very same modification time and other content is then *damaged*.
6. Nothing can be told of all others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from checker.divergences.history import Damage, HeldContent, ReplicaHistory, find_damage, find_doubtful, find_edits
from checker.models import Change, Divergence

CopyVerdict = Divergence.CopyVerdict
PathVerdict = Divergence.PathVerdict


class VerdictReason(StrEnum):
    """The reason for a verdict. Its values are stored with findings; `kinds` has their words."""

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


class JudgedCopy(NamedTuple):
    """The verdict on one copy, with its reason. A replica without a copy has neither."""

    verdict: Divergence.CopyVerdict
    reason: VerdictReason | None


class Judgement(NamedTuple):
    """The verdicts on all copies of a path, in the order of the histories."""

    copies: tuple[JudgedCopy, ...]
    votes: dict[str, int]
    """How many votes each content has."""
    total_votes: int

    @property
    def judged(self) -> str:
        """The verdicts in the form of `Divergence.judged`."""
        return "".join(copy.verdict.value for copy in self.copies)

    @property
    def path_verdict(self) -> Divergence.PathVerdict:
        """The verdict on the path as a whole."""
        verdicts = {copy.verdict for copy in self.copies}
        if CopyVerdict.DAMAGED in verdicts:
            return PathVerdict.DAMAGED
        if CopyVerdict.NEWER in verdicts:
            return PathVerdict.NEWER
        return PathVerdict.UNSURE


def judge_copies(histories: Sequence[ReplicaHistory]) -> Judgement:
    """Return the verdict on each copy of one path."""
    votes, total_votes = count_votes(histories)
    judge = _PathJudge(histories, votes, total_votes)
    copies = tuple(judge.judge(history) for history in histories)
    return Judgement(copies, votes, total_votes)


def count_votes(histories: Sequence[ReplicaHistory]) -> tuple[dict[str, int], int]:
    """Return how many votes each content has, and how many voters there are.

    A voter whose own copies differ votes for none of them, but counts.
    """
    contents_by_voter: dict[str, set[str]] = {}
    for history in histories:
        if history.voter is not None and history.current_content is not None:
            contents_by_voter.setdefault(history.voter, set()).add(history.current_content)

    votes: Counter[str] = Counter()
    for contents in contents_by_voter.values():
        if len(contents) == 1:
            votes.update(contents)
    return dict(votes), len(contents_by_voter)


class _PathJudge:
    """The histories of one path, and what they say of each content that some replica has now."""

    def __init__(self, histories: Sequence[ReplicaHistory], votes: dict[str, int], total_votes: int) -> None:
        self._histories = histories
        self._votes = votes
        self._total_votes = total_votes

        self._damages = find_damage(histories)
        self._doubtful = find_doubtful(histories, self._damages)
        self._edits = set(find_edits(histories))

        current_contents = {history.current_content for history in histories}
        self._undamaged = {content for content in current_contents if content is not None} - self._damages.keys()
        self._superseded = self._find_superseded()

        self._newest = self._find_newest()
        # Where one content is newest, votes have no say.
        self._good = None
        if self._newest is None:
            self._good = self._find_good()

    def judge(self, history: ReplicaHistory) -> JudgedCopy:
        """Return the verdict on the copy of one replica."""
        content = history.current_content
        if content is None:
            return JudgedCopy(CopyVerdict.NOTHING, None)

        # The order of the rules is that of the module's docstring.
        if content in self._damages:
            return JudgedCopy(CopyVerdict.DAMAGED, _damage_reason(history, self._damages[content]))
        if self._newest is not None:
            return _judge_by_age(history, self._newest)

        before_damage = self._before_damage()
        if content == self._good and content in before_damage:
            return JudgedCopy(CopyVerdict.GOOD, VerdictReason.HELD_BEFORE)
        if content == self._good:
            return JudgedCopy(CopyVerdict.GOOD, VerdictReason.MAJORITY)
        if self._good is not None and self._good not in before_damage and self._has_time_of(history, self._good):
            return JudgedCopy(CopyVerdict.DAMAGED, VerdictReason.OUTVOTED)
        if content in self._superseded and content not in self._doubtful:
            return JudgedCopy(CopyVerdict.OLDER, VerdictReason.SUPERSEDED)
        return JudgedCopy(CopyVerdict.UNSURE, self._unsure_reason(history, content))

    def _is_edit(self, old_content: str, new_content: str) -> bool:
        return any(edit.old_content == old_content and edit.new_content == new_content for edit in self._edits)

    def _before_damage(self) -> set[str]:
        """Return the contents that damage replaced somewhere."""
        return {damage.previous_content for damage in self._damages.values()}

    def _find_superseded(self) -> set[str]:
        """Return the contents that an edit replaced for good."""
        suspects = self._doubtful.union(self._damages)

        superseded = set()
        for edit in self._edits:
            if edit.new_content in suspects or edit.last_content == edit.old_content:
                continue

            # What goes both ways says nothing of either content.
            if not self._is_edit(edit.new_content, edit.old_content):
                superseded.add(edit.old_content)
        return superseded

    def _find_newest(self) -> str | None:
        """Return the content that came after all other ones, when history says so of each and nothing against it."""
        for content in self._undamaged - self._doubtful:
            others = self._undamaged - {content}
            if others and all(self._is_edit(old, content) and not self._is_edit(content, old) for old in others):
                return content
        return None

    def _find_good(self) -> str | None:
        """Return the content that is known to be undamaged, where none is newest."""
        candidates = self._undamaged - self._doubtful - self._superseded

        # What a replica had before damage outweighs any number of votes: a sync tool spreads damage.
        before_damage = self._before_damage() & candidates
        if len(before_damage) == 1 and (len(self._undamaged) == 1 or not self._is_history_mixed()):
            return before_damage.pop()

        for content in candidates:
            votes = self._votes.get(content, 0)
            has_majority = votes >= 2 and 2 * votes > self._total_votes
            if has_majority and not self._is_history_mixed():
                return content
        return None

    def _is_history_mixed(self) -> bool:
        """Return whether a replica had several of the undamaged contents in turn: then history speaks, unclearly."""
        for history in self._histories:
            if len({held.content for held in history.contents} & self._undamaged) > 1:
                return True
        return False

    def _has_time_of(self, history: ReplicaHistory, content: str) -> bool:
        """Return whether a copy has the very modification time that a content has elsewhere."""
        times = {other.contents[-1].mtime_ns for other in self._histories if other.current_content == content}
        mtime_ns = history.contents[-1].mtime_ns
        return mtime_ns is not None and mtime_ns in times

    def _unsure_reason(self, history: ReplicaHistory, content: str) -> VerdictReason:
        if content in self._doubtful:
            return VerdictReason.DOUBTFUL
        if self._good is not None:
            return VerdictReason.OTHER_TIME
        if len({held.content for held in history.contents}) > 1:
            return VerdictReason.UNCLEAR
        return VerdictReason.NO_MAJORITY


def _damage_reason(history: ReplicaHistory, damage: Damage) -> VerdictReason:
    last = history.contents[-1]

    if last.kind == Change.Kind.CORRUPTED:
        return VerdictReason.DAMAGED_HERE
    if last.kind == Change.Kind.REWRITTEN and damage.kind == Change.Kind.REWRITTEN:
        return VerdictReason.REWRITTEN_HERE
    return VerdictReason.SPREAD


def _judge_by_age(history: ReplicaHistory, newest: str) -> JudgedCopy:
    last = history.contents[-1]

    if last.content == newest:
        if last.kind in (Change.Kind.MODIFIED, Change.Kind.RETYPED):
            return JudgedCopy(CopyVerdict.NEWER, VerdictReason.EDITED_HERE)
        return JudgedCopy(CopyVerdict.NEWER, VerdictReason.CAME_LATER)

    if _was_put_back(last, history, newest):
        return JudgedCopy(CopyVerdict.OLDER, VerdictReason.PUT_BACK)
    return JudgedCopy(CopyVerdict.OLDER, VerdictReason.SUPERSEDED)


def _was_put_back(last: HeldContent, history: ReplicaHistory, newest: str) -> bool:
    """Return whether the replica had the newest content and went back from it."""
    return last.kind == Change.Kind.REVERTED and any(held.content == newest for held in history.contents)
