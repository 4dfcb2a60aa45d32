"""Bound the time of each statement of a task, so that one report cannot hold up a worker for hours.

PostgreSQL itself cancels the statement (manual, `statement_timeout`). The task then fails by a name of its own, see
`scanner.db.errors`, and its row counts the attempt.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connection
from django.db.backends.signals import connection_created
from django_q.signals import pre_execute

SET_LIMIT = "SELECT set_config('statement_timeout', %(milliseconds)s, false)"


def connect() -> None:
    """Limit the statements of this process from its first task on. A worker does nothing else."""
    pre_execute.connect(_limit_worker, dispatch_uid="statement_limit")


def _limit_worker(**_: Any) -> None:
    # A connection that is lost is opened again in the middle of a task, so each new one is limited as well.
    connection_created.connect(_limit_connection, dispatch_uid="statement_limit")
    if connection.connection is not None:
        _limit_connection(connection=connection)


def _limit_connection(connection: Any, **_: Any) -> None:
    milliseconds = settings.BACKUP_SYNCER_STATEMENT_SECONDS * 1000
    with connection.cursor() as cursor:
        cursor.execute(SET_LIMIT, {"milliseconds": str(milliseconds)})
