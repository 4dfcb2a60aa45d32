"""What is a finding, by what a group's data is and by what became of a path: the whole table."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from checker.models import Finding
from scanner.format.entry_type import EntryType
from scanner.format.records import Entry, Record
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.findings.test_update import told
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, file
from tests.scanner.factories import error_row

pytestmark = pytest.mark.django_db(transaction=True)
POLICIES = ("mutable", "append_only", "immutable", "rotating")


def link(path: str, target: str) -> Entry:
    """The entry of a link."""
    return error_row(path)._replace(type=EntryType.LINK, detail=target, stage=None)


# What stands at first, what stands then, and the policies in which that is a finding.
TABLE: dict[str, tuple[list[Record], list[Record], set[str]]] = {
    "corrupted": ([file("x", b"old")], [file("x", b"new")], set(POLICIES)),
    "rewritten": ([file("x", b"old")], [file("x", b"new")], set(POLICIES)),
    "unreadable": ([file("x", b"old")], [error_row("x")], set(POLICIES)),
    "removed": ([file("x", b"old")], [], {"append_only", "immutable"}),
    "modified": ([file("x", b"old")], [file("x", b"new", mtime_ns=LATER_MTIME)], {"append_only", "immutable"}),
    "retyped": ([file("x", b"old")], [link("x", "y")], {"append_only", "immutable"}),
    "moved": ([file("x", b"old")], [file("z", b"old")], {"append_only", "immutable"}),
    "added": ([], [file("x", b"new")], {"immutable"}),
    "touched": ([file("x", b"old")], [file("x", b"old", mode=0o100600)], {"immutable"}),
    "readable": ([error_row("x")], [file("x", b"new")], set()),
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", TABLE)
def test_the_table(policy: str, kind: str) -> None:
    """Each kind of change opens a finding exactly in the policies that say so, and damage alone is critical."""
    was, now, where = TABLE[kind]
    world = StagedReplica(policy=policy, limit_files=1000, **({"keep_days": 30} if policy == "rotating" else {}))
    first = world.run([file("keep"), *was])
    notes = [confirmed_note("x", str(first.uuid))] if kind == "corrupted" else []
    world.run([file("keep"), *now, *notes])
    opened = [one for one in told(world) if one[0] == kind]
    assert opened == ([(kind, "z" if kind == "moved" else "x", 1)] if policy in where else [])
    assert told(world) == opened
    assert {one.severity for one in Finding.objects.filter(kind=kind, state="open")} <= {
        Finding.Severity.CRITICAL if kind == "corrupted" else Finding.Severity.WARNING
    }


@pytest.mark.parametrize("policy", POLICIES)
def test_an_earlier_content(policy: str) -> None:
    """What holds again what it held before its last change is a finding where nothing should change."""
    world = StagedReplica(policy=policy, limit_files=1000, **({"keep_days": 30} if policy == "rotating" else {}))
    for at, content in enumerate((b"1", b"2", b"3", b"2")):
        world.run([file("keep"), file("x", content, mtime_ns=LATER_MTIME + at)])
    kinds = {kind for kind, _path, _number in told(world)}
    assert kinds == ({"modified", "reverted"} if policy in ("append_only", "immutable") else set())


@pytest.mark.parametrize("error", ["EIO", "EUNSTABLE", "EBADMSG", "EUCLEAN"])
def test_errors_of_the_medium(error: str) -> None:
    """They are damage, one finding a file, however many lie side by side."""
    world = StagedReplica()
    names = [f"d/{at:02d}" for at in range(30)]
    world.run([file(name, name.encode()) for name in names])
    world.run([error_row(name, error, "read") for name in names])
    assert told(world) == [("unreadable", name, 1) for name in names]
    assert set(Finding.objects.values_list("severity", flat=True)) == {Finding.Severity.CRITICAL}


@pytest.mark.parametrize("what", ["damaged", "modified"])
def test_the_work_is_done_in_sets(what: str) -> None:
    """A thousand changes, their findings and their cure cost as many statements as thirty do."""
    spent = []
    for number in (30, 1000):
        world = StagedReplica(policy="immutable", limit_files=10**6)
        rows: list[Record] = [file(f"d/{at:05d}", b"%d" % at) for at in range(number)]
        bad: list[Record] = (
            [error_row(f"d/{at:05d}", "EIO", "read") for at in range(number)]
            if what == "damaged"
            else [file(f"d/{at:05d}", b"new %d" % at, mtime_ns=LATER_MTIME) for at in range(number)]
        )
        for one in (rows, bad, rows):
            world.run(one)
        with CaptureQueriesContext(connection) as queries:
            assert told(world) == []
        spent.append(len(queries))
        resolved = Finding.objects.filter(replica=world.replica, state="resolved")
        assert sum(resolved.values_list("number", flat=True)) == number
    assert spent[0] == spent[1]
