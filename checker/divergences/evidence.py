"""What speaks for what is said of a path: each copy, what it holds, since when, and why it is good or not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from checker.divergences import participants, verdicts
from checker.divergences.judgement import ruling_of
from checker.divergences.queries import DivergenceRow, PathHistory, PathVersion
from checker.models import Divergence, GroupComparison, Participant
from scanner.format.entry_type import EntryType
from scanner.models import Run


class ComparisonContext:
    """A comparison with those who take part in it."""

    def __init__(self, comparison: GroupComparison) -> None:
        self.comparison = comparison
        found = comparison.participants.filter(run__isnull=False).select_related("replica__server", "run")
        self.participants = {one.position: one for one in found}
        self.compared = participants.sides(self.participants.values())
        self.voters = {at: one.voter for at, one in self.participants.items() if one.voter}

    @property
    def newest_run(self) -> Run:
        """The run that came last: by it the comparison says what it says."""
        runs = [one.run for one in self.participants.values() if one.run is not None]
        return max(runs, key=lambda run: (run.received_at, run.pk))

    def replica_names(self, concerned: Collection[int]) -> list[str]:
        """How those of these replicas that take part are called."""
        return [replica_name(seat) for _at, seat in sorted(self.participants.items()) if seat.replica_id in concerned]

    def replica_ids(self, positions: Sequence[int]) -> list[int]:
        """The replicas that sit there."""
        return [self.participants[position].replica_id for position in positions]


def replica_name(seat: Participant) -> str:
    """How a replica is called in words."""
    return f"{seat.replica.server.name}:{seat.replica.root}"


def current_version(seat: Participant, moments: Sequence[PathVersion]) -> PathVersion | None:
    """What a replica holds by its run, of all that it held under a path; None where that is nothing."""
    last = moments[-1] if moments else None
    return last if last is not None and (last.until_seq is None or last.until_seq > _sequence(seat)) else None


def build_evidence(context: ComparisonContext, row: DivergenceRow, life: PathHistory) -> dict[str, Any]:
    """What the words of a path are made of: each copy, what is said of it, and why."""
    ruling = ruling_of(context.compared, context.voters, life)
    copies = [
        _copy(seat, row.cells[at - 1], *_said(row, copy, why), life.get(at, []), row.others.get(str(at)))
        for (at, seat), copy, why in zip(
            sorted(context.participants.items()), ruling.copies, ruling.reasons, strict=True
        )
    ]
    good = (verdicts.Copy.GOOD, verdicts.Copy.NEWER)
    return {
        "comparison": context.comparison.pk,
        "cells": row.cells,
        "judged": row.judged,
        "copies": copies,
        "votes": ruling.votes,
        "all_votes": ruling.all_votes,
        "damaged": [one["replica"] for one in copies if one["copy"] == verdicts.Copy.DAMAGED],
        "good": [one["name"] for one in copies if one["copy"] in good],
        "alike": row.alike,
    }


def build_spread_evidence(
    context: ComparisonContext, row: DivergenceRow | None, life: PathHistory, before: dict[str, Any]
) -> dict[str, Any]:
    """The facts of a path of which no good copy is left, in the form of `evidence`: what was damaged in `before` is
    damaged wherever it lies now. `row` is what diverges there still, such as that it is missing somewhere."""
    reasons = {one["replica"]: one["why"] for one in before["copies"] if one["copy"] == verdicts.Copy.DAMAGED}
    damage = {_content(one) for one in before["copies"] if one["copy"] == verdicts.Copy.DAMAGED}
    copies = []
    for at, seat in sorted(context.participants.items()):
        one = _copy(seat, row.cells[at - 1] if row else "", verdicts.Copy.NOTHING, None, life.get(at, []), None)
        there = "type" in one
        one["cell"] = one["cell"] or (Divergence.Cell.HERE if there else Divergence.Cell.UNWANTED).value
        if there and _content(one) in damage:
            why = reasons.get(seat.replica_id) or verdicts.Reason.SPREAD.value
            one |= {"copy": verdicts.Copy.DAMAGED.value, "why": why}
        copies.append(one)
    return {
        "comparison": context.comparison.pk,
        "cells": row.cells if row else "",
        "judged": "",
        "copies": copies,
        "votes": {},
        "all_votes": 0,
        "damaged": [one["replica"] for one in copies if one["copy"] == verdicts.Copy.DAMAGED],
        "good": [],
        "alike": "",
    }


def _content(one: dict[str, Any]) -> tuple[Any, ...]:
    """Of a copy: equal for equal contents. Of a hard link the name of the first path says nothing of that."""
    return one.get("type"), one.get("sha256"), None if one.get("type") == EntryType.FILE else one.get("detail")


def _copy(
    seat: Participant,
    cell: str,
    copy: Divergence.CopyVerdict,
    why: verdicts.Reason | None,
    life: Sequence[PathVersion],
    other: str | None,
) -> dict[str, Any]:
    last, now = life[-1] if life else None, current_version(seat, life)
    return {
        "replica": seat.replica_id,
        "name": replica_name(seat),
        "standing": seat.standing,
        "run": _sequence(seat),
        "cell": cell,
        "copy": copy.value,
        "why": why.value if why else None,
        "other": other,
        "ended": last.until_seq if last is not None and now is None else None,
        **(_what(now) if now is not None else {}),
    }


def _said(
    row: DivergenceRow, copy: Divergence.CopyVerdict, why: verdicts.Reason | None
) -> tuple[Divergence.CopyVerdict, verdicts.Reason | None]:
    """Where there is one content, nothing is said of it but that it is damaged."""
    if row.kind == Divergence.Kind.MISMATCH or copy == Divergence.CopyVerdict.DAMAGED:
        return copy, why
    return Divergence.CopyVerdict.NOTHING, None


def _what(moment: PathVersion) -> dict[str, Any]:
    return {
        "type": moment.type, "sha256": moment.sha256, "size": moment.size, "mtime_ns": moment.mtime_ns,
        "detail": moment.detail, "stage": moment.stage, "since": moment.from_seq, "confirmed": bool(moment.confirmed),
    }  # fmt: skip


def _sequence(seat: Participant) -> int:
    assert seat.run is not None
    return seat.run.sequence
