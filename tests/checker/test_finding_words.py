"""What the page of a finding says: facts that are so now, and whole."""

from __future__ import annotations

import hashlib

import pytest

from checker.findings import words
from checker.models import Finding
from tests.checker.test_compare import confirmed
from tests.checker.test_findings import told
from tests.checker.worlds import LATER, World, file
from tests.scanner.factories import error_row

pytestmark = pytest.mark.django_db(transaction=True)


def why(world: World, kind: str) -> list[str]:
    """The proofs of the one finding of a kind."""
    world.compare()
    return words.tell(Finding.objects.get(replica=world.replica, kind=kind)).why


def short(content: bytes) -> str:
    """A digest as the words show it."""
    return hashlib.sha256(content).hexdigest()[:12]


def test_what_is_seen_again_is_told_as_it_is_now() -> None:
    """A file that was damaged twice: what it held before, what it held then, and what it holds now."""
    world = World()
    runs = [world.run([file("a", b"good"), file("keep")])]
    for content in (b"bad!", b"worse"):
        runs.append(world.run([file("a", content), file("keep"), confirmed("a", str(runs[-1].uuid))]))
    assert why(world, "corrupted")[:5] == [
        "Run 2 found it; run 1 is the complete run before.",
        f"The content became another one then (SHA-256 {short(b'good')}…, then {short(b'bad!')}…).",
        "Run 3 saw it again; run 2 is the complete run before.",
        f"The content is another one (SHA-256 {short(b'bad!')}…, now {short(b'worse')}…).",
        "The size was 4 bytes and is 5 bytes.",
    ]


def test_edited_again() -> None:
    """Where nothing may change each further edit is told with its own facts; a third takes the place of the second."""
    world = World(policy="immutable", limit_files=1000)
    for at, content in enumerate((b"1", b"2", b"3", b"4")):
        world.run([file("a", content, mtime_ns=LATER + at), file("keep")])
        told(world)
    said = " ".join(why(world, "modified"))
    assert f"now {short(b'4')}" in said and "Run 4 saw it again" in said and short(b"1") in said


def test_another_error_than_at_first() -> None:
    """What the system said last is what is told, and what to do fits it."""
    world = World()
    world.run([file("a"), file("keep")])
    world.run([error_row("a"), file("keep")])
    told(world)
    world.run([error_row("a", "EIO", "read"), file("keep")])
    said = " ".join(why(world, "unreadable"))
    assert "EIO" in said and "EACCES" not in said
    assert "SMART" in " ".join(words.tell(Finding.objects.get()).next_steps)
