"""The SQL that makes changes a finding's own, and that proves by them that all is again what it was."""

# ruff: noqa: S608  # statements are put together from constants of this package; values travel as parameters

from __future__ import annotations

from typing import Any

from django.db import connection

from checker.findings.queries import BELOW, OF_PATH, SIDES, Pick
from checker.models import Comparison, Finding
from scanner.db import keyset

TAKE = "UPDATE checker_change SET finding_id = %(finding)s WHERE id IN (SELECT change.id {} {})"


def take(pick: Pick, finding: Finding) -> None:
    """Make the changes that a finding tells its own."""
    given = pick.parameters() | {"finding": finding.pk, "path": finding.path}
    condition = pick.condition
    if not finding.folded:
        condition += OF_PATH
    elif finding.path:
        given |= keyset.bounds(finding.path)
        condition += "".join(f" AND {BELOW[edge]}" for edge in ("lower", "upper"))
    with connection.cursor() as cursor:
        cursor.execute(TAKE.format(pick.source, condition), given)


# In sets, through a table of the session that the planner knows: a failing disk may bring a hundred thousand of them.
PICKED = """
DROP TABLE IF EXISTS found_change;
CREATE TEMPORARY TABLE found_change ON COMMIT DROP AS
SELECT change.id, change.path, NULL::bigint AS finding, false AS again,
    jsonb_strip_nulls(jsonb_build_object('base', %(base)s::int, 'comparison', %(comparison)s::bigint,
        'other', change.other, 'became', nullif(change.kind, %(kind)s),
        'hidden', CASE WHEN new.stage IN ('list', 'stat')
            THEN (SELECT count(*) FROM checker_change AS hidden WHERE hidden.comparison_id = %(comparison)s
                AND hidden.kind = 'unknown' AND starts_with(hidden.path, change.path || '/')) END))
    || jsonb_build_object('old', {old}, 'new', {new}, 'notes', coalesce(change.notes, '{{}}')) AS facts
{source} {condition};
ANALYZE found_change
"""
AGAIN = """
UPDATE found_change SET finding = finding.id, again = true FROM checker_finding AS finding
WHERE finding.replica_id = %(replica)s AND finding.state = 'open' AND finding.kind = %(kind)s AND NOT finding.folded
    AND finding.path = found_change.path
"""
NUMBERED = """
UPDATE found_change SET finding = nextval(pg_get_serial_sequence('checker_finding', 'id')) WHERE finding IS NULL
"""
RENEWED = """
UPDATE checker_finding AS finding SET last_run_id = %(run)s, severity = %(severity)s,
    evidence = finding.evidence || jsonb_build_object('latest', found_change.facts)
FROM found_change WHERE found_change.again AND finding.id = found_change.finding
"""
OPENED = """
INSERT INTO checker_finding (id, uuid, group_id, replica_id, kind, severity, path, folded, number, evidence,
    state, opened_at, reason, first_run_id, last_run_id)
SELECT finding, gen_random_uuid(), %(group)s, %(replica)s, %(kind)s, %(severity)s, path, false, 1, facts, 'open',
    statement_timestamp(), '', %(run)s, %(run)s
FROM found_change WHERE NOT again
"""
TOLD = """
INSERT INTO checker_act (finding_id, at, what, name, reason, run_id)
SELECT finding, statement_timestamp(), CASE WHEN again THEN 'seen_again' ELSE 'opened' END, '', '', %(run)s
FROM found_change ORDER BY finding
"""
TAKEN = """
UPDATE checker_change SET finding_id = found_change.finding FROM found_change
WHERE checker_change.id = found_change.id
"""


def open_each(pick: Pick, severity: Finding.Severity) -> None:
    """A finding for each change, opened or seen again by the comparison's run, with its act."""
    comparison = pick.comparison
    sides = {
        side: f"CASE WHEN {side}.id IS NULL THEN '{{}}' ELSE {SIDES.format(side)}::jsonb END" for side in ("old", "new")
    }
    given = pick.parameters() | {
        "base": comparison.base.sequence if comparison.base else None,
        "run": comparison.run_id,
        "replica": comparison.replica_id,
        "group": comparison.run.replica.group_id,
        "severity": severity.value,
    }
    with connection.cursor() as cursor:
        cursor.execute(PICKED.format(**sides, source=pick.source, condition=pick.condition), given)
        for statement in (AGAIN, NUMBERED, RENEWED, OPENED, TOLD, TAKEN):
            cursor.execute(statement, given)


