"""From what the replicas held under a path to what is said of each copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from checker.divergences import queries, verdicts
from checker.divergences.compare import ComparedReplica
from checker.divergences.history import Holding, Past
from checker.divergences.queries import PathHistory, PathVersion
from checker.divergences.verdicts import Ruling
from scanner.format.entry_type import EntryType

Voters = Mapping[int, str]
"""By position who votes there; nobody where there is none."""


def rulings(sides: Sequence[ComparedReplica], voters: Voters) -> Iterator[tuple[str, str, str]]:
    """Of each path with several contents: the path, the verdict on it, and that on each copy."""
    for path, life in queries.iterate_mismatch_histories(sides):
        ruling = ruling_of(sides, voters, life)
        yield path, ruling.verdict.value, ruling.judged


def ruling_of(sides: Sequence[ComparedReplica], voters: Voters, life: PathHistory) -> Ruling:
    """What is said of each copy of one path."""
    return verdicts.rule([holding(life.get(side.position, []), side, voters) for side in sides])


def holding(moments: Sequence[PathVersion], side: ComparedReplica, voters: Voters) -> Holding:
    """What a side held, content by content; what could not be read in between is stepped over."""
    pasts: list[Past] = []
    for one in moments:
        if one.type == EntryType.ERROR or one.received_at is None:
            continue
        if pasts and pasts[-1].content == one.content:
            pasts[-1] = pasts[-1]._replace(mtime_ns=one.mtime_ns)
        else:
            pasts.append(Past(one.content, one.received_at, one.from_seq, one.mtime_ns, one.kind, one.after))
    last = moments[-1] if moments else None
    present = (
        last is not None and last.type != EntryType.ERROR and (last.until_seq is None or last.until_seq > side.sequence)
    )
    return Holding(tuple(pasts), present, voters.get(side.position) if present else None)
