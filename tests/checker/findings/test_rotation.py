"""Rotating data: files go at their age and not before, and a new one comes in each interval."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from checker.findings import actions
from checker.models import Finding
from scanner.format.timestamps import format_timestamp
from scanner.models import Run
from tests.checker import stage
from tests.checker.findings.staging import open_findings
from tests.checker.staged_replica import StagedReplica, file

pytestmark = pytest.mark.django_db(transaction=True)


def test_age_and_new_files() -> None:
    """A file removed at its age was expected to go; one removed earlier, and a missing new file, are findings."""
    replica = StagedReplica(policy="rotating", keep_days=30, expected_interval=timedelta(days=1))
    now = timezone.now().timestamp()
    old_ns = int(now - 40 * 86400) * 10**9
    young_ns = int(now - 3 * 86400) * 10**9

    began = now - 3 * 86400
    replica.run(
        [file("old", b"1", mtime_ns=old_ns), file("young", b"2", mtime_ns=young_ns), file("z")],
        started_at=format_timestamp(began),
        finished_at=format_timestamp(began + 9),
    )
    replica.run([file("z")])
    assert open_findings(replica) == [("no_new_file", "", 0), ("removed", "young", 1)]

    replica.run([file("fresh", b"3"), file("z")])
    assert open_findings(replica) == [("removed", "young", 1)]


def test_no_new_file_is_accepted_once() -> None:
    """Who accepted that nothing new comes is not told again by the next run."""
    replica = StagedReplica(policy="rotating", keep_days=30, expected_interval=timedelta(hours=1))
    now = timezone.now().timestamp()
    for hours in (9, 5):
        end = now - hours * 3600
        replica.run([file("a")], started_at=format_timestamp(end - 9), finished_at=format_timestamp(end))
    assert open_findings(replica) == [("no_new_file", "", 0)]

    actions.accept(Finding.objects.get(), stage.make_user("operator"), "a holiday")
    replica.run([file("a")])
    assert open_findings(replica) == []


@pytest.mark.parametrize("days_ahead", [0, 400])
def test_a_clock_that_is_ahead_makes_nothing_old(days_ahead: int) -> None:
    """Backups that go before their age are a finding, whatever time their server gives; those of their age are none."""
    replica = StagedReplica(policy="rotating", keep_days=30, expected_interval=timedelta(days=1))
    now = timezone.now().timestamp()
    old_ns = int(now - 40 * 86400) * 10**9
    young_ns = int(now - 3 * 86400) * 10**9
    claimed = format_timestamp(now + days_ahead * 86400)
    expired = [file(f"old/{number:02}", b"o%d" % number, mtime_ns=old_ns) for number in range(6)]
    backups = [file(f"daily/{number:02}", b"%d" % number, mtime_ns=young_ns) for number in range(60)]
    undated = [file("undated", b"u", mtime_ns=0)]
    kept = [file(f"z/{number:03}", b"k%d" % number) for number in range(200)]

    replica.run([*backups, *expired, *undated, *kept], started_at=claimed, finished_at=claimed)
    replica.run([*backups, *undated, *kept], started_at=claimed, finished_at=claimed)
    assert [kind for kind, *_rest in open_findings(replica)] == []

    replica.run([*kept], started_at=claimed, finished_at=claimed)
    assert ("removed", "daily/", 60) in open_findings(replica)
    assert ("removed", "undated", 1) in open_findings(replica)


@pytest.mark.parametrize("days_ahead", [0, 400])
def test_a_clock_that_was_ahead_silences_no_missing_file(days_ahead: int) -> None:
    """A new file is due an interval after the last one arrived, also when its run claimed to end in a year."""
    replica = StagedReplica(policy="rotating", keep_days=30, expected_interval=timedelta(hours=1))
    claimed = format_timestamp(timezone.now().timestamp() + days_ahead * 86400)
    run = replica.run([file("a")], started_at=claimed, finished_at=claimed)
    assert open_findings(replica) == []

    long_ago = timezone.now() - timedelta(hours=9)
    Run.objects.filter(pk=run.pk).update(received_at=long_ago)
    replica.run([file("a")])
    assert open_findings(replica) == [("no_new_file", "", 0)]
