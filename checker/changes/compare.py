"""Two complete runs of a replica: which paths differ, and what became of each. All in sets, from the intervals.

The work goes through temporary tables of the session, so that each step can be told while the next one goes on; only
the last one writes what is kept.
"""

# ruff: noqa: S608  # statements are put together from constants of this package; values travel as parameters

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection

from checker.changes.moves import KEYS, MOVE
from checker.changes.rules import CHANGED_WHILE_READ, RULES
from checker.models import Comparison
from scanner.format import paths
from scanner.format.excludes import Excludes

LINE = "type, size, mtime_ns, mode, uid, gid, sha256, md5, detail, stage"
VERSION_COLUMNS = f"id, path, {LINE}"
OF_REPLICA = "FROM scanner_version WHERE replica_id = %(replica)s"
STANDS = "from_seq <= {0} AND (until_seq IS NULL OR until_seq > {0})"
BELOW = """left({0}.path, 512) >= left({1}.path || '/', 512) AND {0}.path >= {1}.path || '/'
    AND left({0}.path, 512) <= left({1}.path || '0', 512) AND {0}.path < {1}.path || '0'"""
"""That one path lies below another: '0' follows '/'."""

DROP = "DROP TABLE IF EXISTS compared_row, compared_cover, compared_hidden, compared_note, compared_change"
ONE_PROCESS = "SET max_parallel_workers_per_gather = 0"

# What stood at the earlier run and ended since, beside what began since and stands at the later one.
DIFFERING = f"""
SELECT coalesce(was.path, now.path) AS path, was.id AS was_id, was.type AS was_type, was.stage AS was_stage,
    now.id AS now_id
FROM (SELECT {VERSION_COLUMNS} {OF_REPLICA} AND until_seq > %(base)s AND until_seq <= %(run)s
    AND from_seq <= %(base)s) AS was
FULL JOIN (SELECT {VERSION_COLUMNS} {OF_REPLICA} AND from_seq > %(base)s AND from_seq <= %(run)s
    AND (until_seq IS NULL OR until_seq > %(run)s)) AS now USING (path)
WHERE was.id IS NULL OR now.id IS NULL OR
    (was.{LINE.replace(", ", ", was.")}) IS DISTINCT FROM (now.{LINE.replace(", ", ", now.")})
"""
# Of a first run only what could not be read is worth a word.
FIRST = f"""
SELECT path, NULL::bigint AS was_id, NULL::smallint AS was_type, NULL::text AS was_stage, id AS now_id
{OF_REPLICA} AND type = 2 AND {STANDS.format("%(run)s")}
"""
ROWS = """
CREATE TEMPORARY TABLE compared_row AS
SELECT differing.*, CASE WHEN was_type <> 2 THEN was_id END AS last_id, false AS hidden_was, false AS hidden_now,
    false AS left_scope, false AS entries_below
FROM ({0}) AS differing
"""
ROW_INDEX = "CREATE INDEX ON compared_row (left(path, 512)); ANALYZE compared_row"

# Directories that could not be listed at some time, with the runs of which that is so.
COVERS = f"""
CREATE TEMPORARY TABLE compared_cover AS
SELECT path, int4range(from_seq, until_seq) AS runs {OF_REPLICA} AND type = 2 AND stage IN ('list', 'stat')
    AND from_seq <= %(run)s;
ANALYZE compared_cover
"""
COVERED_AT = "SELECT EXISTS (SELECT FROM compared_cover WHERE runs @> %(at)s::int)"

# A path is hidden at a run when, ever since its last version ended, one of its directories could not be listed.
HIDE = f"""
UPDATE compared_row SET {{flag}} = true FROM (
    SELECT candidate.path, range_agg(cover.runs) AS runs, min(candidate.ended) AS ended
    FROM compared_cover AS cover CROSS JOIN LATERAL (
        SELECT row.path, {{ended}} AS ended FROM compared_row AS row
        WHERE {BELOW.format("row", "cover")} AND {{which}} OFFSET 0) AS candidate
    GROUP BY candidate.path) AS hidden
WHERE compared_row.path = hidden.path AND hidden.ended IS NOT NULL
    AND hidden.runs @> int4range(hidden.ended, {{at}} + 1)
"""
LAST_ENDED = """(SELECT max(version.until_seq) FROM scanner_version AS version WHERE version.replica_id = %(replica)s
    AND left(version.path, 512) = left(row.path, 512) AND version.path = row.path AND version.from_seq <= {0})"""
HIDDEN_WAS = HIDE.format(
    flag="hidden_was", ended=LAST_ENDED.format("%(base)s"), which="row.was_id IS NULL", at="%(base)s"
)
HIDDEN_NOW = HIDE.format(
    flag="hidden_now",
    ended=LAST_ENDED.format("%(run)s"),
    which="row.now_id IS NULL AND row.was_id IS NOT NULL",
    at="%(run)s",
)