COUNT = "SELECT count(DISTINCT path) FROM checker_change WHERE finding_id = %(finding)s"


def count_paths(finding: Finding) -> int:
    """How many paths are the finding's own."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"finding": finding.pk})
        return int(cursor.fetchone()[0])


# Directories that cannot be listed at the run: of what lies below them nothing is known.
COVERS = """
WITH cover AS MATERIALIZED (
    SELECT path || '/' AS above FROM scanner_version WHERE replica_id = %(replica)s AND type = 2
        AND stage IN ('list', 'stat') AND from_seq <= %(sequence)s
        AND (until_seq IS NULL OR until_seq > %(sequence)s))
"""
SEEN_BELOW = """EXISTS (SELECT FROM scanner_version AS below WHERE below.replica_id = %(replica)s
    AND left(below.path, 512) >= left(member.path || '/', 512) AND below.path >= member.path || '/'
    AND left(below.path, 512) <= left(member.path || '0', 512) AND below.path < member.path || '0'
    AND below.from_seq <= %(sequence)s AND (below.until_seq IS NULL OR below.until_seq > %(sequence)s))"""
# Whether a member is again what it was before the finding; `now` is what stands at the path (of a move, at the path
# that it left), `began` what stood when the finding began. What cannot be seen has neither gone nor come back.
AS_BEFORE = f"""CASE finding.kind
    WHEN 'added' THEN now.id IS NULL AND NOT EXISTS (SELECT FROM cover WHERE starts_with(member.path, cover.above))
    WHEN 'touched' THEN (now.type, now.size, now.mtime_ns, now.mode, now.uid, now.gid, now.sha256, now.detail)
        IS NOT DISTINCT FROM (old.type, old.size, old.mtime_ns, old.mode, old.uid, old.gid, old.sha256, old.detail)
    WHEN 'unreadable' THEN now.type <> 2 OR now.id IS NULL AND began.stage IN ('list', 'stat') AND {SEEN_BELOW}
    WHEN 'restless' THEN now.type <> 2
    ELSE now.type = old.type AND now.sha256 IS NOT DISTINCT FROM old.sha256
        AND (now.type = 1 OR now.detail IS NOT DISTINCT FROM old.detail) END"""
MEMBER_NOW = """
    LEFT JOIN scanner_version AS old ON old.id = member.old_id
    LEFT JOIN scanner_version AS began ON began.id = member.new_id
    LEFT JOIN scanner_version AS now ON now.replica_id = %(replica)s
        AND left(now.path, 512) = left(CASE finding.kind WHEN 'moved' THEN member.other ELSE member.path END, 512)
        AND now.path = CASE finding.kind WHEN 'moved' THEN member.other ELSE member.path END
        AND now.from_seq <= %(sequence)s AND (now.until_seq IS NULL OR now.until_seq > %(sequence)s)
"""
# Of a path that changed again and again while its finding was open, what it was before the first time counts.
FIRST = """NOT EXISTS (SELECT FROM checker_change AS earlier WHERE earlier.finding_id = member.finding_id
    AND left(earlier.path, 512) = left(member.path, 512) AND earlier.path = member.path AND earlier.id < member.id)"""
TOUCHED = """
    SELECT finding.id, finding.kind, change.id AS change_id, change.kind AS became, member.id AS member_id
    FROM checker_finding AS finding
    JOIN checker_change AS member ON member.finding_id = finding.id AND member.comparison_id <> %(comparison)s
    JOIN checker_change AS change ON change.comparison_id = %(comparison)s
        AND left(change.path, 512) = left(member.{path}, 512) AND change.path = member.{path}
    WHERE finding.replica_id = %(replica)s AND finding.state = 'open' AND finding.kind {which} 'moved'
