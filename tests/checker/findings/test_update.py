"""Hold that a comparison opens, renews and resolves what it should, and does so in sets."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checker.findings import actions, description, update
from checker.models import AuditEntry, Change, Finding
from checker.pages.status import Status
from scanner.format.records import Record
from scanner.models import Group
from tests.checker import stage
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.findings.staging import open_findings
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, file
from tests.scanner.factories import error_row

pytestmark = pytest.mark.django_db(transaction=True)


def test_damage_is_not_folded_and_is_resolved_by_proof() -> None:
    """Each damaged file has its finding, which stays open until the content is again what it was."""
    replica = StagedReplica()
    names = [f"d/{number:02d}" for number in range(30)]
    good = {name: file(name, name.encode()) for name in names}
    damaged = {name: file(name, b"rot" + name.encode()) for name in names[:25]}

    first = replica.run(list(good.values()))
    notes = [confirmed_note(name, str(first.uuid)) for name in damaged]
    replica.run([*(good | damaged).values(), *notes])
    assert open_findings(replica) == [("corrupted", name, 1) for name in names[:25]]

    replica.run(list((good | damaged).values()))
    assert len(open_findings(replica)) == 25

    mended = names[0]
    replica.run(list((good | damaged | {mended: good[mended]}).values()))
    assert open_findings(replica) == [("corrupted", name, 1) for name in names[1:25]]

    resolved = Finding.objects.get(path=mended)
    assert resolved.state == Finding.State.RESOLVED
    assert [entry.action for entry in resolved.audit_entries.all()] == ["opened", "resolved"]

    finding = Finding.objects.get(path=names[1])
    words = description.describe(finding)
    assert "did not come from cache" in " ".join(words.reasons)
    assert "hashlib, native" in " ".join(words.reasons)
    assert words.next_steps
    assert finding.severity == Finding.Severity.CRITICAL


def test_a_patch_day_is_a_few_findings() -> None:
    """Thousands of like changes are folded by directory, and every path knows its finding."""
    replica = StagedReplica(policy="immutable", limit_files=10_000)
    names = [f"usr/{directory}/{number}" for directory in ("bin", "lib", "share") for number in range(200)]
    replica.run([file(name, name.encode()) for name in names])
    replica.run([file(name, b"2" + name.encode(), mtime_ns=LATER_MTIME) for name in names])
    assert open_findings(replica) == [("modified", f"usr/{directory}/", 200) for directory in ("bin", "lib", "share")]
    assert Change.objects.filter(finding_id__isnull=False).count() == 600

    replica.run([file(name, name.encode()) for name in names])
    assert [finding for finding in open_findings(replica) if finding[0] == "modified"] == []


@pytest.mark.parametrize(("directories", "expected"), [(20, 20), (21, 1)])
def test_twenty_branches(directories: int, expected: int) -> None:
    """Up to twenty directories have a finding each; more are one finding."""
    replica = StagedReplica(policy="immutable", limit_files=1000)
    names = [f"u/{directory:02d}/{number}" for directory in range(directories) for number in range(2)]
    replica.run([file(name, name.encode()) for name in names])
    replica.run([file(name, b"2" + name.encode(), mtime_ns=LATER_MTIME) for name in names])
    assert len(open_findings(replica)) == expected


def test_a_folded_finding_counts_its_paths_once() -> None:
    """Paths that change again are counted once."""
    replica = StagedReplica(policy="immutable", limit_files=1000)
    for run in range(3):
        changed = [file(f"d/{number}", b"%d %d" % (run, number), mtime_ns=LATER_MTIME + run) for number in range(25)]
        replica.run([*changed, file("k")])
        replica.compare()
    assert open_findings(replica) == [("modified", "d/", 25)]


def test_unreadable_paths() -> None:
    """Errors of the medium are damage, one by one; a directory says what it hides; reading again resolves both."""
    replica = StagedReplica()
    files = [file(f"d/{number}", b"%d" % number) for number in range(5)]
    replica.run([*files, file("a"), file("b", b"b")])
    replica.run([error_row("d", stage="list"), error_row("a", "EIO", "read"), file("b", b"b")])
    assert open_findings(replica) == [("unreadable", "a", 1), ("unreadable", "d", 1)]

    medium_error = Finding.objects.get(path="a")
    directory = Finding.objects.get(path="d")
    assert medium_error.severity == Finding.Severity.CRITICAL
    assert directory.severity == Finding.Severity.WARNING
    assert "5 paths below cannot be seen" in " ".join(description.describe(directory).reasons)

    replica.run([*files, file("a"), file("b", b"b")])
    assert open_findings(replica) == []


@pytest.mark.parametrize("error", ["EIO", "EUNSTABLE", "EBADMSG", "EUCLEAN"])
def test_errors_of_the_medium(error: str) -> None:
    """They are damage, one finding a file, however many lie side by side."""
    replica = StagedReplica()
    names = [f"d/{number:02d}" for number in range(30)]
    replica.run([file(name, name.encode()) for name in names])
    replica.run([error_row(name, error, "read") for name in names])
    assert open_findings(replica) == [("unreadable", name, 1) for name in names]
    assert set(Finding.objects.values_list("severity", flat=True)) == {Finding.Severity.CRITICAL}


def test_folded_directories_say_what_they_hide() -> None:
    """Also when several directories are one finding, it says how many paths are hidden below them."""
    replica = StagedReplica()
    files = [
        file(f"d/{directory}/x{number}", f"{directory}{number}".encode())
        for directory in range(3)
        for number in range(4)
    ]
    replica.run([*files, file("keep")])
    unlistable = [error_row(f"d/{directory}", stage="list") for directory in range(3)]
    replica.run([*unlistable, file("d/z"), error_row("e"), file("keep")])
    replica.compare()

    reasons = {finding.path: " ".join(description.describe(finding).reasons) for finding in Finding.objects.all()}
    assert set(reasons) == {"d/", "e"}
    assert "12 paths below" in reasons["d/"]


def test_the_first_run_finds_what_it_could_not_read() -> None:
    """An error of the very first run is a finding."""
    replica = StagedReplica()
    replica.run([error_row("a"), file("b")])
    assert open_findings(replica) == [("unreadable", "a", 1)]


def test_unstable_after_three_runs() -> None:
    """A file that changes while it is read is a finding after three complete runs, and resolved when it was read."""
    replica = StagedReplica()
    replica.run([file("db"), file("x", b"x")])
    for expected in ([], [], [("restless", "db", 1)], [("restless", "db", 1)]):
        replica.run([error_row("db", "ECHANGED", "read"), file("x", b"x")])
        assert open_findings(replica) == expected
    replica.run([file("db", b"other", mtime_ns=LATER_MTIME), file("x", b"x")])
    assert open_findings(replica) == []


def test_unstable_files_are_folded() -> None:
    """Many unstable files of a directory are one finding."""
    replica = StagedReplica()
    for _run in range(3):
        replica.run([*(error_row(f"db/{number}", "ECHANGED", "read") for number in range(30)), file("x")])
    assert open_findings(replica) == [("restless", "db/", 30)]


def test_judging_twice_changes_nothing() -> None:
    """A comparison that is judged again opens nothing, not even what was accepted or released meanwhile."""
    replica = StagedReplica(policy="immutable", limit_files=2, limit_share=1)
    replica.run([file(str(number), b"%d" % number) for number in range(50)])
    replica.run([file(str(number), b"new %d" % number if number < 9 else b"%d" % number) for number in range(50)])
    comparison = replica.compare()
    user = stage.make_user("operator")

    states = list(Finding.objects.order_by("pk").values_list("pk", "state"))
    for _again in range(2):
        with transaction.atomic():
            update.update_findings(comparison)
        assert list(Finding.objects.order_by("pk").values_list("pk", "state")) == states
        assert not AuditEntry.objects.exclude(action__in=["opened", "accepted", "released"]).exists()

        for finding in Finding.objects.filter(state=Finding.State.OPEN):
            act = actions.release if finding.kind == Finding.Kind.MASS_CHANGE else actions.accept
            act(finding, user, "known")
        states = [(pk, "accepted") for pk, _state in states]


@pytest.mark.parametrize("change", ["damaged", "modified"])
def test_the_work_is_done_in_sets(change: str) -> None:
    """A thousand changes, their findings and their cure cost as many statements as thirty do."""
    statement_counts = []
    for number in (30, 1000):
        replica = StagedReplica(policy="immutable", limit_files=10**6)
        paths = [f"d/{index:05d}" for index in range(number)]
        good: list[Record] = [file(path, path.encode()) for path in paths]
        bad: list[Record] = [error_row(path, "EIO", "read") for path in paths]
        if change == "modified":
            bad = [file(path, b"new" + path.encode(), mtime_ns=LATER_MTIME) for path in paths]

        for entries in (good, bad, good):
            replica.run(entries)
        with CaptureQueriesContext(connection) as queries:
            assert open_findings(replica) == []
        statement_counts.append(len(queries))

        resolved = Finding.objects.filter(replica=replica.replica, state="resolved")
        assert sum(resolved.values_list("number", flat=True)) == number
    assert statement_counts[0] == statement_counts[1]


def test_findings_decide_the_status() -> None:
    """The worst open finding decides the status of a replica, and says in one line what it is."""
    from checker.pages import overview, replica_facts

    def status(staged: StagedReplica) -> tuple[Status, str]:
        staged.compare()
        stage.make_proof(staged.replica.runs.latest("sequence"))
        replicas = replica_facts.replicas_in_use().filter(pk=staged.replica.pk)
        (row,) = overview.replica_rows(replicas, timezone.now())
        reasons = row.assessment.reasons
        return row.assessment.status, reasons[0].text if reasons else ""

    replica = StagedReplica(policy=Group.Policy.APPEND_ONLY)
    first = replica.run([file("a"), file("b", b"b")])
    assert status(replica) == (Status.PROVEN, "")

    replica.run([file("a")])
    assert status(replica) == (Status.ATTENTION, "removed: b (since run 2)")

    newest = first.replica.runs.latest("sequence")
    replica.run([file("a", b"rotten"), confirmed_note("a", str(newest.uuid))])
    assert status(replica) == (Status.DAMAGED, "corrupted: a (since run 3)")

    replica.run([file("a"), file("b", b"b")])
    assert status(replica) == (Status.PROVEN, "")
