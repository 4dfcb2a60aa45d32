"""How a person names a run: by its uuid, or by its replica's uuid and its number."""

from __future__ import annotations

from uuid import UUID

from scanner.models import Run


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
