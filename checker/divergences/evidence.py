"""Gather the evidence for what is said of a path: each copy, its content, since when, and why it is good or not.

Evidence is stored with findings as JSON, so its keys stay as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from checker.divergences import participants
from checker.divergences.judgement import judge_path
from checker.divergences.queries import DivergenceRow, PathHistory, PathVersion
from checker.divergences.verdicts import JudgedCopy, VerdictReason
from checker.models import Divergence, GroupComparison, Participant
from scanner.format.entry_type import EntryType
from scanner.models import Run

CopyVerdict = Divergence.CopyVerdict
Cell = Divergence.Cell


class ComparisonContext:
    """A comparison with the participants that have a run."""

    def __init__(self, comparison: GroupComparison) -> None:
        self.comparison = comparison
        with_run = comparison.participants.filter(run__isnull=False).select_related("replica__server", "run")
        self.participants = {participant.position: participant for participant in with_run}
        self.compared = participants.compared_replicas(self.participants.values())
        self.voters = {
            position: participant.voter for position, participant in self.participants.items() if participant.voter
        }

    @property
    def newest_run(self) -> Run:
        """The run that arrived last: it made the comparison say what it says."""
        runs = [participant.run for participant in self.participants.values() if participant.run is not None]
        return max(runs, key=lambda run: (run.received_at, run.pk))

    @property
    def by_position(self) -> list[Participant]:
        """The participants in the order of their positions."""
        return [participant for _position, participant in sorted(self.participants.items())]

    def replica_names(self, replica_ids: Collection[int]) -> list[str]:
        """Return the names of those of the replicas that take part."""
        return [replica_name(participant) for participant in self.by_position if participant.replica_id in replica_ids]

    def replica_ids(self, positions: Sequence[int]) -> list[int]:
        """Return the ids of the replicas at some positions."""
        return [self.participants[position].replica_id for position in positions]


def replica_name(participant: Participant) -> str:
    """Return server and root, as texts name a replica."""
    return f"{participant.replica.server.name}:{participant.replica.root}"


def current_version(participant: Participant, versions: Sequence[PathVersion]) -> PathVersion | None:
    """Return what a replica has at its run, of all versions up to it, or None."""
    if versions and versions[-1].holds_at(_sequence(participant)):
        return versions[-1]
    return None


def build_evidence(context: ComparisonContext, row: DivergenceRow, history: PathHistory) -> dict[str, Any]:
    """Return the evidence for a divergence: each copy with its verdict, and the votes."""
    judgement = judge_path(context.compared, context.voters, history)

    copies = []
    for participant, judged in zip(context.by_position, judgement.copies, strict=True):
        copies.append(
            _describe_copy(
                participant,
                cell=row.cells[participant.position - 1],
                judged=_relevant_verdict(row, judged),
                versions=history.get(participant.position, []),
                other=row.others.get(str(participant.position)),
            )
        )

    # Any of these is a copy from which a person may restore.
    good = (CopyVerdict.GOOD, CopyVerdict.NEWER)
    return {
        "comparison": context.comparison.pk,
        "cells": row.cells,
        "judged": row.judged,
        "copies": copies,
        "votes": judgement.votes,
        "all_votes": judgement.total_votes,
        "damaged": [copy["replica"] for copy in copies if copy["copy"] == CopyVerdict.DAMAGED],
        "good": [copy["name"] for copy in copies if copy["copy"] in good],
        "rewritten": [copy["name"] for copy in copies if copy["why"] == VerdictReason.REWRITTEN_HERE],
        "earlier": [copy["name"] for copy in copies if copy["why"] == VerdictReason.NOT_REWRITTEN],
        "declared_good": [copy["name"] for copy in copies if copy["why"] == VerdictReason.DECLARED_GOOD],
        "suspicious": judgement.is_suspicious,
        "alike": row.alike,
    }


def build_spread_evidence(
    context: ComparisonContext, row: DivergenceRow | None, history: PathHistory, previous: dict[str, Any]
) -> dict[str, Any]:
    """Return the evidence for a path whose copies agree after damage, in the form of `build_evidence`.

    What was damaged in the `previous` evidence is damaged wherever it is now, and what was made of it may be. `row` is
    what still diverges there, for example that the path is missing somewhere.
    """
    judgement = judge_path(context.compared, context.voters, history)

    # Copies of the damage are told by their content: history has nothing to say of replicas that agree.
    damaged_copies = [copy for copy in previous["copies"] if copy["copy"] == CopyVerdict.DAMAGED]
    reasons = {copy["replica"]: copy["why"] for copy in damaged_copies}
    damaged_contents = {_content(copy) for copy in damaged_copies if copy.get("sha256") not in history.cleared}

    cells = row.cells if row else ""
    copies = []
    for participant, judged in zip(context.by_position, judgement.copies, strict=True):
        is_open = judgement.is_suspicious and judged.verdict in (CopyVerdict.DAMAGED, CopyVerdict.UNSURE)
        is_described = is_open or judged.reason == VerdictReason.DECLARED_GOOD
        copy = _describe_copy(
            participant,
            cell=cells[participant.position - 1 : participant.position],
            judged=judged if is_described else NO_VERDICT,
            versions=history.get(participant.position, []),
            other=None,
        )
        is_present = "type" in copy

        # Where nothing diverges any more, there are no cells: they follow from what each replica has.
        if not copy["cell"]:
            copy["cell"] = Cell.UNWANTED.value
            if is_present:
                copy["cell"] = Cell.HERE.value

        if is_present and _content(copy) in damaged_contents:
            copy["copy"] = CopyVerdict.DAMAGED.value
            copy["why"] = reasons.get(participant.replica_id) or VerdictReason.SPREAD.value

        copies.append(copy)

    return {
        "comparison": context.comparison.pk,
        "cells": cells,
        "judged": "",
        "copies": copies,
        "votes": {},
        "all_votes": 0,
        "damaged": [copy["replica"] for copy in copies if copy["copy"] == CopyVerdict.DAMAGED],
        "good": [],
        "rewritten": [],
        "earlier": [],
        "declared_good": [copy["name"] for copy in copies if copy["why"] == VerdictReason.DECLARED_GOOD],
        "suspicious": judgement.is_suspicious,
        "spread": True,
        "alike": "",
    }


NO_VERDICT = JudgedCopy(CopyVerdict.NOTHING, None)


def _relevant_verdict(row: DivergenceRow, judged: JudgedCopy) -> JudgedCopy:
    """Return the verdict on a copy. Where there is one content, only damage is worth a word."""
    if row.kind == Divergence.Kind.MISMATCH or judged.verdict == CopyVerdict.DAMAGED:
        return judged
    return NO_VERDICT


def _content(copy: dict[str, Any]) -> tuple[Any, ...]:
    """Return a value that is equal for equal contents. The detail of a hard link names a path, which is no content."""
    if copy.get("type") == EntryType.FILE:
        return EntryType.FILE, copy.get("sha256")
    return copy.get("type"), copy.get("sha256"), copy.get("detail")


def _describe_copy(
    participant: Participant,
    *,
    cell: str,
    judged: JudgedCopy,
    versions: Sequence[PathVersion],
    other: str | None,
) -> dict[str, Any]:
    current = current_version(participant, versions)
    ended = None
    if versions and current is None:
        ended = versions[-1].until_seq

    description: dict[str, Any] = {
        "replica": participant.replica_id,
        "name": replica_name(participant),
        "standing": participant.status,
        "run": _sequence(participant),
        "cell": cell,
        "copy": judged.verdict.value,
        "why": judged.reason.value if judged.reason else None,
        "other": other,
        "ended": ended,
    }

    # A replica without the path has a description without a version.
    if current is not None:
        description |= _describe_version(current)
    return description


def _describe_version(version: PathVersion) -> dict[str, Any]:
    return {
        "type": version.type,
        "sha256": version.sha256,
        "size": version.size,
        "mtime_ns": version.mtime_ns,
        "detail": version.detail,
        "stage": version.stage,
        "since": version.from_seq,
        "confirmed": bool(version.confirmed),
    }


def _sequence(participant: Participant) -> int:
    assert participant.run is not None
    return participant.run.sequence
