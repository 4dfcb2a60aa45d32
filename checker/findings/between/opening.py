"""Findings between replicas: opened, kept and closed by each comparison of the newest runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checker.divergences import queries as divergences
from checker.divergences import standing, verdicts
from checker.divergences.judging import ruling_of
from checker.divergences.queries import Life, Row
from checker.findings import queries, trail
from checker.findings.between import store
from checker.findings.between.queries import Pick
from checker.findings.queries import Branch
from checker.models import Act, Divergence, Finding, GroupComparison, Participant
from scanner.models import Run

LINES = 20
"""One kind is told in no more lines; a damaged copy is told file by file."""
BATCH = 500


class Witness:
    """A comparison with those who take part in it."""

    def __init__(self, comparison: GroupComparison) -> None:
        self.comparison = comparison
        found = comparison.participants.filter(run__isnull=False).select_related("replica__server", "run")
        self.seats = {one.position: one for one in found}
        self.sides = standing.sides(self.seats.values())
        self.voters = {at: one.voter for at, one in self.seats.items() if one.voter}

    @property
    def run(self) -> Run:
        """The run that came last: by it the comparison says what it says."""
        runs = [one.run for one in self.seats.values() if one.run is not None]
        return max(runs, key=lambda run: (run.received_at, run.pk))

    def replicas(self, positions: Sequence[int]) -> list[int]:
        """The replicas that sit there."""
        return [self.seats[position].replica_id for position in positions]


def reconcile(comparison: GroupComparison) -> None:
    """Open findings of what diverges and is told by none, renew those that go on, resolve those that are over.

    Call in the transaction that keeps the divergences.
    """
    witness = Witness(comparison)
    _open_damaged(witness)
    for kind in (Divergence.Kind.MISMATCH, Divergence.Kind.LOST):
        if comparison.counts.get(kind):
            _open_folded(witness, Pick(comparison.pk, kind))
    there = [one.replica_id for one in witness.seats.values()]
    for finding in store.renew(comparison, witness.run, there):
        trail.note(finding, Act.What.RESOLVED, run=witness.run)


def _open_damaged(witness: Witness) -> None:
    """A damaged copy is never folded away: each path has a finding of its own."""
    wish = divergences.Wish((Divergence.Kind.MISMATCH,), Divergence.Verdict.DAMAGED)
    after, going = "", witness.comparison.counts.get(Divergence.Verdict.DAMAGED, 0) > 0
    while going:
        rows, after = divergences.page(witness.comparison.pk, wish, after, BATCH)
        fresh = [row for row in rows if row.finding is None and row.current]
        lives = divergences.lives(witness.sides, [row.path for row in fresh])
        for row in fresh:
            _open_path(witness, row, lives[row.path], Finding.Severity.CRITICAL)
        going = bool(after)


def _open_path(witness: Witness, row: Row, life: Life, severity: Finding.Severity) -> None:
    facts = evidence(witness, row, life)
    pick = Pick(witness.comparison.pk, Divergence.Kind(row.kind), row.verdict)
    _open(witness, pick, Branch(row.path, False, 1), severity, facts)


def _open_folded(witness: Witness, pick: Pick) -> None:
    for branch in queries.fold(pick, LINES):
        if branch.folded:
            _open(witness, pick, branch, Finding.Severity.WARNING, {"comparison": witness.comparison.pk})
            continue
        row = store.row(witness.comparison.pk, branch.path)
        life = divergences.lives(witness.sides, [row.path])[row.path]
        _open_path(witness, row, life, Finding.Severity.WARNING)


def _open(witness: Witness, pick: Pick, branch: Branch, severity: Finding.Severity, facts: dict[str, Any]) -> None:
    """The open finding of this kind and path, begun or seen again."""
    group, run = witness.comparison.group, witness.run
    same = {"group": group, "replica": None, "kind": pick.kind.value, "path": branch.path, "folded": branch.folded}
    finding = Finding.objects.select_for_update().filter(**same, state=Finding.State.OPEN).first()
    what = Act.What.SEEN_AGAIN
    if finding is None:
        what = Act.What.OPENED
        finding = Finding.objects.create(
            **same, severity=severity, number=branch.number, first_run=run, last_run=run, evidence=facts
        )
    positions = store.take(pick, finding)
    finding.concerns, finding.last_run = witness.replicas(positions), run
    finding.severity, finding.evidence = max(finding.severity, severity), facts | {"names": _names(witness, positions)}
    finding.save(update_fields=["concerns", "last_run", "severity", "evidence"])
    trail.note(finding, what, run=run)


def _names(witness: Witness, positions: Sequence[int]) -> list[str]:
    return [name(witness.seats[position]) for position in positions]


def name(seat: Participant) -> str:
    """How a replica is called in words."""
    return f"{seat.replica.server.name}:{seat.replica.root}"


def evidence(witness: Witness, row: Row, life: Life) -> dict[str, Any]:
    """What the words of a path are made of: each copy, what is said of it, and why."""
    ruling = ruling_of(witness.sides, witness.voters, life)
    copies = [
        _copy(seat, row.cells[at - 1], copy, why, life.get(at, []), row.others.get(str(at)))
        for (at, seat), copy, why in zip(sorted(witness.seats.items()), ruling.copies, ruling.reasons, strict=True)
    ]
    good = (verdicts.Copy.GOOD, verdicts.Copy.NEWER)
    return {
        "comparison": witness.comparison.pk,
        "copies": copies,
        "votes": ruling.votes,
        "all_votes": ruling.all_votes,
        "damaged": [one["replica"] for one in copies if one["copy"] == verdicts.Copy.DAMAGED],
        "good": [one["name"] for one in copies if one["copy"] in good],
        "alike": row.alike,
    }


def _copy(
    seat: Participant,
    cell: str,
    copy: Divergence.Copy,
    why: verdicts.Why | None,
    life: Sequence[Any],
    other: str | None,
) -> dict[str, Any]:
    last = life[-1] if life else None
    there = last is not None and (last.until_seq is None or last.until_seq > _sequence(seat))
    return {
        "replica": seat.replica_id,
        "name": name(seat),
        "standing": seat.standing,
        "run": _sequence(seat),
        "cell": cell,
        "copy": copy.value,
        "why": why.value if why else None,
        "other": other,
        "ended": last.until_seq if last is not None and not there else None,
        **(_what(last) if last is not None and there else {}),
    }


def _what(moment: Any) -> dict[str, Any]:
    return {
        "type": moment.type, "sha256": moment.sha256, "size": moment.size, "mtime_ns": moment.mtime_ns,
        "detail": moment.detail, "since": moment.from_seq, "confirmed": bool(moment.confirmed),
    }  # fmt: skip


def _sequence(seat: Participant) -> int:
    assert seat.run is not None
    return seat.run.sequence
