"""What is kept of a comparison of replicas: its divergences, and how many there are below each directory."""

# ruff: noqa: S608  # statements are put together from constants of this package; values travel as parameters

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import connection

from checker.changes.moves import KEYS
from checker.divergences.attribution import Before
from checker.divergences.compare import ComparedReplica
from checker.divergences.within import ABOVE, LEVELS, MEMBER, below

JUDGED = 'CREATE TEMPORARY TABLE diverging_judged (path text COLLATE "C", verdict text COLLATE "C", judged text)'
JUDGE = "INSERT INTO diverging_judged SELECT * FROM unnest(%(paths)s::text[], %(verdicts)s::text[], %(judged)s::text[])"
BATCH = 4096
# What may lag is no excuse for damage: a leader's as little as another one's.
UNSETTLE = """
UPDATE diverging SET settled = false, cells = (
    SELECT string_agg(CASE WHEN substr(cells, at, 1) = '~' AND versions[at] IS NOT NULL THEN '+'
        ELSE substr(cells, at, 1) END, '' ORDER BY at) FROM generate_series(1, length(cells)) AS at)
FROM diverging_judged AS judged WHERE judged.path = diverging.path AND settled AND judged.verdict = 'damaged'
"""
SETTLED = "DELETE FROM diverging_judged AS judged USING diverging WHERE judged.path = diverging.path AND settled"

DROP = "DROP TABLE IF EXISTS diverging_kept"
# The kind of a path is its gravest one. What nobody lacks, or whatever lacks it may, has none.
KIND = """CASE WHEN contents > 1 AND NOT settled THEN 'mismatch' WHEN contents > 0 AND cells LIKE '%%-%%' THEN 'lost'
    WHEN cells ~ '[?!]' THEN 'unknown' WHEN cells LIKE '%%>%%' THEN 'moved'
    WHEN cells ~ '~' THEN CASE WHEN substr(cells, %(leader)s, 1) = '.' THEN 'lingering' ELSE 'lagging' END END"""
FOUND = f"""
SELECT * FROM (SELECT path, versions, cells, {KIND} AS kind, coalesce(verdict, '') AS verdict,
        coalesce(judged, '') AS judged, others, alike, int8send(mark0) || int8send(mark1) AS mark,
        CASE WHEN contents > 1 THEN contents_current > 1 WHEN contents = 1 AND cells LIKE '%%-%%'
            THEN contents_current > 0 AND ({{lacking}}) ELSE true END AS current,
        NULL::bigint AS number, NULL::bigint AS holder, NULL::bigint AS told_by, NULL::timestamptz AS told_since
    FROM diverging LEFT JOIN diverging_judged USING (path)) AS found
WHERE kind IS NOT NULL
UNION ALL SELECT path, array_fill(NULL::bigint, ARRAY[length(cells)]), cells, 'lost', '', '', NULL, '', mark, current,
    sum(number), holder, finding_id, since FROM diverging_absence JOIN diverging_folder ON directory = path
    GROUP BY path, cells, mark, current, holder, finding_id, since
"""
SAME_PLACE = """old.comparison_id = %(comparison)s AND left(old.path, 512) = left(new.path, 512)
    AND old.path = new.path"""
SAME = "(old.mark, old.kind, old.verdict) = (new.mark, new.kind, new.verdict)"
# What is as it was stays with its finding, and since when it is so.
KEPT = f"""
CREATE TEMPORARY TABLE diverging_kept AS
SELECT %(comparison)s::bigint AS comparison_id, new.*, coalesce(old.finding_id, new.told_by) AS finding_id,
    coalesce(old.since, new.told_since, %(now)s) AS since, old.id IS NULL AS fresh
FROM ({FOUND}) AS new LEFT JOIN checker_divergence AS old ON {SAME_PLACE} AND {SAME};
ANALYZE diverging_kept
"""
# So does what was lost with all of its directory, and now by itself: what lay there then, in the state of the holder,
# and before that was accepted.
WITH_ALL = "SELECT EXISTS (SELECT FROM checker_divergence WHERE comparison_id = %(comparison)s AND number IS NOT NULL)"
WAS_MEMBER = """EXISTS (SELECT FROM scanner_version AS was WHERE was.replica_id = holder.replica_id
    AND left(was.path, 512) = left(now.path, 512) AND was.path = now.path
    AND was.from_seq <= least(holder.sequence, told.sequence)
    AND (was.until_seq IS NULL OR was.until_seq > holder.sequence)
    AND (was.type, was.sha256) IS NOT DISTINCT FROM (now.type, now.sha256) AND (now.type = 1 OR was.detail = now.detail)
    AND NOT EXISTS (SELECT FROM checker_divergence AS own WHERE own.comparison_id = %(comparison)s
        AND left(own.path, 512) = left(now.path, 512) AND own.path = now.path))"""
