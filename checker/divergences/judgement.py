"""Judge the copies of paths from what the database has of their histories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from checker.divergences import queries, verdicts
from checker.divergences.compare import ComparedReplica
from checker.divergences.history import HeldContent, ReplicaHistory
from checker.divergences.queries import PathHistory, PathVersion
from checker.divergences.verdicts import Judgement
from scanner.format.entry_type import EntryType

_ERROR = EntryType.ERROR.value

Voters = Mapping[int, str]
"""The voter at each position. Positions without a vote are left out."""


class PathJudgement(NamedTuple):
    """The verdict on a path, and those on its copies, as they are stored."""

    path: str
    verdict: str
    judged: str


def judge_mismatches(replicas: Sequence[ComparedReplica], voters: Voters) -> Iterator[PathJudgement]:
    """Yield a judgement of each path in `diverging` that has several contents."""
    for path, history in queries.iterate_mismatch_histories(replicas):
        judgement = judge_path(replicas, voters, history)
        yield PathJudgement(path, judgement.path_verdict.value, judgement.judged)


def judge_path(replicas: Sequence[ComparedReplica], voters: Voters, history: PathHistory) -> Judgement:
    """Return the verdict on each copy of one path."""
    histories = [replica_history(history.get(replica.position, []), replica, voters) for replica in replicas]
    return verdicts.judge_copies(histories)


def replica_history(versions: Sequence[PathVersion], replica: ComparedReplica, voters: Voters) -> ReplicaHistory:
    """Return what a replica had, content by content. Versions that could not be read in between are left out."""
    contents: list[HeldContent] = []
    for version in versions:
        if version.type == _ERROR or version.received_at is None:
            continue

        # A version that only changes times or mode is the same content, with its newest time.
        if contents and contents[-1].content == version.content:
            contents[-1] = contents[-1]._replace(mtime_ns=version.mtime_ns)
            continue

        contents.append(
            HeldContent(
                content=version.content,
                received_at=version.received_at,
                sequence=version.from_seq,
                mtime_ns=version.mtime_ns,
                kind=version.kind,
                previous_received_at=version.previous_received_at,
            )
        )

    present = bool(versions) and versions[-1].type != _ERROR and versions[-1].holds_at(replica.sequence)
    voter = voters.get(replica.position) if present else None
    return ReplicaHistory(tuple(contents), present, voter)
