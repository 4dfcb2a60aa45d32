"""Name damage where it could go unnoticed, and call nothing damage that is honest."""

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
from scanner.format.records import Entry, Note
from scanner.format.timestamps import format_timestamp
from scanner.models import Run, Scope
from tests.checker import stage
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.findings.staging import open_findings, run_with_changes
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, change_kinds, file
from tests.scanner.factories import error_row

pytestmark = pytest.mark.django_db(transaction=True)
KEEP = file("keep", b"keep")
DAY = 86_400
"""Seconds."""


def confirmed_against(run: Run, path: str = "x") -> Note:
    """Return the note that the collector confirmed a change against a run, with the same ctime."""
    return confirmed_note(path, str(run.uuid))


def damaged() -> tuple[StagedReplica, Run]:
    """Return a replica on which the content of x was A and is B although nobody wrote it, with its newest run."""
    staged = StagedReplica()
    first = staged.run([file("x", b"A")])
    second = staged.run([file("x", b"B"), confirmed_against(first)])

    assert open_findings(staged) == [("corrupted", "x", 1)]

    return staged, second


@pytest.mark.parametrize("policy", ["mutable", "append_only"])
def test_a_write_that_was_lost(policy: str) -> None:
    """A disk that falls back to an earlier content has damaged the file, since nobody wrote it."""
    staged = StagedReplica(policy=policy)
    staged.run([file("x", b"A")])
    second = staged.run([file("x", b"B", mtime_ns=LATER_MTIME)])
    open_findings(staged)
    staged.run([file("x", b"A", mtime_ns=LATER_MTIME), confirmed_against(second)])

    assert change_kinds(staged.compare()) == {"x": "reverted"}

    # Under this policy the earlier change is an open finding, and the content before it is there again.
    if policy == "append_only":
        assert open_findings(staged) == []
        return
    assert open_findings(staged) == [("corrupted", "x", 1)]

    finding = Finding.objects.get()
    assert "no program wrote it" in " ".join(description.describe(finding).reasons)
    assert finding.severity == Finding.Severity.CRITICAL

    client = Client()
    client.force_login(stage.make_user("viewer"))
    page = client.get(reverse("finding", args=[finding.uuid])).content.decode()

    assert "?kind=reverted" in page

    staged.run([file("x", b"B", mtime_ns=LATER_MTIME), confirmed_against(finding.first_run)])
    assert open_findings(staged) == []


def test_an_earlier_content_that_somebody_restored_is_no_damage() -> None:
    """A program that restores a file gives it another ctime, so that there is nothing to look at."""
    staged = StagedReplica()
    staged.run([file("x", b"A")])
    second = staged.run([file("x", b"B", mtime_ns=LATER_MTIME)])
    staged.run([file("x", b"A", mtime_ns=LATER_MTIME), confirmed_note("x", str(second.uuid), same=False)])

    assert change_kinds(staged.compare()) == {"x": "reverted"} and open_findings(staged) == []


def test_a_mirror_that_answers_from_either_disk() -> None:
    """Damage that went away and came back is reported again."""
    staged, second = damaged()
    third = staged.run([file("x", b"A"), confirmed_against(second)])

    assert open_findings(staged) == []

    staged.run([file("x", b"B"), confirmed_against(third)])
    assert change_kinds(staged.compare()) == {"x": "reverted"} and open_findings(staged) == [("corrupted", "x", 1)]


@pytest.mark.parametrize("accepted", [False, True])
def test_a_damaged_copy_is_restored(accepted: bool) -> None:
    """A content that was damage is damage when a backup brings it back, unless a person had accepted it."""
    staged, _second = damaged()
    if accepted:
        actions.accept(Finding.objects.get(), stage.make_user("operator"), "written to the disk itself")
    staged.run([file("x", b"A", mtime_ns=LATER_MTIME)])

    assert open_findings(staged) == []

    staged.run([file("x", b"B", mtime_ns=LATER_MTIME + 9)])
    assert open_findings(staged) == ([] if accepted else [("reverted", "x", 1)])

    if not accepted:
        finding = Finding.objects.get(kind="reverted")
        described = description.describe(finding)
        assert finding.severity == Finding.Severity.CRITICAL and "was damage" in " ".join(described.reasons)
        assert "SMART" in " ".join(described.next_steps) and not actions.may_accept_in_bulk(finding)


def test_a_note_against_another_run_proves_no_damage() -> None:
    """A ctime that is the same as in some other run proves nothing of the time since; the page names that run."""
    staged = StagedReplica()
    staged.run([file("x", b"A")])
    other = "00000000-0000-4000-8000-000000000000"
    run = staged.run([file("x", b"B"), confirmed_note("x", other)])

    assert open_findings(staged) == [("rewritten", "x", 1)]

    why = " ".join(description.describe(Finding.objects.get()).reasons)
    assert "some other run, not the previous one" in why and "no program wrote" not in why

    client = Client()
    client.force_login(stage.make_user("viewer"))
    assert (
        "compared with a run that this server does not have"
        in client.get(reverse("changes", args=[run.uuid])).content.decode()
    )


