"""Read the newest complete runs of many replicas at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from scanner.db.sql import fetch_all, load_statements

statement = load_statements(__file__)


class CompleteRun(NamedTuple):
    """A complete run with its figures."""

    replica_id: int
    run_id: int
    uuid: UUID
    sequence: int
    finished_at: datetime
    work_time_ns: int
    bytes: int


def newest_complete_runs(replica_ids: Sequence[int], limit: int) -> list[CompleteRun]:
    """Return the newest complete runs of each of these replicas, at most `limit` of each, oldest first."""
    parameters = {"replicas": list(replica_ids), "limit": limit}
    return [CompleteRun(*row) for row in fetch_all(statement("list_newest_complete_runs"), parameters)]
