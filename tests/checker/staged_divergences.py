"""A group whose replicas diverge in each usual way."""

from __future__ import annotations

from tests.checker.staged_group import StagedGroup
from tests.checker.staged_replica import file
from tests.scanner.factories import error_row


def staged_divergences() -> StagedGroup:
    """Return three compared replicas, the second with a damaged copy, a missing and an unreadable file."""
    group = StagedGroup()
    whole = [file("a", b"good"), file("b/lost", b"1"), file("b/shut", b"2")]
    group.runs(whole, whole, whole)
    group.run(1, [file("a", b"bad"), error_row("b/shut")], rotten=["a"])
    group.compare()
    return group