def create_scopes(*texts: str) -> list[str]:
    """Create scopes with these excludes. Return their digests."""
    digests = [scope_digest(text.split(), False) for text in texts]
    for digest, text in zip(digests, texts, strict=True):
        Scope.objects.create(digest=bytes.fromhex(digest), excludes=text, cross_mounts=False)
    return digests


def test_an_unlistable_directory_that_is_excluded() -> None:
    """An unlistable directory that is excluded has not been removed, nor has anything below it."""
    whole_scope, smaller_scope = create_scopes("", "lost+found/")
    staged = StagedReplica(policy="append_only")
    staged.run([KEEP, file("lost+found/x")], config=whole_scope)
    staged.run([KEEP, error_row("lost+found", stage="list")], config=whole_scope)
    staged.compare()
    staged.run([KEEP], config=smaller_scope)

    assert change_kinds(staged.compare()) == {"lost+found": "out_of_scope", "lost+found/x": "out_of_scope"}
    assert open_findings(staged) == [("unreadable", "lost+found", 1)]


def test_seen_again_and_gone_between_two_runs() -> None:
    """A path that was hidden at the earlier run, was seen since and is gone now, was removed."""
    staged = StagedReplica()
    staged.run([KEEP, file("d/a"), file("d/b", b"b")])
    hidden = staged.run([KEEP, error_row("d", stage="list")])
    staged.run([KEEP, file("d/a"), file("d/b", b"b")])
    last = staged.run([KEEP, file("d/b", b"b")])

    assert change_kinds(run_comparisons.get_or_request(hidden, last)) == {"d": "readable", "d/a": "removed"}


@pytest.mark.parametrize(
    ("error", "again"),
    [("EACCES", ""), ("EIO", "unreadable"), ("ECHANGED", "unreadable"), (None, "")],
)
def test_accepted_then_hidden_then_as_before(error: str | None, again: str) -> None:
    """An unreadable path that was accepted, hidden for some runs and is as it was, has not changed."""
    staged = StagedReplica()
    first_error = "ECHANGED" if error == "ECHANGED" else "EACCES"
    staged.run([KEEP, file("d/b", b"b")])
    staged.run([KEEP, error_row("d/b", first_error)])
    open_findings(staged)
    for finding in Finding.objects.filter(state="open"):
        actions.accept(finding, stage.make_user("operator"), "not for the collector")
    for _ in range(2):
        staged.run([KEEP, error_row("d", stage="list")])
        assert open_findings(staged) == [("unreadable", "d", 1)]
    staged.run([KEEP, error_row("d/b", error) if error else file("d/b", b"b")])

    assert change_kinds(staged.compare()).get("d/b", "") == again
    assert open_findings(staged) == ([("unreadable", "d/b", 1)] if error == "EIO" else [])


def test_unstable_before_and_after_it_was_hidden() -> None:
    """The runs in a row of an unstable path are counted from the first one after it was hidden."""
    staged = StagedReplica()
    unstable = [KEEP, error_row("d/b", "ECHANGED")]
    for records in (unstable, [KEEP, error_row("d", stage="list")], unstable, unstable):
        staged.run(records)
        open_findings(staged)

    assert open_findings(staged) == []

    staged.run(unstable)
    assert open_findings(staged) == [("restless", "d/b", 1)]


def run_nightly(
    staged: StagedReplica, nights_ago: range, *, content: bytes = b"the same", renamed: bool = False
) -> None:
    """Run each night, with the three newest dumps of a database that does not change.

    With `renamed` there is one dump, which has another name each night.
    """
    now = timezone.now().timestamp()
    for ago in nights_ago:
        dumps = []
        for written_ago in [nights_ago[0]] if renamed else range(ago, ago + 3):
            name = f"dump-{ago if renamed else written_ago}"
            dumps.append(file(name, content, mtime_ns=int(now - written_ago * DAY) * 10**9))
        run_at_night(staged, now - ago * DAY, dumps)


def run_at_night(staged: StagedReplica, finished: float, dumps: list[Entry]) -> None:
    """Run at a time, and find these dumps."""
    staged.run([KEEP, *dumps], started_at=format_timestamp(finished - 9), finished_at=format_timestamp(finished))


