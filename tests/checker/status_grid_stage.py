"""Stage many groups on many servers, written straight into the tables, for the pages of what is known."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from scanner.models import Group, Replica, Server
from tests.checker.stage import CHECKS


class GroupsAndServers(NamedTuple):
    """Groups and servers in the order of their names. Each group has one replica on each server."""

    groups: list[Group]
    servers: list[Server]


# Every fourth group has one server in ten on which something is wrong: an open finding (0), a failed run (1), no run
# for days (2), a broken proof (3). All others are proven.
TROUBLES = """
CREATE TEMPORARY TABLE trouble AS
SELECT replica.id AS replica_id, replica.group_id, (group_number * 31 + server_number * 17) %% 400 AS pace,
    CASE
        WHEN group_number %% 4 = 0 AND (group_number + server_number) %% 10 = 0 THEN group_number / 4 %% 4
        ELSE -1
    END AS kind
FROM scanner_replica AS replica
CROSS JOIN LATERAL (
    SELECT array_position(%(groups)s::bigint[], group_id) - 1 AS group_number,
        array_position(%(servers)s::bigint[], server_id) - 1 AS server_number
) AS place
WHERE group_number IS NOT NULL
"""
# A run a day until an hour ago. The work time doubles in the second half where a finding is open.
RUNS = """
INSERT INTO scanner_run (uuid, replica_id, sequence, state, reason, statement, break_reason, started_at, finished_at,
    received_at, ingested_at, work_time_ns, engine, files, bytes, errors, records_count, records_bytes, records_digest,
    upload, upload_size, attempts, opened, closed)
SELECT gen_random_uuid(), replica_id, number,
    CASE WHEN number = %(runs)s AND kind = 1 THEN 'failed' ELSE 'ingested' END,
    CASE WHEN number = %(runs)s AND kind = 1 THEN 'the root is on another file system' ELSE '' END,
    sha512(int8send(replica_id)), '', ended - interval '90 seconds', ended, ended + interval '2 seconds', ended,
    (600 + pace + number * 13 %% 40) * 1000000000
        * CASE WHEN kind = 0 AND number > %(runs)s / 2 THEN 2 ELSE 1 END,
    'hashlib', 184332 + number, 121000000000, 0, 184332 + number, 1, sha512(int8send(number)), '', 0, 0, number %% 9, 0
FROM trouble
CROSS JOIN LATERAL (
    SELECT number,
        now() - interval '1 hour'
            - (%(runs)s - number + CASE WHEN kind = 2 THEN 5 ELSE 0 END) * interval '1 day' AS ended
    FROM generate_series(1::bigint, %(runs)s) AS number
) AS run
"""
PROOFS = """
INSERT INTO checker_proof (run_id, checked_at, proven_at, ok, statements, duration_ns)
SELECT run.id, now(), CASE WHEN broken THEN NULL ELSE now() END, NOT broken, (
    SELECT jsonb_agg(jsonb_build_object('check', name, 'ok', NOT broken, 'text', repeat('What was looked at. ', 5)))
    FROM unnest(%(checks)s::text[]) AS name), 41000000
FROM scanner_run AS run JOIN trouble USING (replica_id), LATERAL (
    SELECT kind = 3 AND sequence = %(runs)s AS broken) AS proof
WHERE run.state = 'ingested'
"""
COMPARISONS = """
INSERT INTO checker_comparison (replica_id, run_id, adjacent, state, reason, attempts, step, steps_done, counts,
    computed_at, duration_ns)
SELECT replica_id, run.id, true, 'done', '', 1, '', 0, '{}', now(), 0
FROM scanner_run AS run JOIN trouble USING (replica_id) WHERE run.state = 'ingested'
"""
FINDINGS = """
INSERT INTO checker_finding (uuid, group_id, replica_id, kind, severity, path, folded, number, first_run_id,
    last_run_id, evidence, state, reason)
SELECT gen_random_uuid(), group_id, replica_id, 'unreadable', 1, 'locked/a', false, 1, run.id, run.id,
    '{"new": {"type": 2, "detail": "EACCES", "stage": "open"}, "base": 1}', 'open', ''
FROM trouble JOIN scanner_run AS run USING (replica_id) WHERE kind = 0 AND run.sequence = %(runs)s
"""


def fill(groups: int, servers: int, runs: int = 2) -> GroupsAndServers:
    """Make groups that are kept on each of some servers, with some runs of each replica."""
    now = timezone.now()
    filled = GroupsAndServers(
        Group.objects.bulk_create([Group(name=f"share {number:03}") for number in range(groups)]),
        Server.objects.bulk_create(
            [Server(name=f"node{number:03}.example.net", last_seen_at=now) for number in range(servers)]
        ),
    )
    Replica.objects.bulk_create(
        [
            Replica(group=group, server=server, root=f"/srv/{group.name}")
            for group in filled.groups
            for server in filled.servers
        ]
    )

    parameters: dict[str, Any] = {
        "runs": runs,
        "checks": CHECKS,
        "groups": [group.pk for group in filled.groups],
        "servers": [server.pk for server in filled.servers],
    }
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in (TROUBLES, RUNS, PROOFS, COMPARISONS, FINDINGS):
            cursor.execute(statement, parameters)
        cursor.execute("DROP TABLE trouble")
        cursor.execute("ANALYZE")
    return filled
