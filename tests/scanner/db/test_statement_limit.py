"""Statements of a worker are cancelled after a while, and that attempt counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.backends.signals import connection_created
from django_q.signals import pre_execute

from checker.changes import compare
from checker.jobs import run_comparisons
from checker.models import Comparison
from scanner.db.attempts import MAX_ATTEMPTS
from scanner.errors import StatementCancelled
from tests.checker.staged_replica import StagedReplica, change_kinds, file

pytestmark = pytest.mark.django_db(transaction=True)

RESET = "RESET statement_timeout"
SHOW = "SHOW statement_timeout"
SLEEP = "SELECT pg_sleep(60)"


def execute(sql: str) -> Any:
    """Execute a statement and return its only value, if any."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None


@pytest.fixture
def worker(settings: Any) -> Iterator[None]:
    """Let this process be a worker that has begun a task, with a limit of one second."""
    settings.BACKUP_SYNCER_STATEMENT_SECONDS = 1
    connection.ensure_connection()
    pre_execute.send(sender="test", func=None, task={})
    yield
    connection_created.disconnect(dispatch_uid="statement_limit")
    execute(RESET)


def test_every_connection_of_a_worker_is_limited(worker: None) -> None:
    """The connection at hand, and one that was lost and is opened again."""
    assert execute(SHOW) == "1s"
    connection.close()
    assert execute(SHOW) == "1s"


def test_a_statement_that_takes_too_long_counts(worker: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is set aside after its attempts with the reason, and those behind it are made."""
    staged = StagedReplica()
    for content in (b"1", b"2", b"3"):
        staged.run([file("a", content)])
    find_changes = compare.find_changes

    def sleep_or_find(comparison: Comparison, *arguments: Any) -> None:
        if comparison.run.sequence == 2:
            execute(SLEEP)
        find_changes(comparison, *arguments)

    monkeypatch.setattr(compare, "find_changes", sleep_or_find)
    for _ in range(MAX_ATTEMPTS - 1):
        with pytest.raises(StatementCancelled, match="statement timeout"):
            run_comparisons.catch_up(staged.replica.pk)
    run_comparisons.catch_up(staged.replica.pk)

    slow = Comparison.objects.get(run__sequence=2)
    assert (slow.state, slow.attempts) == ("set_aside", MAX_ATTEMPTS)
    assert "a statement was cancelled" in slow.reason
    assert change_kinds(Comparison.objects.get(run__sequence=3)) == {"a": "rewritten"}
