"""What opens, what closes it, and what nobody can change."""

from __future__ import annotations

import threading
from datetime import timedelta
from importlib import import_module

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from checker.findings import actions, description, listing
from checker.models import AuditEntry, Change, Finding
from checker.pages.status import Status
from scanner.format.records import Record
from scanner.format.timestamps import format_timestamp
from scanner.models import Group
from tests.checker import stage
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, file
from tests.scanner.factories import error_row

pytestmark = pytest.mark.django_db(transaction=True)
OPEN, RESOLVED, ACCEPTED = Finding.State.OPEN, Finding.State.RESOLVED, Finding.State.ACCEPTED


def told(world: StagedReplica) -> list[tuple[str, str, int]]:
    """Open findings as kind, path (a directory's with its slash) and number."""
    world.compare()
    found = Finding.objects.filter(replica=world.replica, state=OPEN).order_by("kind", "path")
    return [(one.kind, one.path, one.number) for one in found]


CHANGES: dict[str, tuple[Record | None, Record | None]] = {
    "added": (None, file("x", b"new")),
    "removed": (file("x", b"old"), None),
    "modified": (file("x", b"old"), file("x", b"new", mtime_ns=LATER_MTIME)),
    "rewritten": (file("x", b"old"), file("x", b"new")),
    "touched": (file("x", b"old"), file("x", b"old", mode=0o100600)),
    "unreadable": (file("x", b"old"), error_row("x")),
}
ALL = {"rewritten", "unreadable"}


@pytest.mark.parametrize(
    ("policy", "opens"),
    [
        ("mutable", ALL),
        ("append_only", ALL | {"removed", "modified"}),
        ("immutable", ALL | {"removed", "modified", "added", "touched"}),
        ("rotating", ALL),
    ],
)
def test_policy(policy: str, opens: set[str]) -> None:
    """What is a finding depends on what the data is; damage, rewriting and what cannot be read always are."""
    more = {"keep_days": 30} if policy == "rotating" else {}
    for kind, (was, now) in CHANGES.items():
        world = StagedReplica(policy=policy, limit_files=1000, **more)
        world.run([one for one in (file("keep"), was) if one])
        world.run([one for one in (file("keep"), now) if one])
        assert told(world) == ([(kind, "x", 1)] if kind in opens else []), (policy, kind)


def test_rotation() -> None:
    """What is removed at its age was expected to go; what is removed earlier, and a new file that does not come, are
    findings."""
    world = StagedReplica(policy="rotating", keep_days=30, expected_interval=timedelta(days=1))
    now = timezone.now()
    old, young = (int((now - timedelta(days=days)).timestamp()) * 10**9 for days in (40, 3))
    day = {
        "started_at": format_timestamp(now.timestamp() - 3 * 86400),
        "finished_at": format_timestamp(now.timestamp() - 3 * 86400 + 9),
    }
    world.run([file("old", b"1", mtime_ns=old), file("young", b"2", mtime_ns=young), file("z")], **day)
    world.run([file("z")])
    assert told(world) == [("no_new_file", "", 0), ("removed", "young", 1)]
    world.run([file("fresh", b"3"), file("z")])
    assert told(world) == [("removed", "young", 1)]


