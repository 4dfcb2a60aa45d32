"""What speaks for what is said of a path: each copy, what it holds, since when, and why it is good or not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from checker.divergences import participants, verdicts
from checker.divergences.judgement import ruling_of
from checker.divergences.queries import Life, Moment, Row
from checker.models import Divergence, GroupComparison, Participant
from scanner.format.records import FILE
from scanner.models import Run


class Witness:
    """A comparison with those who take part in it."""

    def __init__(self, comparison: GroupComparison) -> None:
        self.comparison = comparison
        found = comparison.participants.filter(run__isnull=False).select_related("replica__server", "run")
        self.seats = {one.position: one for one in found}
        self.sides = participants.sides(self.seats.values())
        self.voters = {at: one.voter for at, one in self.seats.items() if one.voter}

    @property
    def run(self) -> Run:
        """The run that came last: by it the comparison says what it says."""
        runs = [one.run for one in self.seats.values() if one.run is not None]
        return max(runs, key=lambda run: (run.received_at, run.pk))

    def names(self, concerned: Collection[int]) -> list[str]:
        """How those of these replicas that take part are called."""
        return [name(seat) for _at, seat in sorted(self.seats.items()) if seat.replica_id in concerned]

    def replicas(self, positions: Sequence[int]) -> list[int]:
        """The replicas that sit there."""
        return [self.seats[position].replica_id for position in positions]


def name(seat: Participant) -> str:
    """How a replica is called in words."""
    return f"{seat.replica.server.name}:{seat.replica.root}"


def held(seat: Participant, moments: Sequence[Moment]) -> Moment | None:
    """What a replica holds by its run, of all that it held under a path; None where that is nothing."""
    last = moments[-1] if moments else None
    return last if last is not None and (last.until_seq is None or last.until_seq > _sequence(seat)) else None


def evidence(witness: Witness, row: Row, life: Life) -> dict[str, Any]:
    """What the words of a path are made of: each copy, what is said of it, and why."""
    ruling = ruling_of(witness.sides, witness.voters, life)
    copies = [
        _copy(seat, row.cells[at - 1], *_said(row, copy, why), life.get(at, []), row.others.get(str(at)))
        for (at, seat), copy, why in zip(sorted(witness.seats.items()), ruling.copies, ruling.reasons, strict=True)
    ]
    good = (verdicts.Copy.GOOD, verdicts.Copy.NEWER)
    return {
        "comparison": witness.comparison.pk,
        "cells": row.cells,
        "judged": row.judged,
        "copies": copies,
        "votes": ruling.votes,
        "all_votes": ruling.all_votes,
        "damaged": [one["replica"] for one in copies if one["copy"] == verdicts.Copy.DAMAGED],
        "good": [one["name"] for one in copies if one["copy"] in good],
        "alike": row.alike,
    }


def spread(witness: Witness, row: Row | None, life: Life, before: dict[str, Any]) -> dict[str, Any]:
    """The facts of a path of which no good copy is left, in the form of `evidence`: what was damaged in `before` is
    damaged wherever it lies now. `row` is what diverges there still, such as that it is missing somewhere."""
    reasons = {one["replica"]: one["why"] for one in before["copies"] if one["copy"] == verdicts.Copy.DAMAGED}
    damage = {_content(one) for one in before["copies"] if one["copy"] == verdicts.Copy.DAMAGED}
    copies = []
    for at, seat in sorted(witness.seats.items()):
        one = _copy(seat, row.cells[at - 1] if row else "", verdicts.Copy.NOTHING, None, life.get(at, []), None)
        there = "type" in one
        one["cell"] = one["cell"] or (Divergence.Cell.HERE if there else Divergence.Cell.UNWANTED).value
        if there and _content(one) in damage:
            why = reasons.get(seat.replica_id) or verdicts.Why.SPREAD.value
            one |= {"copy": verdicts.Copy.DAMAGED.value, "why": why}
        copies.append(one)
    return {
        "comparison": witness.comparison.pk,
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
    return one.get("type"), one.get("sha256"), None if one.get("type") == FILE else one.get("detail")


def _copy(
    seat: Participant,
    cell: str,
    copy: Divergence.Copy,
    why: verdicts.Why | None,
    life: Sequence[Moment],
    other: str | None,
) -> dict[str, Any]:
    last, now = life[-1] if life else None, held(seat, life)
    return {
        "replica": seat.replica_id,
        "name": name(seat),
        "standing": seat.standing,
        "run": _sequence(seat),
        "cell": cell,
        "copy": copy.value,
        "why": why.value if why else None,
        "other": other,
        "ended": last.until_seq if last is not None and now is None else None,
        **(_what(now) if now is not None else {}),
    }


def _said(row: Row, copy: Divergence.Copy, why: verdicts.Why | None) -> tuple[Divergence.Copy, verdicts.Why | None]:
    """Where there is one content, nothing is said of it but that it is damaged."""
    if row.kind == Divergence.Kind.MISMATCH or copy == Divergence.Copy.DAMAGED:
        return copy, why
    return Divergence.Copy.NOTHING, None


def _what(moment: Moment) -> dict[str, Any]:
    return {
        "type": moment.type, "sha256": moment.sha256, "size": moment.size, "mtime_ns": moment.mtime_ns,
        "detail": moment.detail, "stage": moment.stage, "since": moment.from_seq, "confirmed": bool(moment.confirmed),
    }  # fmt: skip


def _sequence(seat: Participant) -> int:
    assert seat.run is not None
    return seat.run.sequence
