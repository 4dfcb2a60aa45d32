"""Find where to look for duplicates: in one replica, or in all replicas in use of a group, at their newest runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from scanner.db.complete_runs import newest_complete_runs
from scanner.models import Group, Replica, Run


@dataclass(frozen=True)
class Place:
    """A replica or a group, with the newest complete run of each replica."""

    group: Group
    replica: Replica | None
    """None: the whole group."""
    runs: tuple[Run, ...]
    """In the order of the names of their replicas."""
    replicas_without_run: tuple[Replica, ...]
    """Replicas that have no complete run yet: nothing is known of them."""

    @property
    def uuid(self) -> UUID:
        """The uuid of the replica, or of the group."""
        return (self.replica or self.group).uuid


def find_replica(uuid: UUID) -> Place:
    """Return one replica, archived or not. Raise LookupError when there is none."""
    replica = Replica.objects.select_related("group", "server").filter(uuid=uuid).first()
    if replica is None:
        raise LookupError(f"there is no replica {uuid}")
    return _make_place(replica.group, replica, [replica])


def find_group(uuid: UUID) -> Place:
    """Return the replicas in use of a group. Raise LookupError when there is no such group."""
    group = Group.objects.filter(uuid=uuid).first()
    if group is None:
        raise LookupError(f"there is no group {uuid}")
    return _place_of_group(group)


def find_place(name: str) -> Place:
    """Return what a person names: a replica by its uuid, a group by name or uuid. Raise LookupError in one sentence."""
    # A name comes first: a group may be called like a uuid.
    group = Group.objects.filter(name=name).first()
    if group is not None:
        return _place_of_group(group)

    try:
        uuid = UUID(name)
    except ValueError as error:
        raise LookupError(f"there is no group {name[:100]!r}; a replica is named by its uuid") from error

    if Replica.objects.filter(uuid=uuid).exists():
        return find_replica(uuid)
    if not Group.objects.filter(uuid=uuid).exists():
        raise LookupError(f"there is no replica and no group {uuid}")
    return find_group(uuid)


def _place_of_group(group: Group) -> Place:
    in_use = Replica.objects.filter(group=group, archived_at=None, group__archived_at=None, server__archived_at=None)
    replicas = in_use.select_related("group", "server").order_by("server__name", "root")
    return _make_place(group, None, list(replicas))


def _make_place(group: Group, replica: Replica | None, replicas: Sequence[Replica]) -> Place:
    newest = {run.replica_id: run.run_id for run in newest_complete_runs([candidate.pk for candidate in replicas], 1)}
    runs = Run.objects.defer("envelope").select_related("replica__server", "replica__group").in_bulk(newest.values())

    return Place(
        group,
        replica,
        runs=tuple(runs[newest[replica.pk]] for replica in replicas if replica.pk in newest),
        replicas_without_run=tuple(replica for replica in replicas if replica.pk not in newest),
    )
