"""Make statements, for tests of the format and of whatever carries a statement."""

from __future__ import annotations

from typing import Any

from scanner.format.digests import RecordTotals
from scanner.format.statement import ALGORITHMS, Statement

UUID = "00000000-0000-4000-8000-00000000000{}"
"""A uuid with one digit to fill in."""


def make_statement(**members: Any) -> Statement:
    """Return the statement of an empty tree, with some members replaced."""
    totals = RecordTotals(0)
    statement = Statement(
        run=UUID.format(1),
        server=UUID.format(2),
        replica=UUID.format(3),
        group=UUID.format(4),
        root="/srv",
        sequence=1,
        previous=None,
        break_=None,
        base=None,
        started_at="2026-01-02T03:04:05.000006Z",
        finished_at="2026-01-02T03:04:06.000006Z",
        work_time_ns=1,
        outcome="complete",
        reason=None,
        mode="full",
        engine={"name": "hashlib", "wanted": "auto", "why": "faster", "tools": []},
        algorithms=ALGORITHMS,
        collector={"version": "1", "python": "3.9"},
        host={"system": "Linux", "release": "6", "boot_id": None, "filesystem": None},
        config="0" * 128,
        files=0,
        bytes_=0,
        errors=0,
        content=totals.content_digest.hexdigest(),
        records=totals.records_digest.finish(),
    )
    return statement._replace(**members)
