"""Each rule for verdicts by itself."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from checker.divergences.history import HeldContent, ReplicaHistory
from checker.divergences.verdicts import Judgement, VerdictReason, count_votes, judge_copies
from checker.models import Divergence

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
T0 = 1_000
T1 = 2_000
T2 = 3_000


def held(content: str, run: int = 1, mtime: int | None = T0, kind: str | None = None) -> HeldContent:
    """Return a content that a replica has had since a run. The runs of all replicas are a day apart."""
    return HeldContent(content, START + timedelta(days=run), run, mtime, kind)


def replica(*contents: HeldContent, voter: str | None = None, present: bool = True) -> ReplicaHistory:
    """Return the history of a replica that has the last of these contents."""
    return ReplicaHistory(contents, present, voter)


def judge(*histories: ReplicaHistory) -> Judgement:
    """Judge copies. Each replica without a voter gets a vote of its own; the voter "none" means no vote."""
    voting = []
    for position, history in enumerate(histories):
        voter = None if history.voter == "none" else history.voter or f"v{position}"
        voting.append(history._replace(voter=voter))
    return judge_copies(voting)


def judged(*histories: ReplicaHistory) -> str:
    """Return the verdicts on the copies, a character for each."""
    return judge(*histories).judged


P = held("p")
X = held("x")


def test_damage_below_the_file_system() -> None:
    """A content that came by damage is damaged, and the one from before is good."""
    rotten = replica(P, held("x", 5, T0, "corrupted"))
    assert judged(rotten, replica(P), replica(P)) == "dgg"
    assert judged(rotten, replica(P)) == "dg"


def test_damage_that_was_spread() -> None:
    """History outweighs votes: two copies of the damage do not outvote the good one."""
    rotten = replica(P, held("x", 5, T0, "corrupted"))
    for kind, mtime in (("rewritten", T0), ("modified", T1)):
        assert judged(rotten, replica(P, held("x", 6, mtime, kind)), replica(P)) == "ddg"
    assert judged(rotten, replica(P, held("x", 4, T1, "modified")), replica(P)) == "ddg", (
        "also when it came there first"
    )


def test_written_with_the_time_kept() -> None:
    """A content that changed without its time, while another replica has the one from before, is damaged."""
    written = replica(P, held("x", 5, T0, "rewritten"))
    assert judged(written, replica(P)) == "dg"
    assert judged(written, replica(P, held("x", 6, T0, "rewritten")), replica(P)) == "ddg"
    assert judged(written, replica(held("q"))) == "uu", "nobody has what was there before"


def test_healed_is_not_damaged() -> None:
    """A content that another replica has had since its first run, and earlier, did not come by damage."""
    healed = replica(held("bad"), held("p", 5, T0, "corrupted"))
    assert judged(healed, replica(P), replica(held("bad"))) == "uuu", "it had both: history speaks, unclearly"
    assert judged(healed, replica(P), replica(P)) == "ggg"


def test_an_edit_is_newer() -> None:
    """An honest edit is newer than what it replaced, whatever votes say."""
    edited = replica(P, held("n", 5, T1, "modified"))
    synced = replica(P, held("n", 6, T1, "modified"))
    assert judged(edited, replica(P), replica(P)) == "noo"
    assert judged(edited, synced, replica(P)) == "nno"
    assert judged(edited, replica(P), replica(P, held("x", 4, T0, "corrupted"))) == "nod"

    twice = replica(P, held("n", 5, T1, "modified"), held("m", 6, T2, "modified"))
    assert judged(twice, synced, replica(P)) == "noo"
    assert [copy.reason for copy in judge(edited, replica(P)).copies] == [
        VerdictReason.EDITED_HERE,
        VerdictReason.SUPERSEDED,
    ]


def test_an_older_time_proves_no_edit() -> None:
    """A content with an earlier time may be a restore or a mistake: nothing can be told."""
    later = replica(held("p", 1, T1))
    went_back = replica(held("p", 1, T1), held("o", 5, T0, "modified"))
    assert judged(went_back, later) == "uu"
    assert judged(went_back, later, later) == "uuu"


def test_put_back() -> None:
    """An earlier content that was put back is older than the edit that another replica still has."""
    back = replica(P, held("n", 5, T1, "modified"), held("p", 6, T0, "reverted"))
    edited = replica(P, held("n", 6, T1, "modified"))
    assert judged(back, edited) == "on"
    assert judge(back, edited).copies[0].reason == VerdictReason.PUT_BACK


def test_put_back_by_a_later_write() -> None:
    """An earlier content that was written again, with a later time, is the newest thing that somebody did: unclear."""
    back = replica(P, held("n", 5, T1, "modified"), held("p", 7, T2, "reverted"))
    edited = replica(P, held("n", 6, T1, "modified"))
    assert judged(back, edited) == "uu"
    assert judged(back, edited, replica(P)) == "uuu"


def test_a_copy_without_times_is_no_edit() -> None:
    """A content that another replica has had since its first run, with an earlier time, is not newer when copied."""
    behind = replica(held("o", 1, T0))
    copied = replica(held("n", 1, T1), held("o", 5, T2, "modified"))
    assert judged(behind, copied, replica(held("n", 1, T1))) == "uuu", "the newest content is not called older"

    early = replica(held("n", 2, T1))
    edited = replica(P, held("n", 5, T1, "modified"))
    assert judged(early, edited, replica(P)) == "nno", "its time says that it was an edit"


def test_mended_from_a_replica_that_is_added_later() -> None:
    """Damage from before the first run, mended with the time kept from where nobody looked yet, is not damage now."""
    mended = replica(held("bad"), held("p", 5, T0, "rewritten"))
    assert judged(mended, replica(held("bad")), replica(held("p", 7))) == "uuu"

    written = replica(P, held("x", 5, T0, "rewritten"))
    added = replica(held("x", 7, T0, "added"))
    assert judged(written, replica(P), added) == "dgd", "it came to a replica that was there before"

    rotten = replica(P, held("x", 5, T0, "corrupted"))
    assert judged(rotten, replica(P), replica(held("x", 7))) == "dgd", "what is confirmed came by damage, copied or not"


def test_edits_in_both_directions() -> None:
    """Contradicting histories say nothing."""
    forwards = replica(P, held("n", 5, T1, "modified"))
    backwards = replica(held("n", 1, T0), held("p", 5, T1, "modified"))
    assert judged(forwards, backwards) == "uu"


def test_doubtful() -> None:
    """A content that was written with its time kept, while nobody has the one from before, outvotes nothing."""
    written = replica(P, held("x", 5, T0, "rewritten"))
    edited = replica(P, held("n", 5, T1, "modified"))
    assert judged(written, written, edited) == "uuu"
    assert judged(written, written, replica(P, held("y", 5, T0, "corrupted"))) == "uud"
    assert judge(written, written, edited).copies[0].reason == VerdictReason.DOUBTFUL

    edited_then_written = replica(P, held("n", 5, T1, "modified"), held("x", 6, T1, "rewritten"))
    assert judged(edited_then_written, replica(P, held("x", 7, T1, "modified")), replica(P)) == "uuo"

    edited_again = replica(P, held("x", 5, T0, "rewritten"), held("m", 6, T2, "modified"))
    synced = replica(P, held("m", 7, T2, "modified"))
    assert judged(edited_again, synced, replica(P, held("q", 4, T0, "rewritten"))) == "uuu"


def test_older_than_what_was_damaged() -> None:
    """The edit is lost by damage. Who never had it has an older version, and no votes make it the good one."""
    edited = replica(P, held("n", 5, T1, "modified"), held("x", 6, T1, "corrupted"))
    assert judged(edited, replica(P), replica(P)) == "doo"


def test_what_was_elsewhere_before_did_not_come_by_damage() -> None:
    """A copy was mended, its time kept, from a replica that had the content while this one still had another."""
    edited = replica(P, held("n", 3, T1, "modified"))
    behind = replica(held("q", 1, T1))
    healed = held("n", 6, T1, "rewritten")

    def mended(run_before: int) -> ReplicaHistory:
        return replica(held("q", 1, T1), healed._replace(previous_received_at=START + timedelta(days=run_before)))

    assert judged(edited, mended(5), behind) == "uuu"
    assert judged(edited, mended(2), behind) == "ddg"


def test_votes() -> None:
    """Without history more than half of all votes, two at least, decide; the same time makes the rest damaged."""
    assert judged(replica(P), replica(P), replica(X)) == "ggd"
    assert judged(replica(P), replica(X)) == "uu", "one against one"
    assert judged(replica(P), replica(P), replica(X), replica(X)) == "uuuu"
    assert judged(replica(P), replica(P), replica(held("x", 1, T1))) == "ggu", "another time may be another version"
    assert judged(replica(P), replica(P), replica(held("link:a", 1, None))) == "ggu"


def test_one_vote_for_a_server_and_file_system() -> None:
    """Replicas that share them have one vote, and none when they differ; without a vote a replica decides nothing."""
    assert judged(replica(P, voter="s"), replica(P, voter="s"), replica(X)) == "uuu"
    assert judged(replica(P, voter="s"), replica(X, voter="s"), replica(P), replica(P)) == "gdgg"
    assert judged(replica(P, voter="none"), replica(P), replica(X)) == "uuu"
    assert count_votes([replica(P, voter="s"), replica(X, voter="s")]) == ({}, 1)
    assert count_votes([replica(P, voter="a", present=False)]) == ({}, 0)


def test_what_is_not_there_is_not_judged() -> None:
    """A path that a replica lacks has no copy there."""
    assert judged(replica(P, present=False), replica(P), replica(P), replica(X)) == " ggd"
    rotten = replica(P, held("x", 5, T0, "corrupted"))
    assert judged(ReplicaHistory((), False, None), rotten, replica(P)) == " dg"


def test_the_path_as_a_whole() -> None:
    """Damage is the gravest verdict; a newer version only where nothing is damaged."""
    rotten = replica(P, held("x", 5, T0, "corrupted"))
    edited = replica(P, held("n", 5, T1, "modified"))
    assert judge(rotten, replica(P)).path_verdict == Divergence.PathVerdict.DAMAGED
    assert judge(edited, replica(P)).path_verdict == Divergence.PathVerdict.NEWER
    assert judge(replica(P), replica(X)).path_verdict == Divergence.PathVerdict.UNSURE


any_kind = st.sampled_from([None, "added", "modified", "rewritten", "corrupted", "reverted", "readable", "retyped"])
any_content = st.builds(held, st.sampled_from("pqxn"), st.integers(1, 9), st.sampled_from([T0, T1, T2, None]), any_kind)
any_history = st.builds(
    ReplicaHistory,
    st.lists(any_content, max_size=4).map(tuple),
    st.booleans(),
    st.sampled_from([None, "a", "b", "c"]),
)


@given(st.lists(any_history, max_size=5))
def test_no_content_is_good_and_damaged(histories: list[ReplicaHistory]) -> None:
    """Equal contents are never judged good here and damaged there, and at most one content is good or newest."""
    judgement = judge_copies(histories)
    assert len(judgement.copies) == len(histories)

    verdicts_of_content: dict[str, set[str]] = {}
    for history, copy in zip(histories, judgement.copies, strict=True):
        assert (copy.verdict == Divergence.CopyVerdict.NOTHING) == (history.current_content is None)
        if history.current_content is not None:
            verdicts_of_content.setdefault(history.current_content, set()).add(copy.verdict.value)

    assert sum(bool({"g", "n"} & verdicts) for verdicts in verdicts_of_content.values()) <= 1
    for verdicts in verdicts_of_content.values():
        assert not {"d", "g"} <= verdicts
        assert not {"d", "n"} <= verdicts
    assert judge_copies(histories) == judgement
