"""Where damage could go unnamed, or what is honest be called wrong: an earlier content, a lost view, a quiet proof."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from checker.findings import actions, description, mass_change
from checker.jobs import run_comparisons
from checker.models import AuditEntry, Finding
from scanner.format.excludes import scope_digest
from scanner.format.records import Note
from scanner.format.timestamps import format_timestamp
from scanner.models import Run, Scope
from tests.checker import stage
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.findings.staging import open_findings, run_with_changes
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, change_kinds, file
from tests.scanner.factories import error_row

pytestmark = pytest.mark.django_db(transaction=True)
KEEP = file("keep", b"keep")


def against(run: Run, path: str = "x") -> Note:
    """That the collector confirmed a change against a run, under the same ctime."""
    return confirmed_note(path, str(run.uuid))


def damaged() -> tuple[StagedReplica, Run]:
    """A world in which the content of x was A and is B, and nobody wrote it."""
    world = StagedReplica()
    first = world.run([file("x", b"A")])
    second = world.run([file("x", b"B"), against(first)])
    assert open_findings(world) == [("corrupted", "x", 1)]
    return world, second


@pytest.mark.parametrize("policy", ["mutable", "append_only"])
def test_a_write_that_was_lost(policy: str) -> None:
    """A disk that falls back to an earlier content shows one; that nobody wrote it is damage all the same."""
    world = StagedReplica(policy=policy)
    world.run([file("x", b"A")])
    second = world.run([file("x", b"B", mtime_ns=LATER_MTIME)])
    open_findings(world)
    world.run([file("x", b"A", mtime_ns=LATER_MTIME), against(second)])
    assert change_kinds(world.compare()) == {"x": "reverted"}
    if policy == "append_only":  # there the earlier change is open, and what was before it is there again
        assert open_findings(world) == []
        return
    assert open_findings(world) == [("corrupted", "x", 1)]
    finding = Finding.objects.get()
    assert (
        "no program wrote it" in " ".join(description.describe(finding).reasons)
        and finding.severity == Finding.Severity.CRITICAL
    )
    client = Client()
    client.force_login(stage.make_user("viewer"))
    page = client.get(reverse("finding", args=[finding.uuid])).content.decode()
    assert "?kind=reverted" in page
    world.run([file("x", b"B", mtime_ns=LATER_MTIME), against(finding.first_run)])
    assert open_findings(world) == []


def test_an_earlier_content_that_somebody_put_back_is_none() -> None:
    """Restored by a program it has another ctime: an earlier content, and nothing to look at."""
    world = StagedReplica()
    world.run([file("x", b"A")])
    second = world.run([file("x", b"B", mtime_ns=LATER_MTIME)])
    world.run([file("x", b"A", mtime_ns=LATER_MTIME), confirmed_note("x", str(second.uuid), same=False)])
    assert change_kinds(world.compare()) == {"x": "reverted"} and open_findings(world) == []


def test_a_mirror_that_answers_from_either_disk() -> None:
    """Damage that went by itself and is there again is named again."""
    world, second = damaged()
    third = world.run([file("x", b"A"), against(second)])
    assert open_findings(world) == []
    world.run([file("x", b"B"), against(third)])
    assert change_kinds(world.compare()) == {"x": "reverted"} and open_findings(world) == [("corrupted", "x", 1)]


@pytest.mark.parametrize("accepted", [False, True])
def test_a_damaged_copy_is_restored(accepted: bool) -> None:
    """A content that was damage once is damage when it comes from a backup; not when a person had accepted it."""
    world, _second = damaged()
    if accepted:
        actions.accept(Finding.objects.get(), stage.make_user("operator"), "written to the disk itself")
    world.run([file("x", b"A", mtime_ns=LATER_MTIME)])
    assert open_findings(world) == []
    world.run([file("x", b"B", mtime_ns=LATER_MTIME + 9)])
    assert open_findings(world) == ([] if accepted else [("reverted", "x", 1)])
    if not accepted:
        finding = Finding.objects.get(kind="reverted")
        said = description.describe(finding)
        assert finding.severity == Finding.Severity.CRITICAL and "was damage" in " ".join(said.reasons)
        assert "SMART" in " ".join(said.next_steps) and not actions.may_accept_in_bulk(finding)


def test_what_was_compared_with_another_run_claims_no_more() -> None:
    """An unchanged ctime since some other run proves nothing of the time between; which run it was stands there."""
    world = StagedReplica()
    world.run([file("x", b"A")])
    other = "00000000-0000-4000-8000-000000000000"
    run = world.run([file("x", b"B"), confirmed_note("x", other)])
    assert open_findings(world) == [("rewritten", "x", 1)]
    why = " ".join(description.describe(Finding.objects.get()).reasons)
    assert "some other run, not the previous one" in why and "no program wrote" not in why
    client = Client()
    client.force_login(stage.make_user("viewer"))
    assert other in client.get(reverse("changes", args=[run.uuid])).content.decode()


def scopes(*texts: str) -> list[str]:
    """The digests of scopes that the centre knows."""
    digests = [scope_digest(text.split(), False) for text in texts]
    for digest, text in zip(digests, texts, strict=True):
        Scope.objects.create(digest=bytes.fromhex(digest), excludes=text, cross_mounts=False)
    return digests


def test_an_unlistable_directory_that_is_excluded() -> None:
    """Who excludes a directory that cannot be listed has not removed it, nor what lies below."""
    everything, less = scopes("", "lost+found/")
    world = StagedReplica(policy="append_only")
    world.run([KEEP, file("lost+found/x")], config=everything)
    world.run([KEEP, error_row("lost+found", stage="list")], config=everything)
    world.compare()
    world.run([KEEP], config=less)
    assert change_kinds(world.compare()) == {"lost+found": "out_of_scope", "lost+found/x": "out_of_scope"}
    assert open_findings(world) == [("unreadable", "lost+found", 1)]


def test_seen_again_and_gone_between_two_runs() -> None:
    """What was hidden at the earlier run, seen since and is gone now, was removed."""
    world = StagedReplica()
    world.run([KEEP, file("d/a"), file("d/b", b"b")])
    hidden = world.run([KEEP, error_row("d", stage="list")])
    world.run([KEEP, file("d/a"), file("d/b", b"b")])
    last = world.run([KEEP, file("d/b", b"b")])
    assert change_kinds(run_comparisons.get_or_request(hidden, last)) == {"d": "readable", "d/a": "removed"}


@pytest.mark.parametrize(
    ("error", "again"),
    [("EACCES", ""), ("EIO", "unreadable"), ("ECHANGED", "unreadable"), (None, "")],
)
def test_accepted_then_hidden_then_as_before(error: str | None, again: str) -> None:
    """What could not be read, was accepted so and hidden for some runs, has not changed when it is as it was."""
    world, same = StagedReplica(), "ECHANGED" if error == "ECHANGED" else "EACCES"
    world.run([KEEP, file("d/b", b"b")])
    world.run([KEEP, error_row("d/b", same)])
    open_findings(world)
    for finding in Finding.objects.filter(state="open"):
        actions.accept(finding, stage.make_user("operator"), "not for the collector")
    for _ in range(2):
        world.run([KEEP, error_row("d", stage="list")])
        assert open_findings(world) == [("unreadable", "d", 1)]
    world.run([KEEP, error_row("d/b", error) if error else file("d/b", b"b")])
    assert change_kinds(world.compare()).get("d/b", "") == again
    assert open_findings(world) == ([("unreadable", "d/b", 1)] if error == "EIO" else [])


def test_never_at_rest_before_and_after_it_was_hidden() -> None:
    """Of a path that changes while it is read the runs in a row are counted from the first after it was hidden."""
    world = StagedReplica()
    restless = [KEEP, error_row("d/b", "ECHANGED")]
    for records in (restless, [KEEP, error_row("d", stage="list")], restless, restless):
        world.run(records)
        open_findings(world)
    assert open_findings(world) == []
    world.run(restless)
    assert open_findings(world) == [("restless", "d/b", 1)]


def nights(world: StagedReplica, numbers: range, *, content: bytes = b"the same", renamed: bool = False) -> None:
    """A run each night, with the three newest dumps of a database that does not change."""
    now = timezone.now().timestamp()
    for ago in numbers:
        at = now - ago * 86400
        rows = [
            file(f"dump-{ago if renamed else number}", content, mtime_ns=int(now - number * 86400) * 10**9)
            for number in ([numbers[0]] if renamed else range(ago, ago + 3))
        ]
        world.run([KEEP, *rows], started_at=format_timestamp(at - 9), finished_at=format_timestamp(at))


def test_the_same_dump_each_night_is_a_new_file() -> None:
    """By its content it is the one that went; its time says that it is new."""
    world = StagedReplica(policy="rotating", keep_days=2, expected_interval=timedelta(days=1))
    nights(world, range(9, 0, -1))
    assert set(change_kinds(world.compare()).values()) == {"-moved", "moved"} and open_findings(world) == []


def test_an_old_dump_under_a_new_name_is_none() -> None:
    """Renaming keeps the time: nothing new has come."""
    world = StagedReplica(policy="rotating", keep_days=30, expected_interval=timedelta(days=1))
    nights(world, range(5, 0, -1), renamed=True)
    assert set(change_kinds(world.compare()).values()) == {"-moved", "moved"} and open_findings(world) == [
        ("no_new_file", "", 0)
    ]


WEEK = [f"dump-{day}" for day in ("mo", "tu", "we")]


@pytest.mark.parametrize("same", [False, True], ids=["other", "same"])
def test_dumps_under_the_names_of_older_ones(same: bool) -> None:
    """A file written anew over an older one is the night's new file; when none is, that is told, and ends with one."""
    world, now = (
        StagedReplica(policy="rotating", keep_days=30, expected_interval=timedelta(days=1)),
        timezone.now().timestamp(),
    )
    written = {name: 20 - at for at, name in enumerate(WEEK)}  # a dump each night, and none from the third last on
    for ago in range(17, 0, -1):
        if ago > 3 or ago == 1:
            written[WEEK[(20 - ago) % 3]] = ago
        rows = [
            file(name, b"the same" if same else b"%d" % day, mtime_ns=int(now - day * 86400) * 10**9)
            for name, day in written.items()
        ]
        at = now - ago * 86400
        world.run([KEEP, *rows], started_at=format_timestamp(at - 9), finished_at=format_timestamp(at))
        assert open_findings(world) == ([("no_new_file", "", 0)] if ago == 2 else []), ago


