"""What the page of a finding says: facts that are so now, and whole."""

from __future__ import annotations

import hashlib
import re

import pytest
from django.test import Client
from django.utils import timezone

from checker.findings import actions, description
from checker.models import Finding
from scanner.format.records import Record
from scanner.format.timestamps import format_timestamp
from tests.checker import stage
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.findings.test_update import mass, told
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, file
from tests.scanner.factories import error_row, link_row, special_row

pytestmark = pytest.mark.django_db(transaction=True)


def why(world: StagedReplica, kind: str) -> list[str]:
    """The proofs of the one finding of a kind."""
    world.compare()
    return description.describe(Finding.objects.get(replica=world.replica, kind=kind)).reasons


def short(content: bytes) -> str:
    """A digest as the words show it."""
    return hashlib.sha256(content).hexdigest()[:12]


def test_what_is_seen_again_is_told_as_it_is_now() -> None:
    """A file that was damaged twice: what it held before, what it held then, and what it holds now."""
    world = StagedReplica()
    runs = [world.run([file("a", b"good"), file("keep")])]
    for content in (b"bad!", b"worse"):
        runs.append(world.run([file("a", content), file("keep"), confirmed_note("a", str(runs[-1].uuid))]))
    assert why(world, "corrupted")[:5] == [
        "Run 2 found this; the previous complete run is 1.",
        f"The content changed in that run (SHA-256 {short(b'good')}…, then {short(b'bad!')}…).",
        "Run 3 found this again; the previous complete run is 2.",
        f"The content is different (SHA-256 {short(b'bad!')}…, now {short(b'worse')}…).",
        "The size was 4 bytes and is now 5 bytes.",
    ]


def test_edited_again() -> None:
    """Where nothing may change each further edit is told with its own facts; a third takes the place of the second."""
    world = StagedReplica(policy="immutable", limit_files=1000)
    for at, content in enumerate((b"1", b"2", b"3", b"4")):
        world.run([file("a", content, mtime_ns=LATER_MTIME + at), file("keep")])
        told(world)
    said = " ".join(why(world, "modified"))
    assert f"now {short(b'4')}" in said and "Run 4 found this again" in said and short(b"1") in said


def test_another_error_than_at_first() -> None:
    """What the system said last is what is told, and what to do fits it."""
    world = StagedReplica()
    world.run([file("a"), file("keep")])
    world.run([error_row("a"), file("keep")])
    told(world)
    world.run([error_row("a", "EIO", "read"), file("keep")])
    said = " ".join(why(world, "unreadable"))
    assert "EIO" in said and "EACCES" not in said
    assert "SMART" in " ".join(description.describe(Finding.objects.get()).next_steps)


def held(world: StagedReplica) -> description.Description:
    """All that is said of the one mass change."""
    world.compare()
    return description.describe(Finding.objects.get(replica=world.replica, kind="mass_change"))


def ransom(world: StagedReplica) -> None:
    """Two runs: of a thousand files 25 get one new ending and another content."""
    names = [f"{at}.jpg" for at in range(1000)]
    world.run([file(name, name.encode()) for name in names])
    locked = [file(f"{name}.locked", b"E" + name.encode()) for name in names[:25]]
    world.run([*(file(name, name.encode()) for name in names[25:]), *locked])


def test_a_sign_says_nothing_of_limits() -> None:
    """Where ransomware or an emptied replica is the cause no limit is said to be exceeded, nor where it comes from."""
    signs, emptied = StagedReplica(), StagedReplica()
    ransom(signs)
    for number in (118, 40):
        emptied.run([file(str(at), b"%d" % at) for at in range(number)])
    for world in (signs, emptied):
        said = " ".join(held(world).reasons)
        assert ("this alone would not put the replica on hold" in said) == (world is signs)
        assert "more than 100 files" not in said and "sets no limit," not in said and "does not set" not in said
    assert held(signs).meaning.startswith("Ransomware leaves files like this.")
    assert held(emptied).meaning.startswith("This much does not normally change")


@pytest.mark.parametrize(
    ("limits", "runs", "origin"),
    [({}, 1, "default"), ({}, 6, "its own"), ({"limit_files": 20, "limit_share": 10}, 1, "")],
)
def test_where_limits_come_from(limits: dict[str, int], runs: int, origin: str) -> None:
    """The history is named when there is one, the group's own limits when they are all that counts."""
    world = StagedReplica(**limits)
    for _run in range(runs):
        mass(world, 500, 0)
    mass(world, 500, 200)
    said = " ".join(held(world).reasons)
    assert "The replica goes on hold at more than" in said
    assert ("own history" in said) == (origin == "its own")
    assert ("the default applies until" in said) == (origin == "default")


def test_after_a_release_nothing_is_held() -> None:
    """What is said to do, and what it means, is true of a replica that was released; undone, it is held again."""
    world, user = StagedReplica(), stage.make_user("operator")
    ransom(world)
    said = held(world)
    assert "until then it stays on hold" in said.next_steps[-1] and "stays on hold" in said.meaning
    finding = Finding.objects.get()
    actions.release(finding, user, "meant")
    said = held(world)
    assert len(said.next_steps) == 1 and "undo it" in said.next_steps[0]
    assert "stays on hold" not in said.meaning and "is no longer on hold" in said.meaning
    actions.undo(finding, user, "it was not")
    assert "stays on hold" in held(world).meaning