"""
CONCERNED = TOUCHED.format(path="path", which="<>") + " UNION ALL " + TOUCHED.format(path="other", which="=")
# Being read again restores nothing by itself: with another content it is a change as any other.
RESTORES = f"""
{COVERS}
UPDATE checker_change SET restores = true WHERE id IN (
    SELECT finding.change_id FROM ({CONCERNED}) AS finding
    JOIN checker_change AS member ON member.id = finding.member_id {MEMBER_NOW}
    WHERE finding.kind NOT IN ('unreadable', 'restless') AND finding.became <> 'unreadable' AND {AS_BEFORE} AND {FIRST})
"""
# What was not read and then hidden is no change when it is seen again as it was last read: its finding is looked at
# when something that hid it can be listed again.
SHOWN = """, shown AS MATERIALIZED (
    SELECT path || '/' AS above FROM scanner_version WHERE replica_id = %(replica)s AND type = 2
        AND stage IN ('list', 'stat') AND until_seq > %(base)s AND until_seq <= %(sequence)s)
"""
UNCOVERED = """
    SELECT finding.id, finding.kind FROM shown
    JOIN checker_finding AS finding ON finding.replica_id = %(replica)s AND finding.state = 'open'
        AND finding.kind IN ('unreadable', 'restless')
    JOIN checker_change AS member ON member.finding_id = finding.id AND starts_with(member.path, shown.above)
"""
AMONG = f"SELECT id, kind FROM ({CONCERNED}) AS touched UNION {UNCOVERED}"
ITSELF = """SELECT id, kind FROM checker_finding AS finding WHERE id = %(finding)s
    AND EXISTS (SELECT FROM checker_change WHERE finding_id = finding.id)"""
PROVEN = f"""
DROP TABLE IF EXISTS proven_finding;
CREATE TEMPORARY TABLE proven_finding ON COMMIT DROP AS
{COVERS}{SHOWN}, concerned AS MATERIALIZED ({{among}})
SELECT id FROM concerned EXCEPT SELECT finding.id FROM concerned AS finding
JOIN checker_change AS member ON member.finding_id = finding.id {MEMBER_NOW}
WHERE coalesce({AS_BEFORE}, false) IS FALSE AND {FIRST};
ANALYZE proven_finding
"""
# What a person closes meanwhile is not open any more when the UPDATE gets to it, and stays as he left it.
CLOSE = """
WITH closed AS (
    UPDATE checker_finding AS finding SET state = 'resolved', closed_at = statement_timestamp(), last_run_id = %(run)s
    FROM proven_finding WHERE finding.id = proven_finding.id AND finding.state = 'open' RETURNING finding.id
)
INSERT INTO checker_act (finding_id, at, what, name, reason, run_id)
SELECT id, statement_timestamp(), 'resolved', '', '', %(run)s FROM closed ORDER BY id
"""


def mark_restored(comparison: Comparison) -> None:
    """Mark the changes that make a path again what it was before an open finding."""
    with connection.cursor() as cursor:
        cursor.execute(RESTORES, _place(comparison))


def resolve(comparison: Comparison) -> None:
    """Close the open findings that the comparison touches and all members of which are again as they were before."""
    with connection.cursor() as cursor:
        for statement in (PROVEN.format(among=AMONG), CLOSE):
            cursor.execute(statement, _place(comparison))


def resolve_at(comparison: Comparison, finding: Finding) -> None:
    """Close an open finding all members of which are at the comparison's run as they were before."""
    with connection.cursor() as cursor:
        for statement in (PROVEN.format(among=ITSELF), CLOSE):
            cursor.execute(statement, _place(comparison) | {"finding": finding.pk})


def _place(comparison: Comparison) -> dict[str, Any]:
    return {
        "comparison": comparison.pk,
        "replica": comparison.replica_id,
        "base": comparison.base.sequence if comparison.base else 0,
        "sequence": comparison.run.sequence,
        "run": comparison.run_id,
    }