PARTED = f"""
CREATE INDEX ON diverging_kept ("left"(path, 512));
UPDATE diverging_kept AS new SET finding_id = part.finding_id, since = part.since FROM (
    SELECT part.path, old.finding_id, old.since FROM checker_divergence AS old
    JOIN scanner_run AS holder ON holder.id = old.holder
    LEFT JOIN checker_finding AS finding ON finding.id = old.finding_id AND finding.state = 'accepted'
    CROSS JOIN LATERAL (SELECT coalesce(max(sequence), 0) AS sequence FROM scanner_run
        WHERE replica_id = holder.replica_id AND (finding.id IS NULL OR ingested_at <= finding.closed_at)) AS told
    CROSS JOIN LATERAL (
        SELECT row.path FROM diverging_kept AS row
        JOIN scanner_version AS now ON now.id = row.versions[strpos(row.cells, '+')]
        WHERE {below("row", "old")} AND row.fresh AND row.number IS NULL AND row.kind = old.kind
            AND {{holding}} = {{held}} AND {WAS_MEMBER} OFFSET 0) AS part
    WHERE old.comparison_id = %(comparison)s AND old.number IS NOT NULL) AS part
WHERE new.path = part.path
"""
# Findings of absences in which something is that was not there, or is another one now: by the holder's new versions.
GROWN = f"""
DROP TABLE IF EXISTS diverging_grown;
CREATE TEMPORARY TABLE diverging_grown AS
SELECT DISTINCT new.finding_id FROM diverging_kept AS new JOIN checker_divergence AS old ON {SAME_PLACE}
JOIN scanner_run AS was ON was.id = old.holder
CROSS JOIN LATERAL (SELECT new.path, replica_id, sequence FROM scanner_run WHERE id = new.holder) AS one
WHERE new.number IS NOT NULL AND new.finding_id = old.finding_id AND (was.replica_id <> one.replica_id
    OR EXISTS (SELECT {MEMBER.format("one")} AND held.from_seq > was.sequence))
"""
FORGET = f"""
DELETE FROM checker_divergence AS old WHERE old.comparison_id = %(comparison)s
    AND NOT EXISTS (SELECT FROM diverging_kept AS new WHERE {SAME_PLACE})
"""
STAYS = ("finding_id", "since")
VALUES = (
    *STAYS,
    "versions",
    "current",
    "kind",
    "verdict",
    "cells",
    "judged",
    "others",
    "alike",
    "mark",
    "number",
    "holder",
)
UPDATE = f"""
UPDATE checker_divergence AS old SET {", ".join(f"{name} = new.{name}" for name in VALUES)}
FROM diverging_kept AS new WHERE {SAME_PLACE} AND ({", ".join(f"old.{name}" for name in VALUES)})
    IS DISTINCT FROM ({", ".join(f"new.{name}" for name in VALUES)})
"""
# In the order of the paths: a million rows in any other come to each index at a place of its own.
INSERT = f"""
INSERT INTO checker_divergence (comparison_id, path, {", ".join(VALUES)})
SELECT comparison_id, path, {", ".join(VALUES)} FROM diverging_kept AS new {{fresh}} ORDER BY path
"""
FRESH = f"WHERE NOT EXISTS (SELECT FROM checker_divergence AS old WHERE {SAME_PLACE})"
ANY = "SELECT EXISTS (SELECT FROM checker_divergence WHERE comparison_id = %(comparison)s)"

FORGET_BRANCHES = "DELETE FROM checker_divergencebranch WHERE comparison_id = %(comparison)s"
WRONG = (
    "count(*) FILTER (WHERE substr(cells, {0}, 1) IN ('-', '?', '!', '>') OR substr(judged, {0}, 1) IN ('d', 'o', 'u'))"
)
# Each directory above a divergence, the root (empty) among them.
KEEP_BRANCHES = f"""
WITH parent AS (
    SELECT {KEYS[1]} AS folder, kind, count(*) AS number, count(*) FILTER (WHERE verdict = 'damaged') AS damaged,
        {{wrong}} FROM diverging_kept WHERE number IS NULL GROUP BY 1, 2
    UNION ALL SELECT folder, 'lost', folders.number, 0, {{lacking}}
    FROM diverging_folder AS folders JOIN diverging_absence AS absence ON absence.path = folders.directory
), split AS (
    SELECT *, string_to_array(folder, '/') AS parts FROM parent
)
INSERT INTO checker_divergencebranch (comparison_id, number, damaged, wrong, depth, kind, directory)
SELECT %(comparison)s, sum(number), sum(damaged), ARRAY[{{sums}}]::bigint[], level, kind,
    {ABOVE.format("level")} AS directory
FROM split, {LEVELS} AS level GROUP BY level, kind, directory
"""
COUNTS = "SELECT kind, verdict, sum(coalesce(number, 1)) FROM diverging_kept GROUP BY kind, verdict"
PATTERNS = "SELECT cells, judged, sum(coalesce(number, 1)) FROM diverging_kept GROUP BY cells, judged"


