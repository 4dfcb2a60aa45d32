"""How a person names a run: by its uuid, or by its replica's uuid and its number; and a replica: by its uuid."""

from __future__ import annotations

from uuid import UUID

from scanner.models import Replica, Run


def find_run(name: str) -> Run:
    """The run that `name`, RUN-UUID or REPLICA-UUID:NUMBER, means; LookupError in one sentence when there is none."""
    replica, colon, number = name.partition(":")
    runs = Run.objects.select_related("replica__server", "replica__group", "key")
    try:
        if colon:
            found = runs.filter(replica__uuid=UUID(replica), sequence=int(number)).first()
        else:
            found = runs.filter(uuid=UUID(replica)).first()
    except ValueError as error:
        raise LookupError(f"{name[:100]!r} names no run: give RUN-UUID or REPLICA-UUID:NUMBER") from error
    if found is None:
        raise LookupError(f"there is no run {name[:100]}")
    return found


def find_replica(name: str) -> Replica:
    """The replica of this uuid; LookupError in one sentence when there is none."""
    try:
        found = Replica.objects.filter(uuid=UUID(name)).first()
    except ValueError as error:
        raise LookupError(f"{name[:100]!r} names no replica: give its uuid") from error
    if found is None:
        raise LookupError(f"there is no replica {name[:100]}")
    return found