def test_the_same_dump_each_night_is_a_new_file() -> None:
    """By its content it is the dump that is gone; its time says that it is new."""
    staged = StagedReplica(policy="rotating", keep_days=2, expected_interval=timedelta(days=1))
    run_nightly(staged, range(9, 0, -1))

    assert set(change_kinds(staged.compare()).values()) == {"-moved", "moved"} and open_findings(staged) == []


def test_an_old_dump_under_a_new_name_is_no_new_file() -> None:
    """Renaming keeps the time: there is no new file."""
    staged = StagedReplica(policy="rotating", keep_days=30, expected_interval=timedelta(days=1))
    run_nightly(staged, range(5, 0, -1), renamed=True)

    assert set(change_kinds(staged.compare()).values()) == {"-moved", "moved"} and open_findings(staged) == [
        ("no_new_file", "", 0)
    ]


@pytest.mark.parametrize("same", [False, True], ids=["other", "same"])
def test_dumps_under_the_names_of_older_ones(same: bool) -> None:
    """A file that is written over an older one is the new file of the night. A night without one is a finding."""
    staged = StagedReplica(policy="rotating", keep_days=30, expected_interval=timedelta(days=1))
    now = timezone.now().timestamp()
    written_ago = {"dump-mo": 20, "dump-tu": 19, "dump-we": 18}
    names = list(written_ago)

    for ago in range(17, 0, -1):
        # Each night a dump is written over the oldest one, but not in the third and second last night.
        if ago > 3 or ago == 1:
            written_ago[names[(20 - ago) % 3]] = ago
        dumps = []
        for name, days in written_ago.items():
            content = b"the same" if same else b"%d" % days
            dumps.append(file(name, content, mtime_ns=int(now - days * DAY) * 10**9))
        run_at_night(staged, now - ago * DAY, dumps)
        assert open_findings(staged) == ([("no_new_file", "", 0)] if ago == 2 else []), ago


@pytest.mark.parametrize("how", ["expires", "undone"])
@pytest.mark.parametrize("restored", [False, True])
def test_restored_while_it_was_accepted(how: str, restored: bool) -> None:
    """A finding that opens again is compared with the newest run at once, since no later run would prove it."""
    staged, _second = damaged()
    finding = Finding.objects.get()
    user = stage.make_user("operator")
    actions.accept(finding, user, "until it is restored", timezone.now() + timedelta(days=1))
    staged.run([file("x", b"A" if restored else b"B"), KEEP])

    assert open_findings(staged) == []

    if how == "undone":
        actions.undo(finding, user, "by mistake")
    else:
        Finding.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert actions.reopen_expired() == 1
    assert open_findings(staged) == ([] if restored else [("corrupted", "x", 1)])

    actions_logged = [entry.action for entry in AuditEntry.objects.filter(finding=finding).order_by("pk")]
    assert actions_logged == [
        "opened",
        "accepted",
        "expired" if how == "expires" else "undone",
        *["resolved"] * restored,
    ]


def test_an_undone_finding_without_paths_stays_open() -> None:
    """A mass change has no path that could prove anything."""
    staged = StagedReplica(limit_files=5, limit_share=5)
    run_with_changes(staged, 50, 0)
    run_with_changes(staged, 50, 20)

    assert open_findings(staged) == [("mass_change", "", 20)]

    finding = Finding.objects.get()
    user = stage.make_user("operator")
    actions.release(finding, user, "meant")
    actions.undo(finding, user, "by mistake")

    assert open_findings(staged) == [("mass_change", "", 20)]


def test_a_released_mass_change_is_not_usual() -> None:
    """A mass change that was released does not raise the limits for the next one."""
    staged = StagedReplica()
    run_with_changes(staged, 500, 0)
    for day in range(6):
        run_with_changes(staged, 500, 10, b"day" * (day + 1))
    run_with_changes(staged, 500, 200, b"migrated")

    assert open_findings(staged) == [("mass_change", "", 200)]

    actions.release(Finding.objects.get(), stage.make_user("operator"), "a migration")
    run_with_changes(staged, 500, 450, b"encrypted")
    assert open_findings(staged) == [("mass_change", "", 450)] and mass_change.limits_for(staged.compare()) == (
        100,
        100,
        True,
        True,
    )


def test_the_tree_shows_no_search() -> None:
    """A level of the tree counts all changes below it: a search leads to the list, and the tree drops the search."""
    staged = StagedReplica()
    staged.run([KEEP])
    run = staged.run([KEEP, file("a/one", b"1"), file("b/two", b"2")])
    staged.compare()
    client = Client()
    client.force_login(stage.make_user("viewer"))
    page = client.get(reverse("changes", args=[run.uuid]), {"search": "one"}).content.decode()
    (tree,) = re.findall(r'href="([^"]*)"[^<>]*>Tree</a>', page)

    assert tree == "?view=tree"
