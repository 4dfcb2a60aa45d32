"""Verdicts over random histories in which it is known which copy is undamaged.

`--walks 10000` judges so many; `-s` prints what was said against what is true.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import pytest

from checker.divergences.verdicts import JudgedCopy, Judgement, judge_copies
from checker.models import Divergence
from tests.checker.divergences.walks import Oracle, Walk

CopyVerdict = Divergence.CopyVerdict
GOOD_COPIES = (CopyVerdict.GOOD, CopyVerdict.NEWER)
TOLERANCE = 0.02
"""How many more of the copies may be left open than one could tell who knows the acts."""


class Tally:
    """Numbers of verdicts on copies, against what is true of them."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.unsure_to_oracle = 0
        self.wrong: list[str] = []
        self.wrong_yet = 0
        self.missed: Counter[str] = Counter()

    def add(self, seed: str, oracle: Oracle, judgement: Judgement, moment: datetime) -> None:
        """Count the copies of one comparison."""
        for position, (content, copy) in enumerate(zip(oracle.contents, judgement.copies, strict=True)):
            if content is None:
                assert copy.verdict == CopyVerdict.NOTHING
                continue
            truth = "damaged" if content.is_damaged else "undamaged"
            self.counts[truth, str(copy.verdict.label)] += 1
            if not oracle.can_tell(position):
                self.unsure_to_oracle += 1
            elif copy.verdict == CopyVerdict.UNSURE:
                self.missed[f"{truth}: {copy.reason} in {seed} at {moment}"] += 1
            if not _is_wrong(copy, is_damaged=content.is_damaged):
                continue
            if not oracle.is_shown(content):
                self.wrong_yet += 1
            else:
                self.wrong.append(f"{seed} at {moment}: {content.name} is {truth}, not {copy.verdict.label}")

    @property
    def total(self) -> int:
        """The number of copies."""
        return sum(self.counts.values())

    @property
    def unsure(self) -> int:
        """The number of copies that were left open."""
        return sum(number for (_truth, verdict), number in self.counts.items() if verdict == CopyVerdict.UNSURE.label)

    def __str__(self) -> str:
        lines = [f"{truth:>10} → {verdict}: {number}" for (truth, verdict), number in sorted(self.counts.items())]
        shares = f"{self.unsure / self.total:.1%} left open, {self.unsure_to_oracle / self.total:.1%} by the oracle"
        wrong = f"{len(self.wrong)} wrong, {self.wrong_yet} wrong until the report arrives that tells it"
        return "\n".join(["", *lines, f"{self.total} copies: {wrong}; {shares}"])


def _is_wrong(copy: JudgedCopy, *, is_damaged: bool) -> bool:
    if is_damaged:
        return copy.verdict in (CopyVerdict.GOOD, CopyVerdict.NEWER)
    return copy.verdict == CopyVerdict.DAMAGED


def judge_walk(seed: str, tally: Tally) -> None:
    """Judge the copies of a walk after each report that arrives, in the order of arrival, as the server does."""
    walk = Walk(seed)
    for _ in range(walk.steps):
        walk.step()

    remembered: dict[str, str | None] = {}
    for moment in sorted({sight.arrived for disk in walk.disks for sight in disk.sights}):
        oracle = Oracle(walk, moment)
        histories = walk.histories(moment)
        if not oracle.has_mismatch:
            continue
        judgement = judge_copies(histories, remembered)
        tally.add(seed, oracle, judgement, moment)
        for history, copy, undamaged in zip(histories, judgement.copies, judgement.undamaged, strict=True):
            if copy.verdict == CopyVerdict.DAMAGED and history.current_content is not None:
                remembered.setdefault(history.current_content, undamaged)


def test_what_is_damaged_is_never_called_good(pytestconfig: pytest.Config) -> None:
    """Nor newer; what is undamaged is never called damaged; and little is left open that could be told."""
    tally = Tally()
    for number in range(pytestconfig.getoption("--walks")):
        judge_walk(f"walk {number}", tally)
    print(tally)

    assert not tally.wrong, tally.wrong[:5]
    assert tally.unsure <= tally.unsure_to_oracle + TOLERANCE * tally.total
    verdicts = {verdict for _truth, verdict in tally.counts}
    assert verdicts == {verdict.label for verdict in CopyVerdict} - {CopyVerdict.NOTHING.label}


def test_a_declaration_speaks_of_its_own_content_alone(pytestconfig: pytest.Config) -> None:
    """Declared good, a content is not damaged; no other content becomes good, newer or damaged by that."""
    declared = 0
    for number in range(pytestconfig.getoption("--walks")):
        declared += judge_declared(f"walk {number}")
    assert declared, "no walk has a damaged copy"


def judge_declared(seed: str) -> int:
    """Declare each damaged content of a walk good, each by itself and then all of them. Return how many there were."""
    walk = Walk(seed)
    for _ in range(walk.steps):
        walk.step()
    moment = max(sight.arrived for disk in walk.disks for sight in disk.sights)
    histories = walk.histories(moment)
    before = judge_copies(histories)
    contents = [history.current_content for history in histories]
    remembered = {
        content: undamaged
        for content, copy, undamaged in zip(contents, before.copies, before.undamaged, strict=True)
        if copy.verdict == CopyVerdict.DAMAGED and content is not None
    }
    if not remembered:
        return 0

    before = judge_copies(histories, remembered)
    for cleared in [*({content} for content in remembered), set(remembered)]:
        after = judge_copies(histories, remembered, cleared)
        for content, old, new in zip(contents, before.copies, after.copies, strict=True):
            if content in cleared:
                assert new.verdict != CopyVerdict.DAMAGED, f"{seed}: {content}"
                continue
            assert new.verdict not in GOOD_COPIES or old.verdict in GOOD_COPIES, f"{seed}: {content} beside {cleared}"
            assert new.verdict != CopyVerdict.DAMAGED or old.verdict == CopyVerdict.DAMAGED, f"{seed}: {content}"
    return len(remembered)
