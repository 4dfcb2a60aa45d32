"""Choose who takes part in a comparison of a group's replicas: by which run, and whether with a vote."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery

from checker.divergences.compare import ComparedReplica
from checker.models import Comparison, Finding, KnownDamage, Participant
from checker.proofs.distrust import is_distrusted
from scanner import scopes
from scanner.format.envelope import open_envelope
from scanner.format.errors import ExcludeError, ReportError
from scanner.format.excludes import Excludes, parse_excludes
from scanner.format.statement import Statement, read_statement
from scanner.intervals import grace, next_run_due
from scanner.models import Group, Replica, Run

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

logger = logging.getLogger(__name__)

SHARED_FILESYSTEMS = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.sshfs",
        "gfs2",
        "lustre",
        "nfs",
        "nfs3",
        "nfs4",
        "ocfs2",
        "smb2",
        "smb3",
        "smbfs",
    }
)
"""File systems that several servers mount at once. They see the same bytes, so they have one vote."""
UNSUCCESSFUL = frozenset({Run.State.FAILED, Run.State.REFUSED, Run.State.SET_ASIDE})


class RunIds(TypedDict):
    """The columns that `_replicas_with_runs` adds to a row."""

    chosen_id: int | None
    """The newest run that is proven and compared."""
    newest_id: int | None


if TYPE_CHECKING:
    ReplicaWithRuns = WithAnnotations[Replica, RunIds]


@dataclass(frozen=True)
class GroupMember:
    """A replica of the group with the run by which it takes part."""

    replica: Replica
    run: Run | None
    status: Participant.Status

    @cached_property
    def statement(self) -> Statement | None:
        """The statement that the run's server signed. None for an unsigned import."""
        try:
            return self._read_statement()
        except ReportError:
            return None  # somebody changed the row, and its proof says so

    @property
    def voter(self) -> str:
        """The same text for all that have one vote together.

        These are replicas on one file system of one server, or on one file system that several servers mount.
        """
        filesystem: dict[str, Any] = {}
        if self.statement is not None:
            filesystem = self.statement.host["filesystem"]

        kind = filesystem.get("type") or ""
        name = filesystem.get("id") or ""

        if kind in SHARED_FILESYSTEMS and name:
            return f"{kind} {name}"

        # A file system that names no id is told from others of its server by its mount point.
        return f"{self.replica.server.uuid} {name or filesystem.get('mount_point') or ''}"

    @property
    def has_vote(self) -> bool:
        """The run stands for what the replica has now."""
        return self.status == Participant.Status.CURRENT

    def compared(self, position: int) -> ComparedReplica:
        """Return the member as SQL needs it."""
        assert self.run is not None

        # A digest of the uuid, since ids of rows are few and small: marks are made of these by exclusive or.
        identity = int.from_bytes(hashlib.sha256(self.replica.uuid.bytes).digest()[:8], "big", signed=True)
        return ComparedReplica(
            position=position,
            replica_id=self.replica.pk,
            run_id=self.run.pk,
            sequence=self.run.sequence,
            has_vote=self.has_vote,
            identity=identity,
            entries=self.run.records_count,
            read_since=self._read_since(self.run),
            on_hold=self.status == Participant.Status.HELD,
            created_at=self.replica.created_at,
            place=self.voter,
        )

    def _read_since(self, run: Run) -> datetime:
        """Return when a run began at the latest: its server's clock may be fast, and its report may have waited."""
        return min(run.started_at, run.received_at - (run.finished_at - run.started_at))

    def excludes(self) -> Excludes | None:
        """Return what the run left out, or None when that is not known."""
        if self.statement is None:
            return None
        scope = scopes.find_scope(bytes.fromhex(self.statement.config))
        if scope is None:
            return None
        try:
            return parse_excludes(scope.excludes)
        except ExcludeError:
            return None  # somebody changed the row: nothing is known

    def check(self) -> None:
        """Raise what is wrong with the statement, or what it would raise in the course of a comparison."""
        if self.run is not None:
            self._read_statement()
            self.compared(1)
            self.excludes()

    def _read_statement(self) -> Statement | None:
        if self.run is None or self.run.envelope is None:
            return None
        return read_statement(open_envelope(bytes(self.run.envelope)).payload)


def read_members(
    groups: Iterable[Group], now: datetime, moment: datetime | None = None
) -> dict[int, list[GroupMember]]:
    """Return the replicas in use of each group: those with a run first, each in the order of their making.

    `moment` takes the runs that had arrived by then.
    """
    until = moment or now
    replicas = list(_replicas_with_runs(moment).filter(group__in=list(groups)).order_by("pk"))

    run_ids = {replica.chosen_id for replica in replicas} | {replica.newest_id for replica in replicas}
    runs = Run.objects.defer("envelope").in_bulk([run_id for run_id in run_ids if run_id])

    # One query for each question about all replicas, since the overview asks for every group at once.
    on_hold = set(_mass_changes(until).values_list("replica", flat=True))
    unproven = Run.objects.filter(replica__in=replicas, proof__ok=False).exclude(is_distrusted())
    broken = set(unproven.values_list("replica", flat=True))
    # An older run has the vote again only when nothing that may be forged has come since.
    sequences = {replica.pk: runs[replica.chosen_id].sequence for replica in replicas if replica.chosen_id}
    broken |= _replicas_with_distrusted_end(sequences)

    members: dict[int, list[GroupMember]] = {}
    for replica in replicas:
        run = runs.get(replica.chosen_id or 0)
        status = _decide_status(
            replica,
            run,
            runs.get(replica.newest_id or 0),
            until,
            on_hold=replica.pk in on_hold,
            broken=replica.pk in broken,
        )
        members.setdefault(replica.group_id, []).append(GroupMember(replica, run, status))

    for group_members in members.values():
        _sort(group_members)
    return members


