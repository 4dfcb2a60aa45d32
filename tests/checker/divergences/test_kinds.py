"""Each kind of divergence and each verdict has its words, can arise, and is documented."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import translation

from checker.divergences.kinds import (
    DIVERGENCE_KINDS,
    EXPLANATIONS,
    REASONS,
    VERDICT_KINDS,
    DivergenceKind,
    VerdictKind,
)
from checker.divergences.verdicts import VerdictReason, judge_copies
from checker.findings.text.replicas import describe_reason
from checker.models import Divergence
from tests.checker.divergences.test_verdicts import T1, T2, P, X, held, judge, replica
from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import LATER_MTIME, file
from tests.scanner.factories import error_row

DOCS = Path(__file__).parents[3] / "docs"
CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)

each_kind = pytest.mark.parametrize("kind", [*DIVERGENCE_KINDS, *VERDICT_KINDS], ids=lambda kind: kind.anchor)


def test_none_is_left_out() -> None:
    """Every stored value has its object, and so has every verdict by which one can filter."""
    assert [kind.value for kind in DIVERGENCE_KINDS] == list(Divergence.Kind)
    assert {kind.value for kind in VERDICT_KINDS} == set(Divergence.CopyVerdict) - {Divergence.CopyVerdict.NOTHING}
    assert set(REASONS) == set(VerdictReason)
    assert set(EXPLANATIONS) == {*Divergence.Kind.values, *Divergence.PathVerdict.values}


@each_kind
def test_words(kind: DivergenceKind | VerdictKind) -> None:
    """Label, explanation and next steps exist in both languages."""
    with translation.override("en"):
        english = [kind.label, str(kind.explanation), *map(str, kind.steps)]
    with translation.override("ru"):
        russian = [kind.label, str(kind.explanation), *map(str, kind.steps)]
    assert len(english) > 2
    assert all(english)
    assert not any(CYRILLIC.search(text) for text in english)
    assert all(CYRILLIC.search(text) for text in russian)


@each_kind
@pytest.mark.parametrize("language", ["en", "ru"])
def test_documentation(kind: DivergenceKind | VerdictKind, language: str) -> None:
    """The page of everyday work has a section under the anchor, with the label in its heading."""
    text = (DOCS / language / "everyday.md").read_text(encoding="utf-8")
    section = re.search(rf'<a id="{kind.anchor}"></a>\n\n### (.+)\n\n(.+)', text)
    assert section is not None
    with translation.override(language):
        assert section[1].endswith(f": {kind.label}")


@pytest.mark.parametrize("reason", list(VerdictReason))
def test_every_reason_has_words(reason: VerdictReason) -> None:
    """Each reason is a part of a sentence in the language of the page."""
    assert len(describe_reason(reason.value)) > 20
    assert describe_reason(None) == ""
    with translation.override("ru"):
        assert CYRILLIC.search(describe_reason(reason.value))


def test_every_verdict_arises_for_each_of_its_reasons() -> None:
    """The rules give each verdict with exactly the reasons that its object lists."""
    edited = replica(P, held("n", 5, T1, "modified"))
    put_back = replica(P, held("n", 5, T1, "modified"), held("p", 6, kind="reverted"))
    rotten = replica(P, held("x", 5, kind="corrupted"))
    written = replica(P, held("x", 5, kind="rewritten"))
    healed = replica(held("bad"), held("p", 5, kind="corrupted"))
    judgements = [
        judge(rotten, replica(P), replica(P, held("x", 6, T1, "modified"))),
        judge(written, replica(P)),
        judge(written, replica(held("q"))),
        judge(replica(P, held("n", 5, T1, "modified"), held("p", 7, T2, "reverted")), edited),
        judge(edited, replica(P, held("n", 6, T1, "modified")), replica(held("n", 7, T1, "added")), replica(P)),
        judge(put_back, edited),
        judge(replica(P), replica(P), replica(X)),
        judge(replica(P), replica(P), replica(held("x", 1, T1))),
        judge(replica(P), replica(X)),
        judge(healed, replica(P), replica(held("bad"))),
        judge(replica(P, held("x", 5, kind="rewritten", is_broken=True)), replica(P)),
        judge(replica(P, held("x", 5, kind="corrupted"), held("n", 6, T1, "modified")), replica(P)),
        judge(replica(P), replica(P), replica(P, held("n", 5, T1, "modified"))._replace(on_hold=True)),
        judge_copies([replica(P), replica(X)], remembered={"x": None}),
        judge_copies([replica(P), replica(X)], remembered={"x": None}, cleared={"x"}),
    ]
    arisen: dict[str, set[VerdictReason]] = {}
    for judgement in judgements:
        for copy in judgement.copies:
            if copy.reason is not None:
                arisen.setdefault(copy.verdict, set()).add(copy.reason)
    assert arisen == {kind.value: set(kind.reasons) for kind in VERDICT_KINDS}


def stage_mirror() -> StagedGroup:
    """Stage replicas that are to be alike, and are not."""
    group = StagedGroup(2)
    group.runs(
        [file("same"), file("lost", b"1"), file("other", b"2"), file("shut", b"3"), file("old/name", b"4")],
        [file("same"), file("other", b"x"), error_row("shut"), file("new/name", b"4")],
    )
    return group


def stage_primary() -> StagedGroup:
    """Stage a primary that changed one file and removed another, and a follower that has done neither yet."""
    group = StagedGroup(2, relation="primary", lag=timedelta(hours=6))
    primary = group.replicas[0].replica
    primary.leads = True
    primary.save()
    group.runs(*[[file("removed", b"1"), file("edited", b"2"), file("same")]] * 2)
    group.run(0, [file("edited", b"3", mtime_ns=LATER_MTIME), file("same")])
    return group


KINDS_OF_STAGE = {
    stage_mirror: {"mismatch", "lost", "unknown", "moved"},
    stage_primary: {"lagging", "lingering"},
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("stage", KINDS_OF_STAGE)
def test_every_kind_arises(stage: Callable[[], StagedGroup]) -> None:
    """Real runs give each kind of divergence."""
    divergences = stage().divergences()
    assert {kind for kind, _cells, _judged in divergences.values()} == KINDS_OF_STAGE[stage]
    assert set.union(*KINDS_OF_STAGE.values()) == set(Divergence.Kind.values)
