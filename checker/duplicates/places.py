"""Where duplicates are looked for: one replica, or all replicas in use of a group, each at its newest complete run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from checker.pages import replica_facts
from scanner.models import Group, Replica, Run

if TYPE_CHECKING:
    from checker.pages.replica_facts import AnnotatedReplica


@dataclass(frozen=True)
class Place:
    """A replica or a group; `runs` are of the replicas that have a complete run, in the order of their names."""

    group: Group
    replica: Replica | None
    runs: tuple[Run, ...]
    replicas_without_run: tuple[Replica, ...]
    """Replicas that have no complete run yet: nothing is known of them."""

    @property
    def uuid(self) -> UUID:
        """Of the replica, or of the group."""
        return (self.replica or self.group).uuid


def find_replica(uuid: UUID) -> Place:
    """One replica, archived or not; LookupError when there is none."""
    replica = replica_facts.all_replicas().filter(uuid=uuid).first()
    if replica is None:
        raise LookupError(f"there is no replica {uuid}")
    return _place(replica.group, replica, [replica])


def find_group(uuid: UUID) -> Place:
    """The replicas in use of a group; LookupError when there is no such group."""
    group = Group.objects.filter(uuid=uuid).first()
    if group is None:
        raise LookupError(f"there is no group {uuid}")
    return _of(group)


def find_place(name: str) -> Place:
    """What a person names: a replica by its uuid, a group by name or uuid; LookupError in one sentence."""
    group = Group.objects.filter(name=name).first()
    if group is not None:
        return _of(group)
    try:
        uuid = UUID(name)
    except ValueError as error:
        raise LookupError(f"there is no group {name[:100]!r}; a replica is named by its uuid") from error
    if Replica.objects.filter(uuid=uuid).exists():
        return find_replica(uuid)
    if not Group.objects.filter(uuid=uuid).exists():
        raise LookupError(f"there is no replica and no group {uuid}")
    return find_group(uuid)


def _of(group: Group) -> Place:
    found = replica_facts.replicas_in_use().filter(group=group).order_by("server__name", "root")
    return _place(group, None, found)


def _place(group: Group, replica: Replica | None, found: Iterable[AnnotatedReplica]) -> Place:
    found = list(found)
    runs = (
        Run.objects.defer("envelope")
        .select_related("replica__server", "replica__group")
        .in_bulk([one.complete_id for one in found if one.complete_id])
    )
    complete = tuple(runs[one.complete_id] for one in found if one.complete_id in runs)
    return Place(group, replica, complete, tuple(one for one in found if one.complete_id not in runs))