def test_corruption_is_told_file_by_file_and_resolved_by_proof() -> None:
    """Damage is never folded; it stays open until the content is again what it was."""
    world = StagedReplica()
    names = [f"d/{number:02d}" for number in range(30)]
    first = world.run([file(name, name.encode()) for name in names])
    notes = [confirmed_note(name, str(first.uuid)) for name in names[:25]]
    world.run(
        [
            *(file(name, b"rot" + name.encode()) for name in names[:25]),
            *(file(name, name.encode()) for name in names[25:]),
            *notes,
        ]
    )
    assert told(world) == [("corrupted", name, 1) for name in names[:25]]
    world.run(
        [
            *(file(name, b"rot" + name.encode()) for name in names[:25]),
            *(file(name, name.encode()) for name in names[25:]),
        ]
    )
    assert len(told(world)) == 25
    world.run(
        [
            file(names[0], names[0].encode()),
            *(file(name, b"rot" + name.encode()) for name in names[1:25]),
            *(file(name, name.encode()) for name in names[25:]),
        ]
    )
    assert told(world) == [("corrupted", name, 1) for name in names[1:25]]
    resolved = Finding.objects.get(path=names[0])
    assert resolved.state == RESOLVED and [entry.action for entry in resolved.audit_entries.all()] == [
        "opened",
        "resolved",
    ]
    finding = Finding.objects.get(path=names[1])
    said = description.describe(finding)
    assert (
        "did not come from cache" in " ".join(said.reasons)
        and "hashlib, native" in " ".join(said.reasons)
        and said.next_steps
    )
    assert finding.severity == Finding.Severity.CRITICAL


def test_a_patch_day_is_a_few_lines() -> None:
    """Thousands of like changes are told by directory, and every path knows its finding."""
    world = StagedReplica(policy="immutable", limit_files=10_000)
    names = [f"usr/{folder}/{number}" for folder in ("bin", "lib", "share") for number in range(200)]
    world.run([file(name, name.encode()) for name in names])
    world.run([file(name, b"2" + name.encode(), mtime_ns=LATER_MTIME) for name in names])
    assert told(world) == [("modified", f"usr/{folder}/", 200) for folder in ("bin", "lib", "share")]
    assert Change.objects.filter(finding_id__isnull=False).count() == 600
    world.run([file(name, name.encode()) for name in names])
    assert [one for one in told(world) if one[0] == "modified"] == []


def test_unreadable() -> None:
    """The medium's errors are damage and told one by one; a directory says what it hides; reading again resolves."""
    world = StagedReplica()
    rows = [file(f"d/{number}", str(number).encode()) for number in range(5)]
    world.run([*rows, file("a"), file("b", b"b")])
    world.run([error_row("d", stage="list"), error_row("a", "EIO", "read"), file("b", b"b")])
    assert told(world) == [("unreadable", "a", 1), ("unreadable", "d", 1)]
    medium, folder = Finding.objects.get(path="a"), Finding.objects.get(path="d")
    assert medium.severity == Finding.Severity.CRITICAL and folder.severity == Finding.Severity.WARNING
    assert "5 paths below cannot be seen" in " ".join(description.describe(folder).reasons)
    world.run([*rows, file("a"), file("b", b"b")])
    assert told(world) == []


def test_first_run_tells_what_it_could_not_read() -> None:
    """An error of the very first run is a finding."""
    world = StagedReplica()
    world.run([error_row("a"), file("b")])
    assert told(world) == [("unreadable", "a", 1)]


def test_restless_after_three_runs() -> None:
    """A file that never stands still is a finding after three complete runs in a row, and resolved when it was read."""
    world = StagedReplica()
    world.run([file("db"), file("x", b"x")])
    for expected in ([], [], [("restless", "db", 1)], [("restless", "db", 1)]):
        world.run([error_row("db", "ECHANGED", "read"), file("x", b"x")])
        assert told(world) == expected
    world.run([file("db", b"other", mtime_ns=LATER_MTIME), file("x", b"x")])
    assert told(world) == []


