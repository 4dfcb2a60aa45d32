"""Where one replica leads: what the others may lack for a while, and what they may keep.

Works on `diverging` of `replicas`.
"""

# ruff: noqa: S608  # statements are put together from constants of this package; values travel as parameters

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from checker.divergences.compare import ComparedReplica

SAME = """({0}.type = {1}.type AND {0}.sha256 IS NOT DISTINCT FROM {1}.sha256
    AND ({0}.type = 1 OR {0}.detail = {1}.detail))"""
EARLIER = """EXISTS (SELECT FROM scanner_version AS earlier WHERE earlier.replica_id = %(leader)s
    AND left(earlier.path, 512) = left(row.path, 512) AND earlier.path = row.path
    AND earlier.from_seq <= %(sequence)s AND {0})"""
# What the leader had and removed may stay with the others.
LINGER = f"""
UPDATE diverging SET cells = translate(cells, '+-', '~.'), settled = true FROM (
    SELECT row.path FROM diverging AS row JOIN scanner_version AS held
        ON held.id = (SELECT max(id) FROM unnest(row.versions) AS id)
    WHERE substr(row.cells, %(position)s, 1) = '-' AND row.contents = 1
        AND {EARLIER.format(SAME.format("earlier", "held"))}) AS lingering
WHERE diverging.path = lingering.path
"""
# Since when the leader has held what it holds: the run that began it, however often it was touched since.
BEGUN = f"""
    SELECT row.path, (SELECT max(run.finished_at) FROM scanner_version AS same
        JOIN scanner_run AS run ON run.replica_id = same.replica_id AND run.sequence = same.from_seq
        WHERE same.replica_id = %(leader)s AND left(same.path, 512) = left(row.path, 512) AND same.path = row.path
            AND same.from_seq <= lead.from_seq AND {SAME.format("same", "lead")}
            AND NOT EXISTS (SELECT FROM scanner_version AS before WHERE before.replica_id = %(leader)s
                AND left(before.path, 512) = left(row.path, 512) AND before.path = row.path
                AND before.until_seq = same.from_seq AND {SAME.format("before", "same")})) AS begun
    FROM diverging AS row JOIN scanner_version AS lead ON lead.id = row.versions[%(position)s]
    WHERE substr(row.cells, %(position)s, 1) = '+'
"""
AT_PATH = "left({0}.path, 512) = left(diverging.path, 512) AND {0}.path = diverging.path"
FOLLOWS = """EXISTS (SELECT FROM scanner_version AS next WHERE next.replica_id = {0}.replica_id
    AND left(next.path, 512) = left({0}.path, 512) AND next.path = {0}.path AND next.from_seq = {0}.until_seq)"""
# The other one had something there, and it went while the leader held it, as it does without a break since: that is no
# lag, however new the leader's content is.
GONE = f"""EXISTS (
    SELECT FROM scanner_version AS had JOIN scanner_run AS gone
        ON gone.replica_id = had.replica_id AND gone.sequence = had.until_seq
    WHERE had.replica_id = %(replica)s AND {AT_PATH.format("had")} AND had.until_seq <= %(other_sequence)s
        AND NOT {FOLLOWS.format("had")}
        AND EXISTS (SELECT FROM scanner_version AS led JOIN scanner_run AS began
                ON began.replica_id = led.replica_id AND began.sequence = led.from_seq
            LEFT JOIN scanner_run AS ended ON ended.replica_id = led.replica_id AND ended.sequence = led.until_seq
            WHERE led.replica_id = %(leader)s AND {AT_PATH.format("led")} AND began.finished_at <= gone.finished_at
                AND (ended.id IS NULL OR ended.finished_at > gone.finished_at))
        AND NOT EXISTS (SELECT FROM scanner_version AS led JOIN scanner_run AS ended
                ON ended.replica_id = led.replica_id AND ended.sequence = led.until_seq
            WHERE led.replica_id = %(leader)s AND {AT_PATH.format("led")} AND led.until_seq <= %(sequence)s
                AND ended.finished_at > gone.finished_at AND NOT {FOLLOWS.format("led")}))"""
LAG = f"""
UPDATE diverging SET cells = overlay(cells PLACING '~' FROM %(other)s FOR 1) FROM ({BEGUN}) AS led
WHERE diverging.path = led.path AND led.begun + %(lag)s > %(finished)s
    AND (substr(cells, %(other)s, 1) = '-' AND NOT {GONE}
        OR substr(cells, %(other)s, 1) = '+' AND contents > 1 AND EXISTS (
        SELECT FROM diverging AS row
        JOIN scanner_version AS held ON held.id = row.versions[%(other)s]
        JOIN scanner_version AS lead ON lead.id = row.versions[%(position)s]
        WHERE row.path = diverging.path AND NOT {SAME.format("held", "lead")}
            AND {EARLIER.format(SAME.format("earlier", "held"))}))
"""
# Contents that differ are settled when those that are not the leader's may all be older.
SETTLE = f"""
UPDATE diverging SET settled = true WHERE contents > 1 AND cells LIKE '%%~%%' AND NOT EXISTS (
    SELECT FROM unnest(versions) WITH ORDINALITY AS one(id, position)
    JOIN scanner_version AS held ON held.id = one.id
    JOIN scanner_version AS lead ON lead.id = versions[%(position)s]
    WHERE substr(cells, one.position::int, 1) = '+' AND NOT {SAME.format("held", "lead")})
"""


# What the leader has held for longer than it may be missing elsewhere began before this run.
MAY_LAG = """
SELECT min(sequence) FROM scanner_run WHERE replica_id = %(leader)s AND finished_at + %(lag)s > %(finished)s
"""


def may_lag(leader: ComparedReplica, finished: datetime, lag: timedelta) -> int | None:
    """The first run of the leader whose news may be missing in another one's run that ended at `finished`."""
    given: dict[str, Any] = {"leader": leader.replica_id, "lag": lag, "finished": finished}
    with connection.cursor() as cursor:
        cursor.execute(MAY_LAG, given)
        ((first,),) = cursor.fetchall()
        return None if first is None else int(first)


def follow(leader: ComparedReplica, others: Sequence[tuple[ComparedReplica, datetime]], lag: timedelta) -> None:
    """Where one side leads: allow what it removed to linger, and what it has had for less than `lag` to be missing or
    older elsewhere. `others` come with the time at which their runs ended."""
    given: dict[str, Any] = {
        "leader": leader.replica_id,
        "position": leader.position,
        "sequence": leader.sequence,
        "lag": lag,
    }
    with connection.cursor() as cursor:
        cursor.execute(LINGER, given)
        for side, finished in others:
            other = {"other": side.position, "replica": side.replica_id, "other_sequence": side.sequence}
            cursor.execute(LAG, given | other | {"finished": finished})
        cursor.execute(SETTLE, given)
