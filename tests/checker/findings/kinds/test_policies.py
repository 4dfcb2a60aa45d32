"""Hold the whole table of what is a finding, by the group's policy and by what became of a path."""

from __future__ import annotations

from typing import Any

import pytest

from checker.models import Finding
from scanner.format.records import Record
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.findings.staging import open_findings
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, file
from tests.scanner.factories import error_row, link_row

pytestmark = pytest.mark.django_db(transaction=True)
POLICIES = ("mutable", "append_only", "immutable", "rotating")

# What a path is at first, what it is then, and the policies under which that is a finding.
TABLE: dict[str, tuple[list[Record], list[Record], set[str]]] = {
    "corrupted": ([file("x", b"old")], [file("x", b"new")], set(POLICIES)),
    "rewritten": ([file("x", b"old")], [file("x", b"new")], set(POLICIES)),
    "unreadable": ([file("x", b"old")], [error_row("x")], set(POLICIES)),
    "removed": ([file("x", b"old")], [], {"append_only", "immutable"}),
    "modified": ([file("x", b"old")], [file("x", b"new", mtime_ns=LATER_MTIME)], {"append_only", "immutable"}),
    "retyped": ([file("x", b"old")], [link_row("x", "y")], {"append_only", "immutable"}),
    "moved": ([file("x", b"old")], [file("z", b"old")], {"append_only", "immutable"}),
    "added": ([], [file("x", b"new")], {"immutable"}),
    "touched": ([file("x", b"old")], [file("x", b"old", mode=0o100600)], {"immutable"}),
    "readable": ([error_row("x")], [file("x", b"new")], set()),
}


def group_fields(policy: str) -> dict[str, Any]:
    """Return the fields of a group with a policy, in which nothing is a mass change."""
    fields: dict[str, Any] = {"policy": policy, "limit_files": 1000}
    if policy == "rotating":
        fields["keep_days"] = 30
    return fields


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", TABLE)
def test_the_table(policy: str, kind: str) -> None:
    """Each kind of change opens a finding exactly under the policies that say so, and damage alone is critical."""
    before, after, policies = TABLE[kind]
    replica = StagedReplica(**group_fields(policy))
    first = replica.run([file("keep"), *before])
    notes = [confirmed_note("x", str(first.uuid))] if kind == "corrupted" else []
    replica.run([file("keep"), *after, *notes])

    path = "z" if kind == "moved" else "x"
    assert open_findings(replica) == ([(kind, path, 1)] if policy in policies else [])
    severities = {finding.severity for finding in Finding.objects.filter(state=Finding.State.OPEN)}
    assert severities <= {Finding.Severity.CRITICAL if kind == "corrupted" else Finding.Severity.WARNING}


@pytest.mark.parametrize("policy", POLICIES)
def test_an_earlier_content(policy: str) -> None:
    """A path with the content before its last change is a finding where nothing should change."""
    replica = StagedReplica(**group_fields(policy))
    for number, content in enumerate((b"1", b"2", b"3", b"2")):
        replica.run([file("keep"), file("x", content, mtime_ns=LATER_MTIME + number)])
    kinds = {kind for kind, _path, _number in open_findings(replica)}
    assert kinds == ({"modified", "reverted"} if policy in ("append_only", "immutable") else set())
