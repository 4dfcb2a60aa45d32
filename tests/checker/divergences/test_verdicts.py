"""Each rule for verdicts by itself."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checker.changes.kinds import EMPTY_SHA256
from checker.divergences.history import HeldContent, ReplicaHistory
from checker.divergences.verdicts import Judgement, VerdictReason, count_votes, judge_copies
from checker.models import Divergence

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
T0 = 1_000
T1 = 2_000
T2 = 3_000


def held(
    content: str, run: int = 1, mtime: int | None = T0, kind: str | None = None, *, is_broken: bool = False
) -> HeldContent:
    """Return a content that a replica has had since a run. The runs of all replicas are a day apart."""
    after = START + timedelta(days=run - 1) if kind else None
    return HeldContent(content, START + timedelta(days=run), run, mtime, kind, after, is_broken)


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
    """A content that changed without its time is an edit that kept it, or damage: nobody can tell."""
    written = replica(P, held("x", 5, T0, "rewritten"))
    assert judged(written, replica(P), replica(P)) == "uuu"
    reasons = [copy.reason for copy in judge(written, replica(P)).copies]
    assert reasons == [VerdictReason.REWRITTEN_HERE, VerdictReason.NOT_REWRITTEN]
    assert judged(written, replica(P, held("x", 6, T0, "rewritten")), replica(P)) == "uuu"
    assert judged(written, replica(held("q"))) == "uu", "nobody has what was there before"

    rotten = replica(P, held("y", 5, T0, "corrupted"))
    assert judged(written, rotten, replica(P)) == "udg", "the content from before damage is good, rewritten or not"


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
    assert judged(written, replica(P), added) == "uuu", "it came to a replica that was there before"

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
    derived = replica(P, held("x", 5, T0, "corrupted"), held("n", 6, T1, "modified"))
    assert judge(derived, replica(held("q"))).copies[0].reason == VerdictReason.DOUBTFUL

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
        return replica(held("q", 1, T1), healed._replace(after=START + timedelta(days=run_before)))

    assert judged(edited, mended(5), behind) == "uuu"
    assert judged(edited, mended(2), behind) == "uuu"


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
    st.sampled_from([None, START, START + timedelta(days=20)]),
    st.booleans(),
    st.sampled_from([None, START + timedelta(days=3)]),
)


# How long a busy machine takes to make the input proves nothing.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


def test_a_file_that_changes_every_night_for_years() -> None:
    """Thousands of contents on each replica cost little: nothing is compared with everything."""
    nights = range(2, 20_002)
    edits = [held(f"c{night}", night, T0 + night, "modified") for night in nights]
    assert judged(replica(P, *edits), replica(P, *edits[:-1]), replica(P)) == "noo"


def test_the_order_of_arrival_decides_nothing() -> None:
    """Doubt about one replica stays when the run of the other one arrives first."""
    damaged = replica(P, held("x", 5, T0, "corrupted"), held("n", 8, T1, "modified"))
    for run in (7, 8, 9):
        edited = replica(P, held("n", run, T1, "modified")._replace(after=START + timedelta(days=1)))
        assert judged(damaged, edited, replica(P)) == "uug", "the edit may have been made of the damage"
    edited = replica(P, held("n", 6, T1, "modified"))
    assert judged(damaged, edited, replica(P)) == "nno", "the edit was certainly made elsewhere"


def test_remembered() -> None:
    """A content that was outvoted once is damaged wherever it is copied, whatever became of the majority."""
    edited = replica(P, held("n", 5, T1, "modified"))
    copied = replica(P, held("x", 6, T0, "rewritten"))
    histories = [copied._replace(voter="a"), replica(X)._replace(voter="b"), edited._replace(voter="c")]
    assert judge_copies(histories, {"x": "p"}).judged == "ddn"
    assert judge_copies(histories, {"x": "p"}, cleared={"x"}).judged != "ddn", "a person said that it is right"
    assert judge_copies([*histories[:2], replica(P)], {"x": "p"}).judged == "ddg"


def test_what_a_person_declares_good() -> None:
    """A declaration clears its own content, and proves nothing of what was made of it or stands beside it."""
    made_of_it = replica(X, held("z", 6, T2, "modified"))
    histories = [made_of_it._replace(voter="a"), replica(X)._replace(voter="b")]
    assert judge_copies(histories, {"x": "p"}).judged == "ud"
    declared = judge_copies(histories, {"x": "p"}, cleared={"x"})
    assert declared.judged == "ug"
    assert not declared.is_suspicious

    outvoted = [replica(X)._replace(voter="a"), replica(P)._replace(voter="b"), replica(P)._replace(voter="c")]
    assert judge_copies(outvoted, {"x": "p"}).judged == "dgg"
    declared = judge_copies(outvoted, {"x": "p"}, cleared={"x"})
    assert declared.judged == "guu"
    assert {copy.reason for copy in declared.copies[1:]} == {VerdictReason.OTHER_DECLARED_GOOD}

    majority = [replica(X)._replace(voter="a"), replica(X)._replace(voter="b"), replica(P)._replace(voter="c")]
    assert judge_copies(majority, {"x": "p"}, cleared={"x"}).judged == "ggu", "the other content is not outvoted"


def test_votes_at_first_sight() -> None:
    """When the replicas were first seen decides, whatever was copied before anybody compared them."""
    copied = replica(P, held("x", 6, T0, "rewritten"))
    assert judged(copied, replica(X), replica(P)) == "ddg"
    early = replica(P, held("x", 2, T0, "rewritten")._replace(after=START))
    assert judged(early, replica(X), replica(P)) == "uuu", "it may have been written here before the first run there"


def test_a_replica_that_joins_later_has_no_vote() -> None:
    """It was filled from one of the others: two copies of the same are one."""
    joined = replica(X)._replace(created_at=START + timedelta(days=3))
    assert judged(replica(P), replica(X), joined) == "uuu"
    assert judged(replica(P), replica(P), joined) == "ggd", "what nobody else has is outvoted"


def test_what_is_left_of_a_lost_file_is_not_newer() -> None:
    """An emptied file, a link or a pipe in place of a file is no edit of it."""
    for remains in (EMPTY_SHA256, "link:elsewhere", "special:fifo"):
        kind = "modified" if remains == EMPTY_SHA256 else "retyped"
        assert judged(replica(P, held(remains, 5, T1, kind)), replica(P), replica(P))[0] == "u"


def test_on_hold() -> None:
    """A mass change defines nothing for the others."""
    held_back = replica(P, held("n", 5, T1, "modified"))._replace(on_hold=True, voter="none")
    assert judged(held_back, replica(P), replica(P)) == "ugg"


def test_rot_that_was_edited() -> None:
    """The copies from before the damage are named, the edited one is not called newer."""
    edited = replica(P, held("x", 5, T0, "corrupted"), held("n", 6, T1, "modified"))
    assert judged(edited, replica(P), replica(P)) == "ugg"


def test_precision_of_times() -> None:
    """A file system that keeps whole or even seconds shows the same time as one that keeps nanoseconds."""
    exact = held("p", 1, 1_573_000_001_700_000_000)
    for cut in (1_573_000_001_000_000_000, 1_573_000_000_000_000_000, 1_573_000_002_000_000_000):
        assert judged(replica(exact), replica(exact), replica(held("x", 1, cut))) == "ggd"
    later = held("x", 1, 1_573_000_003_000_000_000)
    assert judged(replica(exact), replica(exact), replica(later)) == "ggu"
