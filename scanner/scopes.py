"""Record what the digest of a run's configuration stands for: excludes and options, when they are handed out."""

from __future__ import annotations

from scanner.format.errors import ExcludeError
from scanner.format.excludes import parse_excludes, scope_digest
from scanner.models import Group, Scope


def record_scope(group: Group) -> None:
    """Store the group's present excludes and options under their digest."""
    try:
        patterns = parse_excludes(group.excludes).patterns
    except ExcludeError:
        return  # no collector runs with bad patterns: each refuses them by itself

    digest = bytes.fromhex(scope_digest(patterns, group.cross_mounts))
    Scope.objects.get_or_create(
        digest=digest, defaults={"excludes": group.excludes, "cross_mounts": group.cross_mounts}
    )


def find_scope(digest: bytes) -> Scope | None:
    """Return the excludes and options of a digest; None when they were never handed out here, as for a local run."""
    return Scope.objects.filter(digest=digest).first()
