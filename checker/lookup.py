"""How a person names a group: by its name or its uuid."""

from __future__ import annotations

from uuid import UUID

from scanner.models import Group


def find_group(name: str) -> Group:
    """The group that `name`, its name or its uuid, means; LookupError in one sentence when there is none."""
    found = Group.objects.filter(name=name).first()
    if found is None:
        try:
            found = Group.objects.filter(uuid=UUID(name)).first()
        except ValueError:
            found = None
    if found is None:
        raise LookupError(f"there is no group {name[:100]!r}")
    return found
