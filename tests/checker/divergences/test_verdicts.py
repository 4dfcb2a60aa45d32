"""Which copy is good: each rule by itself."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checker.divergences.history import Holding, Past
from checker.divergences.verdicts import Reason, count_votes, rule
from checker.models import Divergence

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
T0, T1, T2 = 1_000, 2_000, 3_000


def past(content: str, run: int = 1, mtime: int | None = T0, kind: str | None = None) -> Past:
    """A content since a run; the runs of all replicas are a day apart."""
    return Past(content, START + timedelta(days=run), run, mtime, kind)


def held(*pasts: Past, voter: str | None = None, present: bool = True) -> Holding:
    """What a replica held, with a vote of its own unless named."""
    return Holding(pasts, present, voter if voter != "" else None)


def said(*holdings: Holding) -> str:
    """What is said of each copy; each has a vote of its own that names none."""
    named = [one._replace(voter=one.voter or f"v{at}") if one.voter != "none" else one._replace(voter=None)
             for at, one in enumerate(holdings)]  # fmt: skip
    return rule(named).judged


P, X = past("p"), past("x")


def test_damage_beneath_the_file_system() -> None:
    """What came by damage is damaged, what was held before is good."""
    rotten = held(P, past("x", 5, T0, "corrupted"))
    assert said(rotten, held(P), held(P)) == "dgg"
    assert said(rotten, held(P)) == "dg"


def test_damage_that_was_spread() -> None:
    """History outweighs votes: two copies of the damage do not outvote the good one."""
    rotten = held(P, past("x", 5, T0, "corrupted"))
    for kind, mtime in (("rewritten", T0), ("modified", T1)):
        assert said(rotten, held(P, past("x", 6, mtime, kind)), held(P)) == "ddg"
    assert said(rotten, held(P, past("x", 4, T1, "modified")), held(P)) == "ddg", "also when it was seen there first"


def test_written_with_the_time_kept() -> None:
    """What changed without its time while another holds what it held before is damaged."""
    assert said(held(P, past("x", 5, T0, "rewritten")), held(P)) == "dg"
    assert said(held(P, past("x", 5, T0, "rewritten")), held(P, past("x", 6, T0, "rewritten")), held(P)) == "ddg"
    assert said(held(P, past("x", 5, T0, "rewritten")), held(past("q"))) == "uu", "nobody holds what it held before"


def test_healed_is_not_damaged() -> None:
    """A content that another replica held from its own beginning, and earlier, is not made by damage."""
    healed = held(past("bad"), past("p", 5, T0, "corrupted"))
    assert said(healed, held(P), held(past("bad"))) == "uuu", "it held both: history speaks, unclearly"
    assert said(healed, held(P), held(P)) == "ggg"


def test_an_edit_is_newer() -> None:
    """What an honest edit put in the place of another content is newer, whatever votes say."""
    edited = held(P, past("n", 5, T1, "modified"))
    assert said(edited, held(P), held(P)) == "noo"
    assert said(edited, held(P, past("n", 6, T1, "modified")), held(P)) == "nno"
    assert said(edited, held(P), held(P, past("x", 4, T0, "corrupted"))) == "nod"
    twice = held(P, past("n", 5, T1, "modified"), past("m", 6, T2, "modified"))
    assert said(twice, held(P, past("n", 6, T1, "modified")), held(P)) == "noo"
    assert rule([edited, held(P)]).reasons == (Reason.EDITED_HERE, Reason.SUPERSEDED)


def test_an_older_time_proves_no_edit() -> None:
    """What came with an earlier time may be a restore or a mistake: nothing can be told."""
    assert said(held(past("p", 1, T1), past("o", 5, T0, "modified")), held(past("p", 1, T1))) == "uu"
    assert (
        said(held(past("p", 1, T1), past("o", 5, T0, "modified")), held(past("p", 1, T1)), held(past("p", 1, T1)))
        == "uuu"
    )


def test_put_back() -> None:
    """An earlier content that was put back is older than the edit that another replica still holds."""
    back = held(P, past("n", 5, T1, "modified"), past("p", 6, T0, "reverted"))
    assert said(back, held(P, past("n", 6, T1, "modified"))) == "on"
    assert rule([back, held(P, past("n", 6, T1, "modified"))]).reasons[0] == Reason.PUT_BACK


def test_put_back_by_a_later_write() -> None:
    """An earlier content that was written again, with a later time, is the newest thing that somebody did: unclear."""
    back = held(P, past("n", 5, T1, "modified"), past("p", 7, T2, "reverted"))
    assert said(back, held(P, past("n", 6, T1, "modified"))) == "uu"
    assert said(back, held(P, past("n", 6, T1, "modified")), held(P)) == "uuu"


def test_a_copy_without_times_is_no_edit() -> None:
    """What another held from its beginning, with an earlier time, is not newer for having been copied with another."""
    lags = held(past("o", 1, T0))
    spread = held(past("n", 1, T1), past("o", 5, T2, "modified"))
    assert said(lags, spread, held(past("n", 1, T1))) == "uuu", "the newest content is not called older"
    early = held(past("n", 2, T1))
    assert said(early, held(P, past("n", 5, T1, "modified")), held(P)) == "nno", "its time says that it was an edit"


def test_mended_from_a_replica_that_is_added_later() -> None:
    """Damage from before the first run, mended with the time kept from where nobody looked yet, is not damage now."""
    mended = held(past("bad"), past("p", 5, T0, "rewritten"))
    assert said(mended, held(past("bad")), held(past("p", 7))) == "uuu"
    written = held(P, past("x", 5, T0, "rewritten"))
    assert said(written, held(P), held(past("x", 7, T0, "added"))) == "dgd", (
        "it came to a replica that was there before"
    )
    beneath = held(P, past("x", 5, T0, "corrupted"))
    assert said(beneath, held(P), held(past("x", 7))) == "dgd", "what is confirmed came by damage, whoever copied it"


def test_edits_in_both_directions() -> None:
    """Contradicting histories say nothing."""
    one = held(P, past("n", 5, T1, "modified"))
    other = held(past("n", 1, T0), past("p", 5, T1, "modified"))
    assert said(one, other) == "uu"


def test_doubtful() -> None:
    """What was written with its time kept, while nobody holds any more what was there before, outvotes nothing."""
    spread = [held(P, past("x", 5, T0, "rewritten")), held(P, past("x", 5, T0, "rewritten"))]
    assert said(*spread, held(P, past("n", 5, T1, "modified"))) == "uuu"
    assert said(*spread, held(P, past("y", 5, T0, "corrupted"))) == "uud"
    edited = held(P, past("n", 5, T1, "modified"), past("x", 6, T1, "rewritten"))
    assert said(edited, held(P, past("x", 7, T1, "modified")), held(P)) == "uuo"
    again = held(P, past("x", 5, T0, "rewritten"), past("m", 6, T2, "modified"))
    assert said(again, held(P, past("m", 7, T2, "modified")), held(P, past("q", 4, T0, "rewritten"))) == "uuu"
    assert rule([*spread, held(P, past("n", 5, T1, "modified"))]).reasons[0] == Reason.DOUBTFUL


def test_older_than_what_was_damaged() -> None:
    """The edit is lost by damage; those who never had it hold an older version, and no votes make it the good one."""
    edited = held(P, past("n", 5, T1, "modified"), past("x", 6, T1, "corrupted"))
    assert said(edited, held(P), held(P)) == "doo"


def test_what_was_elsewhere_before_did_not_come_by_damage() -> None:
    """A copy that was mended, its time kept, from a replica that held the content while this one still held another."""
    edit, behind = held(P, past("n", 3, T1, "modified")), held(past("q", 1, T1))
    healed = past("n", 6, T1, "rewritten")
    assert said(edit, held(past("q", 1, T1), healed._replace(after=START + timedelta(days=5))), behind) == "uuu"
    assert said(edit, held(past("q", 1, T1), healed._replace(after=START + timedelta(days=2))), behind) == "ddg"


def test_votes() -> None:
    """Without history more than half of all votes, two at least, decide; the same time makes the rest damaged."""
    assert said(held(P), held(P), held(X)) == "ggd"
    assert said(held(P), held(X)) == "uu", "one against one"
    assert said(held(P), held(P), held(X), held(X)) == "uuuu"
    assert said(held(P), held(P), held(past("x", 1, T1))) == "ggu", "another time may be another version"
    assert said(held(P), held(P), held(past("link:a", 1, None))) == "ggu"


def test_one_vote_for_a_server_and_file_system() -> None:
    """Who shares them has one vote together, and none when his copies differ; who has no vote decides nothing."""
    assert said(held(P, voter="s"), held(P, voter="s"), held(X)) == "uuu"
    assert said(held(P, voter="s"), held(X, voter="s"), held(P), held(P)) == "gdgg"
    assert said(held(P, voter="none"), held(P), held(X)) == "uuu"
    assert count_votes([held(P, voter="s"), held(X, voter="s")]) == ({}, 1)
    assert count_votes([held(P, voter="a", present=False)]) == ({}, 0)


def test_what_is_not_there_is_not_judged() -> None:
    """A path that a replica lacks has no copy there."""
    assert said(held(P, present=False), held(P), held(P), held(X)) == " ggd"
    assert said(Holding((), False, None), held(P, past("x", 5, T0, "corrupted")), held(P)) == " dg"


def test_the_path_as_a_whole() -> None:
    """Damage is the gravest verdict; a newer version only where nothing is damaged."""
    rotten, edited = held(P, past("x", 5, T0, "corrupted")), held(P, past("n", 5, T1, "modified"))
    verdict = Divergence.PathVerdict
    assert rule([rotten, held(P)]).verdict == verdict.DAMAGED
    assert rule([edited, held(P)]).verdict == verdict.NEWER
    assert rule([held(P), held(X)]).verdict == verdict.UNSURE


kinds = st.sampled_from([None, "added", "modified", "rewritten", "corrupted", "reverted", "readable", "retyped"])
pasts = st.lists(
    st.builds(past, st.sampled_from("pqxn"), st.integers(1, 9), st.sampled_from([T0, T1, T2, None]), kinds), max_size=4
)
holdings = st.lists(
    st.builds(Holding, pasts.map(tuple), st.booleans(), st.sampled_from([None, "a", "b", "c"])), max_size=5
)


@given(holdings)
def test_no_content_is_good_and_damaged(some: list[Holding]) -> None:
    """Equal contents are never judged good here and damaged there, and at most one content is good or newest."""
    ruling = rule(some)
    assert len(ruling.copies) == len(some) == len(ruling.reasons)
    by_content: dict[str, set[str]] = {}
    for one, copy in zip(some, ruling.copies, strict=True):
        if one.content is not None:
            by_content.setdefault(one.content, set()).add(copy.value)
        assert (copy == Divergence.CopyVerdict.NOTHING) == (one.content is None)
    assert sum(bool({"g", "n"} & copies) for copies in by_content.values()) <= 1
    assert not any({"d", "g"} <= copies or {"d", "n"} <= copies for copies in by_content.values())
    assert rule(some) == ruling


@pytest.mark.parametrize("why", list(Reason))
def test_every_reason_has_words(why: Reason) -> None:
    """Each reason is a sentence's part in the language of the page."""
    from checker.findings.text import replicas

    assert len(replicas.describe_reason(why.value)) > 20 and replicas.describe_reason(None) == ""