@pytest.mark.parametrize("how", ["expires", "undone"])
@pytest.mark.parametrize("restored", [False, True])
def test_restored_while_it_was_accepted(how: str, restored: bool) -> None:
    """What opens again is held against the newest run at once: nothing later would prove it."""
    world, _second = damaged()
    finding, user = Finding.objects.get(), stage.make_user("operator")
    actions.accept(finding, user, "until it is restored", timezone.now() + timedelta(days=1))
    world.run([file("x", b"A" if restored else b"B"), KEEP])
    assert open_findings(world) == []
    if how == "undone":
        actions.undo(finding, user, "by mistake")
    else:
        Finding.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert actions.reopen_expired() == 1
    assert open_findings(world) == ([] if restored else [("corrupted", "x", 1)])
    what = [entry.action for entry in AuditEntry.objects.filter(finding=finding).order_by("pk")]
    assert what == ["opened", "accepted", "expired" if how == "expires" else "undone", *["resolved"] * restored]


def test_what_was_undone_without_paths_stays_open() -> None:
    """A mass change has no path that could prove anything."""
    world = StagedReplica(limit_files=5, limit_share=5)
    run_with_changes(world, 50, 0)
    run_with_changes(world, 50, 20)
    assert open_findings(world) == [("mass_change", "", 20)]
    finding, user = Finding.objects.get(), stage.make_user("operator")
    actions.release(finding, user, "meant")
    actions.undo(finding, user, "by mistake")
    assert open_findings(world) == [("mass_change", "", 20)]