def test_acts_and_their_trail() -> None:
    """Accepting needs a reason, can be undone and can run out; every act stands in a trail that cannot be edited."""
    world = StagedReplica()
    world.run([file("a"), file("keep")])
    world.run([file("a", b"new"), file("keep")])
    told(world)
    user, finding = stage.make_user("operator"), Finding.objects.get()
    with pytest.raises(actions.ActionRefused):
        actions.accept(finding, user, "  ")
    with pytest.raises(actions.ActionRefused):
        actions.accept(finding, user, "late", timezone.now() - timedelta(days=1))
    actions.accept(finding, user, "a mirror tool", timezone.now() + timedelta(days=1))
    assert finding.state == ACCEPTED and told(world) == []
    with pytest.raises(actions.ActionRefused):
        actions.accept(finding, user, "again")
    actions.undo(finding, user, "by mistake")
    actions.accept(finding, user, "a mirror tool", timezone.now() + timedelta(days=1))
    Finding.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert actions.reopen_expired() == 1 and actions.reopen_expired() == 0
    trail = list(finding.audit_entries.values_list("action", "username", "reason"))
    name = user.get_username()
    assert trail == [
        ("opened", "", ""), ("accepted", name, "a mirror tool"), ("undone", name, "by mistake"),
        ("accepted", name, "a mirror tool"), ("expired", "", ""),
    ]  # fmt: skip
    for change in (lambda: AuditEntry.objects.update(reason="x"), lambda: AuditEntry.objects.all().delete()):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("DELETE FROM checker_act")


@pytest.mark.parametrize("what", ["checker_act", "checker_finding CASCADE"])
def test_the_trail_is_not_emptied(what: str) -> None:
    """TRUNCATE is refused, of the trail itself and of what it hangs on, as the migration leaves the table."""
    migration = import_module("checker.migrations.0006_acts_stay")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(migration.UNLOCK)
        cursor.execute(migration.LOCK)  # enabled, as in every database but that of the tests
        with pytest.raises(DatabaseError, match="never changed or deleted"), transaction.atomic():
            cursor.execute(f"TRUNCATE {what}")
        transaction.set_rollback(True)


def test_two_people_at_once() -> None:
    """Of two who accept the same finding at the same time one is told that it is not open any more."""
    world = StagedReplica()
    world.run([file("a")])
    world.run([file("a", b"new")])
    told(world)
    finding = Finding.objects.get()
    users = [stage.make_user("operator"), stage.make_user("operator")]
    gate, done = threading.Barrier(2), list[str]()

    def accept(user: User) -> None:
        gate.wait()
        try:
            actions.accept(Finding.objects.get(pk=finding.pk), user, "mine")
            done.append("accepted")
        except actions.ActionRefused:
            done.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=accept, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == ["accepted", "refused"] and finding.audit_entries.filter(action="accepted").count() == 1


def test_damage_is_not_accepted_in_bulk() -> None:
    """Several findings are accepted at once only when none of them is damage."""
    world = StagedReplica()
    first = world.run([file("a"), file("b", b"b"), file("c", b"c")])
    world.run([file("a", b"A"), file("b", b"B"), file("c", b"C"), confirmed_note("a", str(first.uuid))])
    told(world)
    user, every = stage.make_user("operator"), list(Finding.objects.order_by("path"))
    with pytest.raises(actions.ActionRefused):
        actions.accept_all(every, user, "all of it")
    assert Finding.objects.filter(state=OPEN).count() == 3
    assert actions.accept_all(every[1:], user, "known") == 2


def test_list_and_its_filters() -> None:
    """The gravest first, page by page, each once."""
    world = StagedReplica(policy="immutable")
    first = world.run([file(f"{number}/x", str(number).encode()) for number in range(9)])
    rows: list[Record] = [file(f"{number}/x", b"new" + str(number).encode()) for number in range(9)]
    world.run([*rows, confirmed_note("5/x", str(first.uuid))])
    told(world)
    seen, after = [], ""
    while True:
        page = listing.list_findings(listing.FindingFilter(), after, limit=4)
        seen += page.rows
        after = page.after
        if not after:
            break
    assert seen[0].path == "5/x" and len({one.pk for one in seen}) == len(seen) == 9
    assert listing.count_by_kind(listing.FindingFilter()) == [(Finding.Kind.CORRUPTED, 1), (Finding.Kind.REWRITTEN, 8)]
    assert [one.path for one in listing.list_findings(listing.FindingFilter(search="7/")).rows] == ["7/x"]
    assert not listing.list_findings(listing.FindingFilter(group="nonsense")).rows


