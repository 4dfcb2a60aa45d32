"""What the digest of a run's configuration stands for: kept when a group's excludes and options are handed out."""

from __future__ import annotations

from scanner.format.errors import ExcludeError
from scanner.format.excludes import parse_excludes, scope_digest
from scanner.models import Group, Scope


def note(group: Group) -> None:
    """Keep the group's present excludes and options under their digest."""
    try:
        patterns = parse_excludes(group.excludes).patterns
    except ExcludeError:
        return  # no collector runs with them: each refuses them by itself
    digest = bytes.fromhex(scope_digest(patterns, group.cross_mounts))
    Scope.objects.get_or_create(
        digest=digest, defaults={"excludes": group.excludes, "cross_mounts": group.cross_mounts}
    )


def find(digest: bytes) -> Scope | None:
    """The excludes and options of a digest; None when they were never handed out here, as for a local run."""
    return Scope.objects.filter(digest=digest).first()