NOON = "2020-09-13 12:26:40"
"""LATER_MTIME in the calendar."""


@pytest.mark.parametrize(
    ("kind", "was", "now", "says"),
    [
        ("touched", file("x"), file("x", mode=0o100600), "Mode: -rw-r--r-- 0644 → -rw------- 0600"),
        ("touched", file("x"), file("x", uid=5), "Owner, group: 0, 0 → 5, 0"),
        ("touched", file("x"), file("x", mtime_ns=LATER_MTIME + 7), f"and is now {NOON}.000000007 UTC."),
        ("moved", file("x"), file("y"), "The path was x and is now y."),
        ("retyped", file("x"), link_row("x", "a/b"), "Type: file → link"),
        ("retyped", file("x"), link_row("x", "a/b"), "Points to: – → a/b"),
        ("retyped", link_row("x", "a"), link_row("x", "b"), "Points to: a → b"),
        ("retyped", special_row("x"), special_row("x", "socket"), "Type: named pipe → socket"),
        ("removed", link_row("x", "a"), None, "Removed: link → a."),
        (
            "removed",
            file("x", b"old", mtime_ns=LATER_MTIME),
            None,
            f"Removed: file, 3 bytes, {NOON}.000000000 UTC, SHA-256 {short(b'old')}….",
        ),
    ],
)
def test_facts_of_a_change(kind: str, was: Record, now: Record | None, says: str) -> None:
    """What differs is told from what to what, and of what was removed what it was."""
    world = StagedReplica(policy="immutable", limit_files=1000)
    world.run([file("keep", b"keep"), was])
    world.run([file("keep", b"keep"), *([now] if now else [])])
    assert says in " ".join(why(world, kind))


def test_age_of_what_was_removed() -> None:
    """Of rotating data it is told how old the file was, and how long one is kept; without a time, how long known."""
    world, now = StagedReplica(policy="rotating", keep_days=30), timezone.now().timestamp()
    times = {"young": int((now - 3 * 86400) * 10**9), "timeless": 0}
    moments = {"started_at": format_timestamp(now - 2 * 86400 - 9), "finished_at": format_timestamp(now - 2 * 86400)}
    world.run([file("k/x"), *(file(name, name.encode(), mtime_ns=at) for name, at in times.items())], **moments)
    world.run([file("k/x")], started_at=format_timestamp(now - 9), finished_at=format_timestamp(now))
    world.compare()
    said = {one.path: description.describe(one).reasons[-1] for one in Finding.objects.filter(kind="removed")}
    assert said == {
        "young": "By its modification time the file was 3 d old; this group keeps files for 30 d.",
        "timeless": "The file had been known for 2 d; this group keeps files for 30 d.",
    }


def test_long_names_are_short_in_a_sentence() -> None:
    """A name of thousands of bytes does not fill the proofs."""
    world, long = StagedReplica(policy="append_only"), "/".join(["d" * 250] * 15)
    world.run([file("keep", b"keep"), file(long, b"x"), link_row("l", long)])
    world.run([file("keep", b"keep"), file(f"{long}.moved", b"x"), link_row("l", "keep")])
    for kind in ("moved", "retyped"):
        assert max(map(len, why(world, kind))) < 500


def test_a_long_path_stands_whole_once(client: Client) -> None:
    """Lists and the title of the window have its two ends; the finding's own page has the whole of it, to be copied."""
    world, long = StagedReplica(name="Photos"), "/".join(["d" * 250] * 16)
    world.run([file("keep", b"keep"), file(long, b"x")])
    world.run([file("keep", b"keep"), file(long, b"y")])
    world.compare()
    stage.make_proof(world.replica.runs.latest("sequence"))
    finding = Finding.objects.get()
    client.force_login(stage.make_user("operator"))
    for address in ("/", "/findings/", f"/replicas/{world.replica.uuid}/", f"/groups/{world.replica.group.uuid}/"):
        page = client.get(address).content.decode()
        assert f"/findings/{finding.uuid}/" in page and "d" * 250 not in page, address
    page = client.get(f"/findings/{finding.uuid}/").content.decode()
    assert len(re.findall(f">{long}<", page)) == 1
    (title,) = re.findall("<title>(.*?)</title>", page, re.DOTALL)
    assert len(title) < 250 and "characters" in title and "changed, date unchanged" in title


def test_a_short_path_is_not_told_twice(client: Client) -> None:
    """Where the heading has the whole path already it is not repeated."""
    world = StagedReplica()
    for content in (b"x", b"y"):
        world.run([file("a/short/path", content), file("keep")])
    world.compare()
    client.force_login(stage.make_user())
    page = client.get(f"/findings/{Finding.objects.get().uuid}/").content.decode()
    assert '<p class="path">' not in page