def judge(rulings: Iterable[tuple[str, str, str]]) -> None:
    """Take up the verdicts: path, verdict on the path, verdict on each copy. Of what may lag only damage counts."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS diverging_judged")
        cursor.execute(JUDGED)
        rest = iter(rulings)
        while some := list(islice(rest, BATCH)):
            paths, verdicts, judged = map(list, zip(*some, strict=True))
            cursor.execute(JUDGE, {"paths": paths, "verdicts": verdicts, "judged": judged})
        cursor.execute(UNSETTLE)
        cursor.execute(SETTLED)


def gather(before: Before, sides: Sequence[ComparedReplica], leader: int | None, now: datetime) -> dict[str, int]:
    """Put together in `diverging_kept` what is to be kept of what was found and judged, and count it below each
    directory; paths by kind, and by verdict. `write` keeps it: findings are told of it before, since a million rows are
    dear to write twice."""
    given: dict[str, Any] = {"comparison": before.comparison_id, "leader": leader or 0, "now": now}
    lacking = " OR ".join(f"substr(cells, {side.position}, 1) = '-'" for side in sides if side.has_vote)
    with connection.cursor() as cursor:
        cursor.execute(DROP)
        cursor.execute(KEPT.format(lacking=lacking or "false"), given)
        if _is(cursor, WITH_ALL, given):
            parted = PARTED.format(holding=before.holding("row", sides), held=before.held("old", sides))
            cursor.execute(parted, given)
        cursor.execute(GROWN, given)
        cursor.execute(FORGET_BRANCHES, given)
        cursor.execute(_branches([side.position for side in sides]), given)
        return _counts(cursor)


def write(comparison_id: int) -> None:
    """Keep what was gathered instead of what was kept before."""
    given = {"comparison": comparison_id}
    with connection.cursor() as cursor:
        anew = not _is(cursor, ANY, given)
        for statement in () if anew else (FORGET, UPDATE):
            cursor.execute(statement, given)
        cursor.execute(INSERT.format(fresh="" if anew else FRESH), given)


def tally() -> dict[int, Counter[str]]:
    """By position: how many paths are what there, as characters of `Divergence.cells` and `Divergence.judged`."""
    found: dict[int, Counter[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(PATTERNS)
        for cells, judged, number in cursor.fetchall():
            for position, cell in enumerate(cells, 1):
                found.setdefault(position, Counter())[cell] += int(number)
                said = judged[position - 1 : position].strip()
                if said:
                    found[position][said] += int(number)
    return found


def forget(comparison_id: int) -> None:
    """Delete what is kept of a comparison."""
    with connection.cursor() as cursor:
        for statement in ("DELETE FROM checker_divergence WHERE comparison_id = %(comparison)s", FORGET_BRANCHES):
            cursor.execute(statement, {"comparison": comparison_id})


def _branches(places: Sequence[int]) -> str:
    """KEEP_BRANCHES for these positions, each with a column of what is wrong there, `w`."""
    return KEEP_BRANCHES.format(
        wrong=", ".join(f"{WRONG.format(place)} AS w{place}" for place in places),
        lacking=", ".join(
            f"CASE substr(cells, {place}, 1) WHEN '-' THEN folders.number ELSE 0 END" for place in places
        ),
        sums=", ".join(f"sum(w{place})" for place in places),
    )


def _is(cursor: Any, question: str, given: dict[str, Any]) -> bool:
    cursor.execute(question, given)
    return bool(cursor.fetchone()[0])


def _counts(cursor: Any) -> dict[str, int]:
    cursor.execute(COUNTS)
    counts: dict[str, int] = {}
    for kind, verdict, number in cursor.fetchall():
        counts[kind] = counts.get(kind, 0) + int(number)
        if verdict:
            counts[verdict] = counts.get(verdict, 0) + int(number)
    return counts