# What was hidden at the earlier run and is neither there nor hidden now: it went while nobody could see.
UNCOVERED = f"""
WITH shown AS (
    SELECT path FROM compared_cover WHERE runs @> %(base)s::int AND NOT runs @> %(run)s::int
), gone AS (
    SELECT below.path, max(below.until_seq) FILTER (WHERE below.from_seq <= %(base)s) AS ended,
        bool_or(below.until_seq IS NULL OR below.until_seq > %(run)s) AS stands
    FROM shown CROSS JOIN LATERAL (
        SELECT version.path, version.from_seq, version.until_seq FROM scanner_version AS version
        WHERE version.replica_id = %(replica)s AND version.from_seq <= %(run)s
            AND {BELOW.format("version", "shown")} OFFSET 0) AS below
    GROUP BY below.path
), candidate AS (
    SELECT gone.path, gone.ended FROM gone WHERE NOT stands AND ended <= %(base)s
), hidden AS (
    SELECT candidate.path, candidate.ended, range_agg(cover.runs) AS runs
    FROM candidate JOIN compared_cover AS cover ON starts_with(candidate.path, cover.path || '/')
    GROUP BY candidate.path, candidate.ended
)
INSERT INTO compared_row (path, hidden_was, hidden_now, left_scope, entries_below)
SELECT path, true, false, false, false FROM hidden
WHERE runs @> int4range(ended, %(base)s + 1) AND NOT runs @> int4range(ended, %(run)s + 1)
"""

LAST = """
UPDATE compared_row AS row SET last_id = (
    SELECT version.id FROM scanner_version AS version WHERE version.replica_id = %(replica)s
        AND left(version.path, 512) = left(row.path, 512) AND version.path = row.path
        AND version.from_seq <= %(base)s AND version.type <> 2
    ORDER BY version.from_seq DESC LIMIT 1)
WHERE row.was_type = 2 OR row.hidden_was
"""
# What was hidden and is again as it was has not changed; of what was never read nothing can be said to be gone.
UNCHANGED = f"""
DELETE FROM compared_row AS row WHERE row.hidden_was AND (
    row.now_id IS NULL AND row.last_id IS NULL OR EXISTS (
        SELECT FROM scanner_version AS last, scanner_version AS now WHERE last.id = row.last_id AND now.id = row.now_id
            AND (last.{LINE.replace(", ", ", last.")}) IS NOT DISTINCT FROM (now.{LINE.replace(", ", ", now.")})))
"""
# Nor has what could not be read before it was hidden, and cannot be for the same reason. What changes while it is read
# is told anew: the runs in a row that make it a finding are counted from a change.
UNREAD_AS_BEFORE = f"""
DELETE FROM compared_row AS row USING scanner_version AS now
WHERE row.hidden_was AND now.id = row.now_id AND now.type = 2 AND now.detail <> '{CHANGED_WHILE_READ}'
    AND (now.type, now.detail, now.stage) = (
        SELECT version.type, version.detail, version.stage FROM scanner_version AS version
        WHERE version.replica_id = %(replica)s AND left(version.path, 512) = left(row.path, 512)
            AND version.path = row.path AND version.from_seq <= %(base)s
        ORDER BY version.from_seq DESC LIMIT 1)
"""
ENTRIES_BELOW = f"""
UPDATE compared_row AS row SET entries_below = true
WHERE row.was_type = 2 AND row.now_id IS NULL AND EXISTS (
    SELECT FROM scanner_version AS version WHERE version.replica_id = %(replica)s
        AND {STANDS.format("%(run)s").replace("from_seq", "version.from_seq").replace("until_seq", "version.until_seq")}
        AND {BELOW.format("version", "row")})
"""

GONE = """SELECT path, coalesce(was_type = 2 AND was_stage IN ('list', 'stat'), false) AS is_dir FROM compared_row
WHERE now_id IS NULL AND NOT hidden_now"""
LEAVE = "UPDATE compared_row SET left_scope = true WHERE now_id IS NULL AND path = ANY(%(paths)s)"
LEAVE_MOUNTS = f"""
UPDATE compared_row SET left_scope = true FROM (
    SELECT below.path FROM (SELECT path {OF_REPLICA} AND type = 4 AND detail = 'mount'
        AND {STANDS.format("%(run)s")}) AS mount
    CROSS JOIN LATERAL (SELECT row.path FROM compared_row AS row WHERE {BELOW.format("row", "mount")} OFFSET 0) AS below
) AS behind
WHERE compared_row.path = behind.path AND now_id IS NULL
"""