def mass(world: StagedReplica, number: int, changed: int, content: bytes = b"changed") -> None:
    world.run(
        [
            file(f"f{at}", content + str(at).encode(), mtime_ns=LATER_MTIME + len(content))
            if at < changed
            else file(f"f{at}", str(at).encode(), mtime_ns=LATER_MTIME)
            for at in range(number)
        ]
    )


def test_mass_change_holds_until_it_is_released() -> None:
    """A run that changes more than is usual holds the replica, whatever later runs say, until a person lets it go."""
    world = StagedReplica()
    mass(world, 400, 0)
    mass(world, 400, 90)
    assert told(world) == []
    mass(world, 400, 300, b"other")
    assert told(world) == [("mass_change", "", 300)]
    mass(world, 400, 300, b"other")
    mass(world, 400, 0)
    assert [kind for kind, _path, _number in told(world)] == ["mass_change"]
    finding, user = Finding.objects.get(kind="mass_change", state=OPEN), stage.make_user("operator")
    assert "400" in description.describe(finding).title
    with pytest.raises(actions.ActionRefused):
        actions.accept(finding, user, "fine")
    with pytest.raises(actions.ActionRefused):
        actions.undo(finding, user, "fine")
    actions.release(finding, user, "the photos were converted")
    assert told(world) == [] and [entry.action for entry in finding.audit_entries.all()][-1] == "released"


def test_limits() -> None:
    """The group's own limits count where they are set; nought means that nothing may change."""
    for limits, held in (({"limit_files": 0, "limit_share": 0}, True), ({"limit_files": 5, "limit_share": 100}, False)):
        world = StagedReplica(**limits)
        mass(world, 50, 0)
        mass(world, 50, 6)
        assert bool(told(world)) == held, limits


def test_ransomware() -> None:
    """Many files that get one new ending and another content hold the replica, however few they are of all."""
    world = StagedReplica()
    names = [f"d{at % 3}/{at}.jpg" for at in range(2000)]
    world.run([file(name, name.encode()) for name in names])
    gone = [file(name + ".locked", b"E" + name.encode()) for name in names[:25]]
    world.run([*(file(name, name.encode()) for name in names[25:]), *gone])
    assert told(world) == [("mass_change", "", 25)]
    assert ".locked" in description.describe(Finding.objects.get()).title


def test_honest_renaming_is_no_sign() -> None:
    """An ending that as many files had before, or a content that is the same, is nobody's ransom."""
    world = StagedReplica()
    names = [f"{at}.jpg" for at in range(2000)]
    bak = [file(f"old/{at}.bak", b"%d" % at) for at in range(25)]
    world.run([file(name, name.encode()) for name in names] + bak)
    changed = [file(name + ".bak", b"E" + name.encode()) for name in names[:25]]
    moved = [file(name + ".old", name.encode()) for name in names[25:60]]
    world.run([*(file(name, name.encode()) for name in names[60:]), *changed, *moved, *bak])
    assert told(world) == []


def test_states() -> None:
    """What is open decides the state, and says in one line what it is."""
    from checker.pages import overview, replica_facts

    def state(world: StagedReplica) -> tuple[Status, str]:
        world.compare()
        stage.make_proof(world.replica.runs.latest("sequence"))
        (line,) = overview.replica_rows(replica_facts.replicas_in_use().filter(pk=world.replica.pk), timezone.now())
        return line.assessment.status, line.assessment.reasons[0].text if line.assessment.reasons else ""

    world = StagedReplica(policy=Group.Policy.APPEND_ONLY)
    first = world.run([file("a"), file("b", b"b")])
    assert state(world) == (Status.PROVEN, "")
    world.run([file("a")])
    assert state(world) == (Status.ATTENTION, "removed: b (since run 2)")
    world.run([file("a", b"rotten"), confirmed_note("a", str(first.replica.runs.latest("sequence").uuid))])
    assert state(world) == (Status.DAMAGED, "corrupted: a (since run 3)")
    world.run([file("a"), file("b", b"b")])
    assert state(world) == (Status.PROVEN, "")
