"""Whoever can write the database has the running cluster call nothing but what the code lists."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.flow.processes import RunningSystem, wait_for

# As django-q2 makes them, and as an installation of an earlier version still has them.
OLD_TABLES = """
CREATE TABLE django_q_schedule (
    id serial PRIMARY KEY, func varchar(256) NOT NULL, hook varchar(256), args text, kwargs text, name varchar(100),
    schedule_type varchar(1) NOT NULL, minutes smallint, repeats integer NOT NULL, next_run timestamptz,
    task varchar(100), cron varchar(100), cluster varchar(100), intended_date_kwarg varchar(100)
)
"""
SCHEDULE = """
INSERT INTO django_q_schedule (func, args, name, schedule_type, minutes, repeats, next_run)
VALUES (%(function)s, %(arguments)s, 'attack', 'I', 1, -1, now() - interval '1 hour')
"""
QUEUE = "INSERT INTO django_q_ormq (key, payload, lock) VALUES ('backup_syncer', %(payload)s, now())"

PACK = """
import os
from django.conf import settings
from django.core import signing
from django_q.signing import PickleSerializer
class Bomb:
    def __reduce__(self):
        return os.mkdir, ({bomb!r},)
package = dict(id="0" * 32, name="x", func="os.mkdir", args=({call!r},), kwargs=dict(), hook="os.remove", bomb=Bomb())
print(signing.dumps(package, key={key}, salt="backup_syncer", serializer=PickleSerializer))
"""


def execute(system: RunningSystem, statement: str, **values: str) -> None:
    """Run a statement as somebody who has the application's own rights in the database."""
    with psycopg.connect(system.own_database, autocommit=True) as connection:
        connection.execute(statement.encode(), values)


@pytest.mark.parametrize("key", ["'another'", "settings.SECRET_KEY"], ids=["another key", "our key"])
def test_forged_rows_run_nothing(system: RunningSystem, tmp_path: Path, key: str) -> None:
    """Rows that name other functions or hold pickles are logged and gone, and the listed task behind them runs."""
    touched = {name: tmp_path / name for name in ("bomb", "call", "json", "schedule")}
    package = system.shell(PACK.format(bomb=str(touched["bomb"]), call=str(touched["call"]), key=key))
    assert not touched["bomb"].exists()

    beat = system.directory / "beat" / "beat"
    wait_for(beat.exists, 60, "the first beat")
    beat.unlink()

    execute(system, OLD_TABLES)
    execute(system, SCHEDULE, function="os.mkdir", arguments=f"({str(touched['schedule'])!r},)")
    execute(system, SCHEDULE, function="scanner.tasks.on_run_received", arguments="(1,)")
    execute(system, QUEUE, payload=package)
    execute(system, QUEUE, payload=f'{{"task": "os.mkdir", "arguments": ["{touched["json"]}"]}}')
    execute(system, QUEUE, payload='{"task": "scanner.tasks.ingest_replica", "arguments": ["1; drop"]}')
    # The control: what the list names is called, whoever wrote the row.
    execute(system, QUEUE, payload='{"task": "backup_syncer.launcher.heartbeat.beat", "arguments": []}')

    wait_for(beat.exists, 30, "the listed task")
    wait_for(lambda: system.query("SELECT count(*) FROM django_q_ormq") == [(0,)], 30, "the queue to be empty")

    log = system.cluster.log.read_text()
    assert log.count("of the queue was refused") == 3
    assert not any(path.exists() for path in touched.values())
    # Nobody has looked at the schedules: django-q2 would have moved the next run on, or counted it.
    assert system.query("SELECT count(*) FROM django_q_schedule WHERE next_run < now() AND task IS NULL") == [(2,)]


JUDGING = 0x62736A75
"""The lock class of slots for tasks that judge."""
JUDGE = "INSERT INTO django_q_ormq (key, payload, lock) VALUES ('judging', %(payload)s, now())"
COUNT_ROWS = "SELECT count(*) FROM django_q_ormq WHERE key = '{}'"


@pytest.mark.long
def test_comparisons_that_never_end_hold_up_no_ingest(system: RunningSystem) -> None:
    """While every slot is taken the cluster beats and ingests; what judges waits, and runs when a slot is free."""
    beat = system.directory / "beat" / "beat"
    wait_for(beat.exists, 60, "the first beat")
    with psycopg.connect(system.own_database, autocommit=True) as comparisons:
        for slot in range(2):
            held = f"SELECT pg_advisory_lock({JUDGING}, {slot})"
            comparisons.execute(held.encode())
        for task in ("compare_moment", "compare", "verify_run"):
            execute(system, JUDGE, payload=f'{{"task": "checker.tasks.{task}", "arguments": [1]}}')
        execute(system, QUEUE, payload='{"task": "scanner.tasks.ingest_replica", "arguments": [1]}')

        wait_for(lambda: system.query(COUNT_ROWS.format("backup_syncer")) == [(0,)], 30, "the ingest")
        beat.unlink()
        wait_for(beat.exists, 90, "a beat of the busy cluster")
        assert system.query(COUNT_ROWS.format("judging")) == [(3,)]

    wait_for(lambda: system.query(COUNT_ROWS.format("judging")) == [(0,)], 60, "the tasks that judge")