def test_what_was_held_is_not_usual() -> None:
    """A mass change that was released once does not open the door to the next one."""
    world = StagedReplica()
    run_with_changes(world, 500, 0)
    for at in range(6):
        run_with_changes(world, 500, 10, b"day" * (at + 1))
    run_with_changes(world, 500, 200, b"migrated")
    assert open_findings(world) == [("mass_change", "", 200)]
    actions.release(Finding.objects.get(), stage.make_user("operator"), "a migration")
    run_with_changes(world, 500, 450, b"encrypted")
    assert open_findings(world) == [("mass_change", "", 450)] and mass_change.limits_for(world.compare()) == (
        100,
        100,
        True,
        True,
    )


def test_the_tree_shows_no_search() -> None:
    """A level of the tree counts all that changed below: a search leads to the list, and the tree leaves it."""
    world = StagedReplica()
    world.run([KEEP])
    run = world.run([KEEP, file("a/one", b"1"), file("b/two", b"2")])
    world.compare()
    client = Client()
    client.force_login(stage.make_user("viewer"))
    page = client.get(reverse("changes", args=[run.uuid]), {"search": "one"}).content.decode()
    (tree,) = re.findall(r'href="([^"]*)" >[^<]*</a></span>', page)
    assert tree == "?view=tree"
