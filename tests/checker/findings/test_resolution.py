"""Hold which findings a proof may close, and which it may not."""

from __future__ import annotations

import pytest

from checker.findings import description
from checker.models import Finding
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.findings.staging import open_findings
from tests.checker.staged_replica import LATER_MTIME, StagedReplica, file
from tests.scanner.factories import error_row

pytestmark = pytest.mark.django_db(transaction=True)
KEPT = file("keep", b"k")


def test_damage_that_went_on_is_resolved_by_the_first_content() -> None:
    """The content before the first damage resolves it; what lay between is damage as well."""
    replica = StagedReplica()
    run = replica.run([file("a", b"good"), KEPT])
    for content in (b"bad", b"worse"):
        run = replica.run([file("a", content), KEPT, confirmed_note("a", str(run.uuid))])
        assert open_findings(replica) == [("corrupted", "a", 1)]

    replica.run([file("a", b"bad", mtime_ns=LATER_MTIME), KEPT])
    assert open_findings(replica) == [("corrupted", "a", 1)]
    replica.run([file("a", b"good"), KEPT])
    assert open_findings(replica) == []


def test_what_lay_between_restores_nothing() -> None:
    """In data that must not change, a return to what a finding had in between is a change like any other."""
    replica = StagedReplica(policy="immutable", limit_files=1000)
    for number, content in enumerate((b"one", b"two", b"three", b"two")):
        replica.run([file("a", content, mtime_ns=LATER_MTIME + number), KEPT])
    assert open_findings(replica) == [("modified", "a", 1), ("reverted", "a", 1)]

    replica.run([file("a", b"one", mtime_ns=LATER_MTIME), KEPT])
    assert [finding for finding in open_findings(replica) if finding[0] == "modified"] == []


def test_hidden_is_not_gone() -> None:
    """A path that was added and that nobody can see any more has not gone: its finding stays until it is known to."""
    replica = StagedReplica(policy="immutable", limit_files=1000)
    replica.run([file("d/a", b"a"), file("keep")])
    replica.run([file("d/a", b"a"), file("d/new", b"new"), file("keep")])
    assert open_findings(replica) == [("added", "d/new", 1)]
    replica.run([error_row("d", stage="list"), file("keep")])
    assert open_findings(replica) == [("added", "d/new", 1), ("unreadable", "d", 1)]
    replica.run([file("d/a", b"a"), file("keep")])
    assert open_findings(replica) == []


def test_a_directory_that_another_hides_was_not_read() -> None:
    """A parent that hides an unreadable directory proves nothing of it, nor does its removal."""
    replica = StagedReplica()
    replica.run([file("p/d/a", b"a"), file("p/b", b"b"), file("q/a", b"qa"), file("keep")])
    replica.run([error_row("p/d", stage="list"), file("p/b", b"b"), error_row("q", stage="list"), file("keep")])
    replica.run([error_row("p", stage="list"), file("keep")])
    assert {path for _kind, path, _number in open_findings(replica)} >= {"p/d", "q"}
    replica.run([file("p/d/a", b"a"), file("p/b", b"b"), file("keep")])
    assert open_findings(replica) == [("unreadable", "q", 1)]


def test_read_again_after_it_was_hidden() -> None:
    """A file that was unreadable, then hidden, and is read as it was, is no change, and its finding is resolved."""
    replica = StagedReplica()
    replica.run([file("d/a", b"a"), file("keep")])
    for error in (error_row("d/a"), error_row("d", stage="list")):
        replica.run([error, file("keep")])
        replica.compare()
    replica.run([file("d/a", b"a"), file("keep")])
    assert open_findings(replica) == []


@pytest.mark.parametrize("error", ["EACCES", "ECHANGED"])
def test_read_again_with_another_content(error: str) -> None:
    """A file that could not be read and has another content then was read again, and is a finding as what it is now."""
    replica = StagedReplica()
    replica.run([file("a", b"good"), file("keep")])
    for _run in range(3):
        replica.run([error_row("a", error, "read"), file("keep")])
        replica.compare()
    assert len(open_findings(replica)) == 1

    replica.run([file("a", b"bad"), file("keep")])
    assert open_findings(replica) == [("rewritten", "a", 1)]


def test_a_medium_that_gives_back_other_content() -> None:
    """A file that comes back changed under the same time is damage until the content that was last read is back."""
    replica = StagedReplica()
    replica.run([file("a", b"good"), KEPT])
    replica.run([error_row("a", "EIO", "read"), KEPT])
    assert open_findings(replica) == [("unreadable", "a", 1)]
    replica.run([file("a", b"rotten"), KEPT])
    assert open_findings(replica) == [("corrupted", "a", 1)]
    finding = Finding.objects.get()
    assert finding.severity == Finding.Severity.CRITICAL
    assert [entry.action for entry in finding.audit_entries.all()] == ["opened", "seen_again"]

    replica.run([file("a", b"good"), KEPT])
    assert open_findings(replica) == []


def test_a_file_that_was_written_while_it_was_unreadable() -> None:
    """Other content under a later time proves nothing of what the medium lost: a person ends the finding."""
    replica = StagedReplica(policy="immutable", limit_files=1000)
    replica.run([file("a", b"good"), KEPT])
    replica.run([error_row("a", "EIO", "read"), KEPT])
    replica.run([file("a", b"new", mtime_ns=LATER_MTIME), KEPT])
    assert open_findings(replica) == [("unreadable", "a", 1)]
    words = description.describe(Finding.objects.get())
    assert words.title == "read again with other content: a"

    replica.run([file("a", b"good"), KEPT])
    assert open_findings(replica) == []


def test_rights_hide_no_damage() -> None:
    """A lack of rights is over when the file can be read, whatever it holds by then."""
    replica = StagedReplica()
    replica.run([file("a", b"good"), KEPT])
    replica.run([error_row("a"), KEPT])
    replica.run([file("a", b"new", mtime_ns=LATER_MTIME), KEPT])
    assert open_findings(replica) == []