# The notes of the runs between, and of each the run against which its collector had compared if nothing was lost.
NOTES = """
CREATE TEMPORARY TABLE compared_note AS
SELECT run.sequence, run.against, note.path,
    jsonb_object_agg(note.note, coalesce(nullif(note.detail, ''), '{}')::jsonb) AS notes
FROM (SELECT id, sequence, lag(uuid) OVER (ORDER BY sequence)::text AS against FROM scanner_run
    WHERE replica_id = %(replica)s AND state = 'ingested' AND sequence <= %(run)s) AS run
JOIN scanner_note AS note ON note.run_id = run.id
WHERE run.sequence > %(base)s AND note.note IN ('confirmed', 'misread', 'clock')
GROUP BY run.sequence, run.against, note.path;
ANALYZE compared_note
"""

CASE = "CASE " + "\n    ".join(f"WHEN {rule.condition} THEN '{rule.kind}'" for rule in RULES) + " END"
JUDGED = f"""
CREATE TEMPORARY TABLE compared_change AS
SELECT row_number() OVER () AS number, row.path, {CASE} AS kind,
    coalesce(last.id, CASE WHEN row.now_id IS NULL THEN row.was_id END) AS old_id, now.id AS new_id,
    NULL::text COLLATE "C" AS other, false AS departed, told.notes,
    CASE WHEN row.now_id IS NULL THEN CASE last.type WHEN 1 THEN last.sha256 END
        WHEN last.id IS NULL AND now.type = 1 THEN now.sha256 END AS moving
FROM compared_row AS row
LEFT JOIN scanner_version AS last ON last.id = row.last_id
LEFT JOIN scanner_version AS now ON now.id = row.now_id
LEFT JOIN compared_note AS told ON told.path = row.path AND told.sequence = now.from_seq;
ANALYZE compared_change
"""

STEPS = ("differing", "hidden", "scope", "judging", "moves", "keeping")
"""What a comparison goes through, in this order."""
Scope = Callable[[], tuple[Excludes, Excludes] | None]
"""What was and what is excluded, when both are known and differ."""


def find_changes(comparison: Comparison, scope: Scope, tell: Callable[[str], None]) -> None:
    """Find what differs and judge it, in temporary tables of this session. `tell` gets each of STEPS but the last."""
    given = _given(comparison)
    with connection.cursor() as cursor:
        cursor.execute(DROP)
        tell("differing")
        cursor.execute(ROWS.format(FIRST if comparison.base is None else DIFFERING), given)
        cursor.execute(ROW_INDEX)
        tell("hidden")
        cursor.execute(COVERS, given)
        if comparison.base is not None:
            _find_hidden(cursor, given)
        cursor.execute(LAST, given)
        cursor.execute(UNCHANGED, given)
        cursor.execute(UNREAD_AS_BEFORE, given)
        cursor.execute(ENTRIES_BELOW, given)
        tell("scope")
        _leave_scope(cursor, given, scope())
        tell("judging")
        cursor.execute(NOTES, given)
        cursor.execute(JUDGED, given)
        tell("moves")
        for key in KEYS:
            cursor.execute(MOVE.format(key=key), given)


def drop_tables() -> None:
    """Drop the temporary tables."""
    with connection.cursor() as cursor:
        cursor.execute(DROP)


def _given(comparison: Comparison) -> dict[str, Any]:
    return {
        "comparison": comparison.pk,
        "replica": comparison.replica_id,
        "base": comparison.base.sequence if comparison.base else 0,
        "run": comparison.run.sequence,
    }


def _find_hidden(cursor: Any, given: dict[str, Any]) -> None:
    for statement, at in ((HIDDEN_WAS, given["base"]), (HIDDEN_NOW, given["run"])):
        cursor.execute(COVERED_AT, {"at": at})
        if cursor.fetchone()[0]:
            cursor.execute(statement, given)
    cursor.execute(COVERED_AT, {"at": given["base"]})
    if cursor.fetchone()[0]:
        cursor.execute(UNCOVERED, given)


def _leave_scope(cursor: Any, given: dict[str, Any], scopes: tuple[Excludes, Excludes] | None) -> None:
    if scopes is None:
        return
    was, now = scopes
    cursor.execute(GONE)
    for gone in _batches(cursor):
        left = [path for path, is_dir in gone if _excluded(now, path, is_dir) and not _excluded(was, path, is_dir)]
        if left:
            with connection.cursor() as writing:
                writing.execute(LEAVE, {"paths": left})
    cursor.execute(LEAVE_MOUNTS, given)


def _batches(cursor: Any) -> Iterator[list[tuple[str, bool]]]:
    while rows := cursor.fetchmany(4096):
        yield rows


def _excluded(excludes: Excludes, path: str, is_dir: bool) -> bool:
    return excludes.matches(paths.decode(path), is_dir=is_dir)
