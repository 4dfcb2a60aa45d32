"""Find groups, runs and replicas by the names that people give them on a command line."""

from __future__ import annotations

from uuid import UUID

from scanner.models import Group, Replica, Run


def find_group(name: str) -> Group:
    """Return the group of this name or uuid. Raise LookupError, in one sentence, when there is none."""
    group = Group.objects.filter(name=name).first()
    if group is not None:
        return group
    try:
        group = Group.objects.filter(uuid=UUID(name)).first()
    except ValueError:
        group = None  # neither a name nor a uuid

    if group is None:
        raise LookupError(f"there is no group {name[:100]!r}")
    return group


def find_run(name: str) -> Run:
    """Return the run of RUN-UUID or REPLICA-UUID:NUMBER. Raise LookupError, in one sentence, when there is none."""
    uuid, colon, number = name.partition(":")
    runs = Run.objects.select_related("replica__server", "replica__group", "key")
    try:
        if colon:
            run = runs.filter(replica__uuid=UUID(uuid), sequence=int(number)).first()
        else:
            run = runs.filter(uuid=UUID(uuid)).first()
    except ValueError as error:
        raise LookupError(f"{name[:100]!r} names no run: give RUN-UUID or REPLICA-UUID:NUMBER") from error

    if run is None:
        raise LookupError(f"there is no run {name[:100]}")
    return run


def find_replica(name: str) -> Replica:
    """Return the replica of this uuid. Raise LookupError, in one sentence, when there is none."""
    try:
        replica = Replica.objects.filter(uuid=UUID(name)).first()
    except ValueError as error:
        raise LookupError(f"{name[:100]!r} names no replica: give its uuid") from error

    if replica is None:
        raise LookupError(f"there is no replica {name[:100]}")
    return replica
