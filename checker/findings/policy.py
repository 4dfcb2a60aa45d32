"""What the kind of a group's data makes of a change: which kinds of change are findings, and how grave they are."""

from __future__ import annotations

from datetime import datetime, timedelta

from checker.models import Finding, Kind
from scanner.intervals import grace
from scanner.models import Group

ALWAYS = (Kind.CORRUPTED, Kind.REWRITTEN, Kind.UNREADABLE)
"""Findings whatever the data is."""
OPENS = {
    Group.Policy.MUTABLE: (),
    Group.Policy.APPEND_ONLY: (Kind.REMOVED, Kind.MODIFIED, Kind.REVERTED, Kind.RETYPED, Kind.MOVED),
    Group.Policy.IMMUTABLE: (
        Kind.REMOVED,
        Kind.MODIFIED,
        Kind.REVERTED,
        Kind.RETYPED,
        Kind.MOVED,
        Kind.ADDED,
        Kind.TOUCHED,
    ),
    Group.Policy.ROTATING: (Kind.REMOVED,),
}
"""What else is a finding. Of rotating data only what was removed before its age."""
CHANGED = (Kind.CORRUPTED, Kind.REWRITTEN, Kind.MODIFIED, Kind.REVERTED, Kind.RETYPED, Kind.REMOVED)
"""What a mass change is made of."""
BROKEN = frozenset({"EIO", "EUNSTABLE", "EBADMSG", "EUCLEAN"})
"""Errors of a damaged medium, or of the way to it: EBADMSG and EUCLEAN are what file systems' own checksums say."""
RESTLESS_RUNS = 3
"""A file that changes while it is read becomes a finding after so many complete runs in a row."""


def opens(group: Group) -> tuple[Kind, ...]:
    """The kinds of change that are findings in a group, the gravest first."""
    return (*ALWAYS, *OPENS[Group.Policy(group.policy)])


def severity(kind: Kind | Finding.Kind) -> Finding.Severity:
    """How grave a kind is by itself; an unreadable file can be graver by its error."""
    return Finding.Severity.CRITICAL if kind == Kind.CORRUPTED else Finding.Severity.WARNING


def kept_until(group: Group, finished_at: datetime) -> datetime | None:
    """Files modified after this moment were removed too early; None where removal says nothing of age."""
    if group.policy != Group.Policy.ROTATING or group.keep_days is None:
        return None
    return finished_at - timedelta(days=group.keep_days)


def new_file_due(group: Group, last: datetime) -> datetime:
    """When a rotating group that got its last new file at `last` should have had the next one."""
    return last + group.expected_interval + grace(group.expected_interval)
