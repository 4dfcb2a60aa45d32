"""Accepting, undoing and releasing: who may, what is refused, and what stays in the audit log."""

from __future__ import annotations

import threading
from datetime import timedelta
from importlib import import_module

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from checker.findings import actions, description
from checker.models import AuditEntry, Finding
from tests.checker import stage
from tests.checker.changes.test_compare import confirmed_note
from tests.checker.findings.staging import open_findings, run_with_changes
from tests.checker.staged_replica import StagedReplica, file

pytestmark = pytest.mark.django_db(transaction=True)


def open_one_finding() -> tuple[Finding, StagedReplica]:
    """Return a finding that may be accepted, and its replica: a file was rewritten."""
    replica = StagedReplica()
    replica.run([file("a"), file("keep")])
    replica.run([file("a", b"new"), file("keep")])
    replica.compare()
    return Finding.objects.get(), replica


def test_every_action_is_logged() -> None:
    """Accepting needs a reason, can be undone and can expire; every action stays in a log that cannot be changed."""
    finding, replica = open_one_finding()
    user = stage.make_user("operator")

    with pytest.raises(actions.ActionRefused):
        actions.accept(finding, user, "  ")
    with pytest.raises(actions.ActionRefused):
        actions.accept(finding, user, "late", timezone.now() - timedelta(days=1))

    actions.accept(finding, user, "a mirror tool", timezone.now() + timedelta(days=1))
    assert finding.state == Finding.State.ACCEPTED
    assert open_findings(replica) == []
    with pytest.raises(actions.ActionRefused):
        actions.accept(finding, user, "again")

    actions.undo(finding, user, "by mistake")
    actions.accept(finding, user, "a mirror tool", timezone.now() + timedelta(days=1))
    Finding.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert actions.reopen_expired() == 1
    assert actions.reopen_expired() == 0

    username = user.get_username()
    assert list(finding.audit_entries.values_list("action", "username", "reason")) == [
        ("opened", "", ""),
        ("accepted", username, "a mirror tool"),
        ("undone", username, "by mistake"),
        ("accepted", username, "a mirror tool"),
        ("expired", "", ""),
    ]


def test_the_audit_log_is_never_changed() -> None:
    """The database refuses to change and to delete rows, whoever asks."""
    open_one_finding()
    with pytest.raises(DatabaseError), transaction.atomic():
        AuditEntry.objects.update(reason="x")
    with pytest.raises(DatabaseError), transaction.atomic():
        AuditEntry.objects.all().delete()
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("DELETE FROM checker_act")


@pytest.mark.parametrize("tables", ["checker_act", "checker_finding CASCADE"])
def test_the_audit_log_is_not_emptied(tables: str) -> None:
    """TRUNCATE is refused, of the log itself and of what it hangs on, as the migration leaves the table."""
    migration = import_module("checker.migrations.0002_sql")
    with transaction.atomic(), connection.cursor() as cursor:
        # Tests disable the trigger; made anew, it is enabled as in every other database.
        cursor.execute(migration.UNLOCK)
        cursor.execute(migration.LOCK)
        with pytest.raises(DatabaseError, match="never changed or deleted"), transaction.atomic():
            cursor.execute(f"TRUNCATE {tables}")
        transaction.set_rollback(True)


def test_two_people_accept_at_once() -> None:
    """If two people accept a finding at the same time, one is told that it is not open any more."""
    finding, _replica = open_one_finding()
    users = [stage.make_user("operator"), stage.make_user("operator")]
    start = threading.Barrier(2)
    outcomes: list[str] = []

    def accept(user: User) -> None:
        start.wait()
        try:
            actions.accept(Finding.objects.get(pk=finding.pk), user, "mine")
            outcomes.append("accepted")
        except actions.ActionRefused:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=accept, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["accepted", "refused"]
    assert finding.audit_entries.filter(action="accepted").count() == 1


def test_damage_is_not_accepted_in_bulk() -> None:
    """Several findings are accepted at once only when none of them is damage."""
    replica = StagedReplica()
    first = replica.run([file("a"), file("b", b"b"), file("c", b"c")])
    replica.run([file("a", b"A"), file("b", b"B"), file("c", b"C"), confirmed_note("a", str(first.uuid))])
    replica.compare()
    user = stage.make_user("operator")
    damage, *others = Finding.objects.order_by("path")

    with pytest.raises(actions.ActionRefused):
        actions.accept_all([damage, *others], user, "all of it")
    assert Finding.objects.filter(state=Finding.State.OPEN).count() == 3
    assert actions.accept_all(others, user, "known") == 2


def test_a_mass_change_holds_until_it_is_released() -> None:
    """A run that changes more than is usual holds the replica, whatever later runs say, until a person releases it."""
    replica = StagedReplica()
    run_with_changes(replica, 400, 0)
    run_with_changes(replica, 400, 90)
    assert open_findings(replica) == []
    run_with_changes(replica, 400, 300, b"other")
    assert open_findings(replica) == [("mass_change", "", 300)]
    run_with_changes(replica, 400, 300, b"other")
    run_with_changes(replica, 400, 0)
    assert [kind for kind, _path, _number in open_findings(replica)] == ["mass_change"]

    finding = Finding.objects.get(kind="mass_change", state=Finding.State.OPEN)
    user = stage.make_user("operator")
    assert "400" in description.describe(finding).title
    with pytest.raises(actions.ActionRefused):
        actions.accept(finding, user, "fine")
    with pytest.raises(actions.ActionRefused):
        actions.undo(finding, user, "fine")

    actions.release(finding, user, "the photos were converted")
    assert open_findings(replica) == []
    assert [entry.action for entry in finding.audit_entries.all()][-1] == "released"
