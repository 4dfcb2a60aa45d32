"""Judge the copies of one path: what history, votes and confirmed reads say of different contents.

Nothing here reads the database. The rules, in this order. History outweighs votes, since a sync tool spreads damage.

1. A content is *damaged* when it appeared on some replica through damage: the bytes changed below the file system
   (confirmed), or the bytes that differ can come from nothing else. It is damaged wherever it is now, unless another
   replica certainly had it while this one still had something else. It is damaged, too, when the replicas were first
   seen with it in the minority and with the same time as the majority, and when an earlier comparison found that it is
   damaged: then whatever happened to the other copies since is no excuse.
2. A content is *doubtful* when it was written with its time kept, or when it was made from a damaged or doubtful
   content. It is never called good, newer or damaged: somebody may have written it, and kept its time, on purpose.
3. The content that a replica had before damage, and that another one still has, is *good*.
4. The content with which an honest edit (later time, no way back) replaced another one is *newer*, and the other one is
   *older*, also when the edited copy was damaged since. It is no edit when the copy has lost its time and another
   replica was first seen with the content, with an earlier time.
5. The content with more than half of all votes, two at least, is *good* when history says nothing of how the contents
   came about, and every replica was read since the last of them appeared. A copy with the very same modification time
   and other content is then *damaged*.
6. What a person declared good is good, or older where an edit replaced it. A declaration is about one content: no other
   one becomes good or damaged by it.
7. Nothing can be told of all others.

The order in which runs arrive changes nothing: what began when is known as an interval, see `history`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from checker.divergences import history as histories_of_path
from checker.divergences.history import (
    FIRST_SIGHTS,
    REMEMBERED,
    Damage,
    Edits,
    HeldContent,
    PathHistories,
    ReplicaHistory,
    find_damage,
    find_doubtful,
    find_mended,
    find_outvoted,
)
from checker.divergences.stamps import is_same_time
from checker.models import Change, Divergence

CopyVerdict = Divergence.CopyVerdict
PathVerdict = Divergence.PathVerdict


TIME_KEPT = frozenset({Change.Kind.REWRITTEN, Change.Kind.CORRUPTED})
"""Kinds of change that leave the modification time as it was."""


class VerdictReason(StrEnum):
    """The reason for a verdict. Its values are stored with findings; `kinds` has their words."""

    DAMAGED_HERE = "damaged_here"
    BROKEN_HERE = "broken_here"
    REMEMBERED = "remembered"
    REWRITTEN_HERE = "rewritten_here"
    NOT_REWRITTEN = "not_rewritten"
    SPREAD = "spread"
    HELD_BEFORE = "held_before"
    EDITED_HERE = "edited_here"
    CAME_LATER = "came_later"
    PUT_BACK = "put_back"
    SUPERSEDED = "superseded"
    OUTVOTED = "outvoted"
    DECLARED_GOOD = "declared_good"
    OTHER_DECLARED_GOOD = "other_declared_good"
    MAJORITY = "majority"
    NO_MAJORITY = "no_majority"
    ON_HOLD = "on_hold"
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
    undamaged: tuple[str | None, ...]
    """For each copy that is damaged: the content that the damage replaced, or that outvoted it, where that is known."""
    is_suspicious: bool
    """Whether some copy came, or may have come, by damage."""

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


def judge_copies(
    histories: Sequence[ReplicaHistory],
    remembered: Mapping[str, str | None] | None = None,
    cleared: Collection[str] = (),
) -> Judgement:
    """Return the verdict on each copy of one path.

    `remembered` are contents that earlier comparisons found damaged, each with the content that the damage replaced, or
    that outvoted it; `cleared` are the ones among them that a person declared good.
    """
    votes, total_votes = count_votes(histories)
    paths = PathHistories(histories)
    judge = _PathJudge(paths, remembered or {})
    if cleared:
        judge = _PathJudge(paths, remembered or {}, Declaration(cleared, judge.proven_contents))
    copies = tuple(judge.judge(history) for history in histories)
    undamaged = tuple(judge.content_before_damage(history.current_content) for history in histories)
    return Judgement(copies, votes, total_votes, undamaged, judge.is_suspicious)


class Declaration(NamedTuple):
    """Contents of a path that a person declared good, and those that were proven without that."""

    cleared: Collection[str]
    """Contents that a person declared good."""
    proven: Collection[str]
    """Contents that are good, or newer, without the declaration."""

    def allows(self, content: str | None) -> bool:
        """Return whether a content may be called good or newer."""
        return content in self.cleared or content in self.proven


def count_votes(histories: Sequence[ReplicaHistory], dependent: Collection[int] = ()) -> tuple[dict[str, int], int]:
    """Return how many votes each content has, and how many voters there are.

    A voter whose own copies differ votes for none of them, but counts. One at a `dependent` position does not, since
    its copy may be that of another replica.
    """
    contents_by_voter: dict[str, set[str]] = {}
    for position, history in enumerate(histories):
        if history.voter is not None and history.current_content is not None and position not in dependent:
            contents_by_voter.setdefault(history.voter, set()).add(history.current_content)

    votes: Counter[str] = Counter()
    for contents in contents_by_voter.values():
        if len(contents) == 1:
            votes.update(contents)
    return dict(votes), len(contents_by_voter)


class _PathJudge:
    """The histories of one path, and what they say of each content that some replica has now."""

    def __init__(
        self, paths: PathHistories, remembered: Mapping[str, str | None], declaration: Declaration | None = None
    ) -> None:
        self._paths = paths
        cleared = frozenset(declaration.cleared if declaration else ())
        self._cleared = cleared & paths.current_contents
        self._histories = paths.histories
        dependent = {position for position in range(len(paths.histories)) if paths.may_be_filled(position)}
        self._votes, self._total_votes = count_votes(paths.histories, dependent)

        self._damages = self._find_damages(remembered, cleared)
        self._doubtful = find_doubtful(paths, self._damages).difference(cleared)
        self._edits = Edits(paths)

        # What only a replica on hold has defines nothing for others.
        self._binding = [history for history in paths.histories if not history.on_hold]
        binding_contents = {history.current_content for history in self._binding} - {None}
        self._undamaged = {content for content in binding_contents if content is not None} - self._damages.keys()
        self._certain = self._undamaged - self._doubtful
        self._before_damage = {
            damage.previous_content for damage in self._damages.values() if damage.previous_content is not None
        }
        self._before_writing = self._find_before_writing()
        self._superseded = {content for content in self._undamaged if self._is_superseded(content)}

        self._majority = self._find_majority()
        self._newest = self._find_newest()
        # Where one content is newest, votes have no say.
        self._good = None
        if self._newest is None:
            self._good = self._find_good()
        if declaration is not None:
            self._keep_to(declaration)

    def _keep_to(self, declaration: Declaration) -> None:
        """Take back what a declaration would prove of other contents than its own."""
        if self._newest is not None and not declaration.allows(self._newest):
            self._newest = None
        if self._good is not None and not declaration.allows(self._good):
            self._good = None
        # Votes for what is declared good make no other content damaged.
        if self._majority is not None and self._majority not in declaration.proven:
            self._majority = None

    @property
    def proven_contents(self) -> set[str]:
        """The contents that some copy has and that are good, or newer."""
        good = (CopyVerdict.GOOD, CopyVerdict.NEWER)
        return {
            history.current_content
            for history in self._histories
            if history.current_content is not None and self.judge(history).verdict in good
        }

    @property
    def is_suspicious(self) -> bool:
        """Return whether some content of now came, or may have come, by damage."""
        return not self._damages.keys().isdisjoint(self._paths.current_contents) or not self._doubtful.isdisjoint(
            self._paths.current_contents
        )

    def judge(self, history: ReplicaHistory) -> JudgedCopy:
        """Return the verdict on the copy of one replica."""
        content = history.current_content
        if content is None:
            return JudgedCopy(CopyVerdict.NOTHING, None)

        # The order of the rules is that of the module's docstring.
        if content in self._damages:
            return JudgedCopy(CopyVerdict.DAMAGED, self._damage_reason(history, self._damages[content]))
        if content not in self._undamaged:
            return JudgedCopy(CopyVerdict.UNSURE, VerdictReason.ON_HOLD)
        if self._newest is not None:
            return _judge_by_age(history, self._newest)

        if content in self._cleared:
            return JudgedCopy(CopyVerdict.GOOD, VerdictReason.DECLARED_GOOD)
        if not self._cleared.isdisjoint(self._undamaged):
            return self._judge_beside_declared(content)
        if content == self._good:
            return JudgedCopy(CopyVerdict.GOOD, self._good_reason(content))
        if self._is_outvoted(history):
            return JudgedCopy(CopyVerdict.DAMAGED, VerdictReason.OUTVOTED)
        if content in self._superseded and content not in self._doubtful:
            return JudgedCopy(CopyVerdict.OLDER, VerdictReason.SUPERSEDED)
        return JudgedCopy(CopyVerdict.UNSURE, self._unsure_reason(history, content))

    def _judge_beside_declared(self, content: str) -> JudgedCopy:
        """Return the verdict on a copy while another one has a content that a person declared good."""
        if content in self._superseded and content not in self._doubtful:
            return JudgedCopy(CopyVerdict.OLDER, VerdictReason.SUPERSEDED)
        return JudgedCopy(CopyVerdict.UNSURE, VerdictReason.OTHER_DECLARED_GOOD)

    def content_before_damage(self, content: str | None) -> str | None:
        """Return the content that damage replaced with a content, or that outvoted it."""
        if content in self._damages:
            return self._damages[content].previous_content
        return self._majority

    def _find_damages(self, remembered: Mapping[str, str | None], cleared: Collection[str]) -> dict[str, Damage]:
        damages = find_damage(self._paths)
        suspects = find_doubtful(self._paths, damages).union(damages, remembered, cleared)
        outvoted = find_outvoted(self._paths, suspects)
        for content, previous_content in remembered.items():
            outvoted.setdefault(content, Damage(previous_content, REMEMBERED))

        # History outweighs votes, of now or of then. A person outweighs all.
        mended = find_mended(self._paths)
        for content, damage in outvoted.items():
            if content not in mended:
                damages.setdefault(content, damage)
        return {content: damage for content, damage in damages.items() if content not in cleared}

    def _find_before_writing(self) -> set[str]:
        """Return the contents that somebody, or damage, replaced and kept the time."""
        return {
            previous.content
            for _position, previous, held in self._paths.replacements()
            if held.kind in TIME_KEPT
            and held.content in self._doubtful
            and held.content not in self._damages
            and held.content in self._paths.current_contents
        }

    def _is_superseded(self, content: str) -> bool:
        """Return whether an edit replaced a content for good."""
        for successor in self._edits.successors(content):
            is_suspect = successor in self._doubtful or successor in self._damages
            if not is_suspect and not self._edits.is_edit(successor, content):
                return True
        return False

    def _find_newest(self) -> str | None:
        """Return the content that came after all other ones, when history says so of each and nothing against it."""
        for content in self._certain:
            if self._is_contested(content):
                continue
            others = self._undamaged - {content}
            if not others:
                return content if self._is_edit_beside_damage(content) else None
            if all(self._edits.is_edit(old, content) and not self._edits.is_edit(content, old) for old in others):
                return content
        return None

    def _is_edit_beside_damage(self, content: str) -> bool:
        """Return whether all other copies are damaged, and honest edits made this one of what nobody has any more."""
        sources = self._edits.sources(content)
        others = self._paths.current_contents - {content}
        if not sources or not others or not others <= self._damages.keys() or content in self._before_damage:
            return False
        return not any(source in self._damages or source in self._doubtful for source in sources)

    def _is_contested(self, content: str) -> bool:
        """Return whether a replica was first seen with a content of which nobody knows how this one relates to it."""
        return any(
            original not in self._damages and not self._edits.are_related(original, content)
            for original in self._paths.original_contents()
        )

    def _find_good(self) -> str | None:
        """Return the content that is known to be undamaged, where none is newest."""
        candidates = self._certain - self._superseded

        before_damage = {content for content in self._before_damage & candidates if not self._is_contested(content)}
        if len(before_damage) == 1 and (len(self._certain) == 1 or not self._is_history_mixed()):
            return before_damage.pop()

        return self._majority

    def _find_majority(self) -> str | None:
        """Return the content that most replicas have, when nothing but votes can tell."""
        for content in self._certain - self._superseded:
            votes = self._votes.get(content, 0)
            has_majority = votes >= 2 and 2 * votes > self._total_votes
            if has_majority and not self._is_history_mixed() and self._is_at_rest():
                return content
        return None

    def _is_history_mixed(self) -> bool:
        """Return whether a replica had several of the undamaged contents in turn: then history speaks, unclearly."""
        return any(len({held.content for held in history.contents} & self._undamaged) > 1 for history in self._binding)

    def _is_at_rest(self) -> bool:
        """Return whether every replica was read since the last content appeared on any other one.

        Before that, a replica may have got what others have, or given it to them, without a run that saw it. What all
        replicas were first seen with needs no such run.
        """
        present = [history for history in self._histories if history.current_content is not None]
        are_first = all(len(history.contents) == 1 and history.contents[0].kind in FIRST_SIGHTS for history in present)
        joined_later = any(
            self._paths.joined_later(position)
            for position, history in enumerate(self._histories)
            if history.current_content is not None
        )
        if are_first and not joined_later:
            return True
        return all(
            history is other or history.read_since is None or other.contents[-1].received_at < history.read_since
            for history in present
            for other in present
        )

    def _damage_reason(self, history: ReplicaHistory, damage: Damage) -> VerdictReason:
        last = history.contents[-1]
        if last.kind == Change.Kind.CORRUPTED:
            return VerdictReason.DAMAGED_HERE
        if last.is_broken:
            return VerdictReason.BROKEN_HERE
        # Of a replica that was first seen with the damage, no other copy explains it.
        if len(history.contents) == 1 and damage.kind in (histories_of_path.OUTVOTED, REMEMBERED):
            return VerdictReason.OUTVOTED if self._is_outvoted(history) else VerdictReason.REMEMBERED
        return VerdictReason.SPREAD

    def _good_reason(self, content: str) -> VerdictReason:
        for damage in self._damages.values():
            if damage.previous_content == content and damage.kind not in (histories_of_path.OUTVOTED, REMEMBERED):
                return VerdictReason.HELD_BEFORE
        return VerdictReason.MAJORITY

    def _is_outvoted(self, history: ReplicaHistory) -> bool:
        """Return whether a copy has the very modification time that the content of the majority has elsewhere."""
        if self._majority is None or history.current_content in self._doubtful:
            return False
        if self._good_reason(self._majority) != VerdictReason.MAJORITY:
            return False
        mtime_ns = history.contents[-1].mtime_ns
        return any(
            is_same_time(mtime_ns, other.contents[-1].mtime_ns)
            for other in self._histories
            if other.current_content == self._majority
        )

    def _unsure_reason(self, history: ReplicaHistory, content: str) -> VerdictReason:
        if content in self._doubtful:
            if history.contents[-1].kind in TIME_KEPT:
                return VerdictReason.REWRITTEN_HERE
            return VerdictReason.DOUBTFUL
        if content in self._before_writing:
            return VerdictReason.NOT_REWRITTEN
        if self._good is not None:
            return VerdictReason.OTHER_TIME
        if len({held.content for held in history.contents}) > 1:
            return VerdictReason.UNCLEAR
        return VerdictReason.NO_MAJORITY


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