def leave_out_unusable(members: list[GroupMember]) -> list[GroupMember]:
    """Return members as a comparison takes them: one whose statement cannot be used has neither run nor vote."""
    usable = [_usable(member) for member in members]
    _sort(usable)
    return usable


def _sort(members: list[GroupMember]) -> None:
    # Replicas without a run come last: positions in what is stored are those of replicas with a run.
    members.sort(key=lambda member: member.run is None)


def _usable(member: GroupMember) -> GroupMember:
    try:
        member.check()
    except (DatabaseError, InterfaceError):
        raise  # says nothing of the statement: the comparison waits
    # A server wrote the statement, and may find a form that no reader foresaw: it must lose its own vote only.
    except Exception:
        logger.exception("replica %s takes no part in comparisons: its statement cannot be used", member.replica.uuid)
        return GroupMember(member.replica, None, Participant.Status.UNUSABLE)
    return member


class Declarations(NamedTuple):
    """The number of known damages of a group that people ended, and when the last one was."""

    number: int
    newest: datetime


def read_declarations(groups: Iterable[Group]) -> dict[int, Declarations]:
    """Return group → what people declared good there. Groups without a declaration are left out."""
    ended = KnownDamage.objects.filter(group__in=list(groups), ended_at__isnull=False)
    rows = ended.values_list("group").annotate(Count("pk"), Max("ended_at"))
    return {group_id: Declarations(number, newest) for group_id, number, newest in rows}


def comparison_basis(group: Group, members: list[GroupMember], declarations: Declarations | None) -> str:
    """Return all that a comparison rests on, as text. When it changes, the comparison is made anew."""
    facts = []
    for member in members:
        replica = member.replica
        run_id = member.run.pk if member.run else None
        facts.append([replica.pk, run_id, member.status, replica.leads, replica.keeps])
    basis: list[Any] = [group.relation, group.lag.total_seconds(), facts]
    if declarations is not None:
        basis.append([declarations.number, declarations.newest.isoformat()])
    return json.dumps(basis)


def compared_replicas(participants: Iterable[Participant]) -> list[ComparedReplica]:
    """Return participants that have a run as SQL needs them."""
    replicas = []
    for participant in participants:
        member = GroupMember(participant.replica, participant.run, Participant.Status(participant.status))
        replicas.append(member.compared(participant.position))
    return replicas


def _replicas_with_runs(moment: datetime | None) -> QuerySet[ReplicaWithRuns]:
    """Return replicas in use, each with its newest run that is proven and compared, and with its newest run."""
    runs = Run.objects.filter(replica=OuterRef("pk")).order_by("-sequence")
    if moment is not None:
        runs = runs.filter(received_at__lte=moment)

    is_proven = Q(proof__ok=True) | Q(replica__origin=Replica.Origin.UNSIGNED)
    ended = [Comparison.State.DONE, Comparison.State.SET_ASIDE]
    is_compared = Q(comparisons__adjacent=True, comparisons__state__in=ended)
    complete = runs.filter(is_proven, is_compared, state=Run.State.INGESTED)

    in_use = Replica.objects.filter(archived_at=None, group__archived_at=None, server__archived_at=None)
    return in_use.prefetch_related("group", "server").annotate(
        chosen_id=Subquery(complete.values("pk")[:1]), newest_id=Subquery(runs.values("pk")[:1])
    )


def _replicas_with_distrusted_end(sequences: dict[int, int]) -> set[int]:
    """Return the replicas in which runs of a compromised key follow the chosen run: `sequences` has its number."""
    newest = (
        Run.objects.filter(is_distrusted(), replica__in=sequences, state=Run.State.INGESTED)
        .order_by()
        .values_list("replica")
        .annotate(Max("sequence"))
    )
    return {replica_id for replica_id, sequence in newest if sequence >= sequences[replica_id]}


def _mass_changes(moment: datetime) -> QuerySet[Finding]:
    """Return the findings that put a replica on hold at a moment."""
    opened = Finding.objects.filter(kind=Finding.Kind.MASS_CHANGE, opened_at__lte=moment)
    return opened.filter(Q(state=Finding.State.OPEN) | Q(closed_at__gt=moment))


def _decide_status(
    replica: Replica, run: Run | None, newest: Run | None, moment: datetime, *, on_hold: bool, broken: bool
) -> Participant.Status:
    """Return whether a run stands for what the replica has at a moment, or else why not."""
    if run is None:
        return Participant.Status.NONE

    # The first reason that applies is shown: a replica that is switched off is late, too, and the switch explains it.
    if replica.origin == Replica.Origin.UNSIGNED:
        return Participant.Status.UNSIGNED
    if not replica.enabled:
        return Participant.Status.OFF
    if on_hold or replica.server.held_at is not None:
        return Participant.Status.HELD
    if broken:
        return Participant.Status.BROKEN
    if newest is not None and newest.state in UNSUCCESSFUL:
        return Participant.Status.FAILED

    expected = next_run_due(replica, run)
    if expected is not None and moment - expected > grace(replica.group.expected_interval):
        return Participant.Status.STALE
    return Participant.Status.CURRENT
