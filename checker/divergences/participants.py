"""Who takes part in a comparison of a group's replicas: by which run, and whether with a vote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

from django.db.models import OuterRef, Q, QuerySet, Subquery

from checker.divergences.compare import ComparedReplica
from checker.models import Comparison, Finding, Participant
from scanner import scopes
from scanner.format.envelope import open_envelope
from scanner.format.errors import ExcludeError, ReportError
from scanner.format.excludes import Excludes, parse_excludes
from scanner.format.statement import Statement, read_statement
from scanner.intervals import grace, next_run_due
from scanner.models import Group, Replica, Run

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

Standing = Participant.Standing
SHARED = frozenset(
    (
        *("nfs", "nfs3", "nfs4", "cifs", "smb2", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.ceph", "fuse.glusterfs"),
        *("fuse.sshfs", "lustre", "beegfs", "gfs2", "ocfs2"),
    )
)
"""File systems that several servers mount at once: they see the same bytes, and have one vote."""
OVER = frozenset({Run.State.FAILED, Run.State.REFUSED, Run.State.SET_ASIDE})


class Runs(TypedDict):
    """What `_replicas` adds to a row."""

    chosen_id: int | None
    newest_until_id: int | None


if TYPE_CHECKING:
    Found = WithAnnotations[Replica, Runs]


@dataclass(frozen=True)
class Member:
    """A replica of the group, and the run by which it takes part."""

    replica: Replica
    run: Run | None
    standing: Participant.Standing

    @cached_property
    def statement(self) -> Statement | None:
        """What the run's server signed; None for an unsigned import."""
        if self.run is None or self.run.envelope is None:
            return None
        try:
            return read_statement(open_envelope(bytes(self.run.envelope)).payload)
        except ReportError:
            return None  # somebody changed the row: the proof says that

    @property
    def voter(self) -> str:
        """Who shares the server and the file system, or a file system that several servers mount, has one vote."""
        filesystem = (self.statement.host.get("filesystem") if self.statement else None) or {}
        kind, name = str(filesystem.get("type", "")), str(filesystem.get("id", ""))
        if kind in SHARED and name:
            return f"{kind} {name}"
        return f"{self.replica.server.uuid} {name or filesystem.get('mount', '')}"

    @property
    def has_vote(self) -> bool:
        """Whether it stands for what is there now."""
        return self.standing == Standing.CURRENT

    def side(self, position: int) -> ComparedReplica:
        """As SQL needs it."""
        assert self.run is not None
        identity = int.from_bytes(hashlib.sha256(self.replica.uuid.bytes).digest()[:8], "big", signed=True)
        return ComparedReplica(
            position, self.replica.pk, self.run.pk, self.run.sequence, self.has_vote, identity, self.run.records_count
        )

    def excludes(self) -> Excludes | None:
        """What the run left out; None where that is not known."""
        scope = scopes.find_scope(bytes.fromhex(self.statement.config)) if self.statement else None
        try:
            return parse_excludes(scope.excludes) if scope else None
        except ExcludeError:
            return None  # a row that somebody changed: then nothing is known


def members(groups: Iterable[Group], now: datetime, moment: datetime | None = None) -> dict[int, list[Member]]:
    """By group the replicas in use, those with a run first, each in the order of their making."""
    at = moment or now
    found = list(_replicas(moment).filter(group__in=list(groups)).order_by("pk"))
    runs = Run.objects.defer("envelope").in_bulk(
        {pk for one in found for pk in (one.chosen_id, one.newest_until_id) if pk}
    )
    held = set(_held(at).values_list("replica", flat=True))
    broken = set(Run.objects.filter(replica__in=found, proof__ok=False).values_list("replica", flat=True))
    by_group: dict[int, list[Member]] = {}
    for one in found:
        run, newest = runs.get(one.chosen_id or 0), runs.get(one.newest_until_id or 0)
        standing = _standing(one, run, newest, at, held=one.pk in held, broken=one.pk in broken)
        by_group.setdefault(one.group_id, []).append(Member(one, run, standing))
    for some in by_group.values():
        some.sort(key=lambda member: member.run is None)
    return by_group


def basis(group: Group, some: list[Member]) -> str:
    """All that a comparison rests on, as text: when it is another one, the comparison is made anew."""
    said = [
        [one.replica.pk, one.run.pk if one.run else None, one.standing, one.replica.leads, one.replica.keeps]
        for one in some
    ]
    return json.dumps([group.relation, group.lag.total_seconds(), said])


def sides(seats: Iterable[Participant]) -> list[ComparedReplica]:
    """Participants that have a run, as SQL needs them."""
    return [Member(one.replica, one.run, Standing(one.standing)).side(one.position) for one in seats]


def _replicas(moment: datetime | None) -> QuerySet[Found]:
    """Replicas in use with their newest run that is proven and compared, and with their newest one."""
    runs = Run.objects.filter(replica=OuterRef("pk")).order_by("-sequence")
    if moment is not None:
        runs = runs.filter(received_at__lte=moment)
    proven = Q(proof__ok=True) | Q(replica__origin=Replica.Origin.UNSIGNED)
    over = [Comparison.State.DONE, Comparison.State.SET_ASIDE]
    compared = Q(comparisons__adjacent=True, comparisons__state__in=over)
    whole = runs.filter(proven, compared, state=Run.State.INGESTED)
    in_use = Replica.objects.filter(archived_at=None, group__archived_at=None, server__archived_at=None)
    return in_use.prefetch_related("group", "server").annotate(
        chosen_id=Subquery(whole.values("pk")[:1]), newest_until_id=Subquery(runs.values("pk")[:1])
    )


def _held(at: datetime) -> QuerySet[Finding]:
    opened = Finding.objects.filter(kind=Finding.Kind.MASS_CHANGE, opened_at__lte=at)
    return opened.filter(Q(state=Finding.State.OPEN) | Q(closed_at__gt=at))


def _standing(
    replica: Replica, run: Run | None, newest: Run | None, at: datetime, *, held: bool, broken: bool
) -> Participant.Standing:
    if run is None:
        return Standing.NONE
    if replica.origin == Replica.Origin.UNSIGNED:
        return Standing.UNSIGNED
    if not replica.enabled:
        return Standing.OFF
    if held or replica.server.held_at is not None:
        return Standing.HELD
    if broken:
        return Standing.BROKEN
    if newest is not None and newest.state in OVER:
        return Standing.FAILED
    expected = next_run_due(replica, run)
    late = expected is not None and at - expected > grace(replica.group.expected_interval)
    return Standing.STALE if late else Standing.CURRENT
