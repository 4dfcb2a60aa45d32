"""Judge the copies of paths from what the database has of their histories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from checker.divergences import queries, verdicts
from checker.divergences.compare import ComparedReplica
from checker.divergences.history import HeldContent, ReplicaHistory
from checker.divergences.queries import PathHistory, PathVersion
from checker.divergences.verdicts import Judgement
from checker.models import Change
from scanner.format.entry_type import EntryType

_ERROR = EntryType.ERROR.value

Voters = Mapping[int, str]
"""The voter at each position. Positions without a vote are left out."""


class PathJudgement(NamedTuple):
    """The verdict on a path, and those on its copies, as they are stored."""

    path: str
    verdict: str
    judged: str
    grounds: str
    """The reason for each verdict, in the order of the positions, joined by commas."""
    undamaged: str
    """SHA-256 of the content before damage, or of the majority, in the same form: empty where there is none."""
    is_suspicious: bool
    """Whether some copy came, or may have come, by damage: then nothing lags."""


def judge_mismatches(
    replicas: Sequence[ComparedReplica], voters: Voters, moment: datetime | None = None
) -> Iterator[PathJudgement]:
    """Yield a judgement of each path in `diverging` that has several contents."""
    for path, history in queries.iterate_mismatch_histories(replicas, moment):
        judgement = judge_path(replicas, voters, history)
        grounds = ",".join(copy.reason.value if copy.reason else "" for copy in judgement.copies)
        yield PathJudgement(
            path=path,
            verdict=judgement.path_verdict.value,
            judged=judgement.judged,
            grounds=grounds,
            undamaged=",".join(map(_digest, judgement.undamaged)),
            is_suspicious=judgement.is_suspicious,
        )


def _digest(content: str | None) -> str:
    """Return the digest of a file's content; empty for other contents, and for none."""
    return "" if content is None or ":" in content else content


def judge_path(replicas: Sequence[ComparedReplica], voters: Voters, history: PathHistory) -> Judgement:
    """Return the verdict on each copy of one path."""
    histories = [replica_history(history.get(replica.position, []), replica, voters) for replica in replicas]
    return verdicts.judge_copies(histories, history.damaged, history.cleared)


def replica_history(versions: Sequence[PathVersion], replica: ComparedReplica, voters: Voters) -> ReplicaHistory:
    """Return what a replica had, content by content. Versions that could not be read in between are left out."""
    contents: list[HeldContent] = []
    last_version: PathVersion | None = None
    is_after_error = False
    for version in versions:
        if version.type == _ERROR or version.received_at is None:
            is_after_error = version.type == _ERROR
            continue
        # A version that only changes times or mode is the same content, with its newest time.
        if contents and contents[-1].content == version.content:
            contents[-1] = contents[-1].touched(version.mtime_ns)
        else:
            contents.append(
                _held_content(version, last_version)._replace(after_error=is_after_error and not version.is_ctime_same)
            )
        is_after_error = False
        last_version = version

    present = bool(versions) and versions[-1].type != _ERROR and versions[-1].holds_at(replica.sequence)
    voter = voters.get(replica.position) if present else None
    return ReplicaHistory(
        tuple(contents),
        present,
        voter,
        replica.read_since,
        replica.on_hold,
        replica.created_at,
        replica.place or None,
    )


def _held_content(version: PathVersion, previous: PathVersion | None) -> HeldContent:
    """Return a content that began with a version, after the `previous` one that was read."""
    assert version.received_at is not None
    # What replaced another content may have been there since that was last read, also while nobody could read it.
    after = None
    if version.kind in (Change.Kind.ADDED, Change.Kind.MOVED):
        after = version.previous_run_began
    elif previous is not None:
        after = previous.last_run_began

    return HeldContent(
        content=version.content,
        received_at=version.received_at,
        sequence=version.from_seq,
        mtime_ns=version.mtime_ns,
        kind=version.kind,
        after=after,
    )
