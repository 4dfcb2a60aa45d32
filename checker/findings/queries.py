"""The SQL of findings: which changes are theirs, how they fold, and which are as they were before."""

# ruff: noqa: S608  # statements are put together from constants of this package; values travel as parameters

from __future__ import annotations

from datetime import datetime
from os.path import commonprefix
from typing import Any, NamedTuple

from django.db import connection

from checker.findings.policy import BROKEN, RESTLESS
from checker.models import Comparison, Finding, Kind
from scanner import keyset

SIDES = """
json_build_object('type', {0}.type, 'size', {0}.size, 'mtime_ns', {0}.mtime_ns, 'mode', {0}.mode, 'uid', {0}.uid,
    'gid', {0}.gid, 'sha256', encode({0}.sha256, 'hex'), 'detail', {0}.detail, 'stage', {0}.stage,
    'from', {0}.from_seq)
"""
CHANGES = """
FROM checker_change AS change
LEFT JOIN scanner_version AS old ON old.id = change.old_id
LEFT JOIN scanner_version AS new ON new.id = change.new_id
WHERE change.comparison_id = %(comparison)s AND change.kind = %(kind)s AND NOT change.departed
    AND change.finding_id IS NULL AND NOT change.restores
"""
BELOW = {
    "lower": "left(change.path, 512) >= left(%(lower)s, 512) AND change.path >= %(lower)s",
    "upper": "left(change.path, 512) <= left(%(upper)s, 512) AND change.path < %(upper)s",
}
ERRORS = f"AND new.detail <> '{RESTLESS}' AND {{}} new.detail IN ({', '.join(map(repr, sorted(BROKEN)))})"
EARLY = """AND CASE WHEN old.mtime_ns >= 631152000000000000 THEN old.mtime_ns > %(kept_ns)s
    ELSE (SELECT run.finished_at > %(kept)s FROM scanner_run AS run
        WHERE run.replica_id = old.replica_id AND run.sequence = old.from_seq) END"""
"""Removed before its age: by its own time, or, when that is not known or before 1990, by when it was first seen."""


class Branch(NamedTuple):
    """Paths of one kind that are told together: one path, or all below a directory, with its slash; empty: the root."""

    path: str
    folded: bool
    number: int


class Member(NamedTuple):
    """A change with its two versions as members of JSON, empty where there is none."""

    path: str
    other: str | None
    old: dict[str, Any]
    new: dict[str, Any]
    notes: dict[str, Any] | None


class Pick(NamedTuple):
    """Which changes of a comparison are meant: one kind, and what more must hold."""

    comparison: Comparison
    kind: Kind
    condition: str = ""
    given: dict[str, Any] = {}

    def parameters(self) -> dict[str, Any]:
        """For SQL."""
        return {"comparison": self.comparison.pk, "kind": self.kind.value, **self.given}


def broken(comparison: Comparison, *, medium: bool) -> Pick:
    """What cannot be read: for the medium's sake, or for another reason; what only never stands still is neither."""
    return Pick(comparison, Kind.UNREADABLE, ERRORS.format("" if medium else "NOT"))


def early(comparison: Comparison, kept: datetime) -> Pick:
    """What was removed though it was modified after `kept`."""
    return Pick(comparison, Kind.REMOVED, EARLY, {"kept": kept, "kept_ns": int(kept.timestamp()) * 10**9})


REMOVED_EARLY = """
SELECT count(*) FROM checker_change AS change JOIN scanner_version AS old ON old.id = change.old_id
WHERE change.comparison_id = %(comparison)s AND change.kind = 'removed'
"""


def removed_early(comparison: Comparison, kept: datetime) -> int:
    """How many paths were removed though they were modified after `kept`, whether a finding tells them or not."""
    pick = early(comparison, kept)
    return int(_fetch(REMOVED_EARLY + pick.condition, pick.parameters())[0][0])


EDGES = "SELECT count(*), min(change.path), max(change.path) " + CHANGES


BRANCHES = f"""
SELECT CASE WHEN strpos(substr(change.path, %(skip)s), '/') > 0
    THEN left(change.path, %(skip)s - 1 + strpos(substr(change.path, %(skip)s), '/')) ELSE change.path END AS branch,
    count(*), min(change.path)
{CHANGES} {{}} GROUP BY branch ORDER BY branch LIMIT %(limit)s
"""


def fold(pick: Pick, most: int) -> list[Branch]:
    """The changes as at most `most` lines: a line for each branch below the directory that all have in common, one
    line in all when those are too many."""
    given = pick.parameters()
    ((total, first, last),) = _fetch(EDGES + pick.condition, given)
    if not total:
        return []
    common = commonprefix([first, last])  # noqa: RUF071  # of text: cut at its last slash
    common = common[: common.rfind("/") + 1]
    given |= {"skip": len(common) + 1, "limit": most + 1}
    rows = _fetch(BRANCHES.format(pick.condition), given)
    if len(rows) > most:
        return [Branch(common, True, total)]
    return [Branch(path, False, 1) if count == 1 else Branch(branch, True, count) for branch, count, path in rows]


MEMBERS = f"""
SELECT change.path, change.other, CASE WHEN old.id IS NULL THEN '{{{{}}}}'::json ELSE {SIDES.format("old")} END,
    CASE WHEN new.id IS NULL THEN '{{{{}}}}'::json ELSE {SIDES.format("new")} END, change.notes::json
{CHANGES} {{}} ORDER BY left(change.path, 512), change.path LIMIT %(limit)s
"""


def members(pick: Pick, limit: int = 1000) -> list[Member]:
    """The first of the changes that are nobody's yet."""
    return [_member(row) for row in _fetch(MEMBERS.format(pick.condition), pick.parameters() | {"limit": limit})]


def member(pick: Pick, path: str) -> Member:
    """The change of one path."""
    given = pick.parameters() | {"path": path, "limit": 1}
    condition = pick.condition + " AND left(change.path, 512) = left(%(path)s, 512) AND change.path = %(path)s"
    return _member(_fetch(MEMBERS.format(condition), given)[0])


def _member(row: tuple[Any, ...]) -> Member:
    path, other, old, new, notes = row
    return Member(path, other, old, new, notes)


TAKE = f"""
UPDATE checker_change SET finding_id = %(finding)s WHERE id IN (SELECT change.id {CHANGES} {{}})
"""
TAKE_PATH = " AND left(change.path, 512) = left(%(path)s, 512) AND change.path = %(path)s"


def take(pick: Pick, finding: Finding) -> None:
    """Make the changes that a finding tells its own."""
    given = pick.parameters() | {"finding": finding.pk, "path": finding.path}
    condition = pick.condition
    if not finding.folded:
        condition += TAKE_PATH
    elif finding.path:
        given |= keyset.bounds(finding.path)
        condition += "".join(f" AND {BELOW[edge]}" for edge in ("lower", "upper"))
    with connection.cursor() as cursor:
        cursor.execute(TAKE.format(condition), given)


STANDS = """version.from_seq <= %(sequence)s AND (version.until_seq IS NULL OR version.until_seq > %(sequence)s)"""
HIDDEN = """
SELECT count(*) FROM checker_change AS change WHERE change.comparison_id = %(comparison)s AND change.kind = 'unknown'
    AND left(change.path, 512) >= left(%(lower)s, 512) AND change.path >= %(lower)s
    AND left(change.path, 512) <= left(%(upper)s, 512) AND change.path < %(upper)s
"""


def hidden_below(comparison: Comparison, directory: str) -> int:
    """How many paths became unknown below a directory."""
    given = {"comparison": comparison.pk, **keyset.bounds(directory + "/")}
    return int(_fetch(HIDDEN, given)[0][0])


RESTLESS_PATHS = f"""
SELECT version.path, version.from_seq, change.id FROM scanner_version AS version
JOIN scanner_run AS run ON run.replica_id = version.replica_id AND run.sequence = version.from_seq
JOIN checker_comparison AS comparison ON comparison.run_id = run.id AND comparison.adjacent
JOIN checker_change AS change ON change.comparison_id = comparison.id
    AND left(change.path, 512) = left(version.path, 512) AND change.path = version.path
WHERE version.replica_id = %(replica)s AND version.type = 2 AND version.detail = '{RESTLESS}' AND {STANDS}
    AND change.finding_id IS NULL AND (
        SELECT count(*) FROM scanner_run AS complete WHERE complete.replica_id = version.replica_id
            AND complete.state = 'ingested' AND complete.sequence BETWEEN version.from_seq AND %(sequence)s) >= %(runs)s
ORDER BY left(version.path, 512), version.path LIMIT 10000
"""
TAKE_CHANGE = "UPDATE checker_change SET finding_id = %(finding)s WHERE id = %(change)s"


def restless(comparison: Comparison, runs: int) -> list[tuple[str, int, int]]:
    """Files that changed while they were read in so many complete runs in a row and are no finding yet: path, the
    first of these runs, and the change with which it began."""
    given = {"replica": comparison.replica_id, "sequence": comparison.run.sequence, "runs": runs}
    return [(path, first, change) for path, first, change in _fetch(RESTLESS_PATHS, given)]


def take_change(change_id: int, finding: Finding) -> None:
    """Make one change the finding's own."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE_CHANGE, {"finding": finding.pk, "change": change_id})


# Whether a member is again what it was before the finding; `now` is what stands at the path (of a move, at the path
# that it left), `began` what stood when the finding began.
AS_BEFORE = """CASE finding.kind
    WHEN 'added' THEN now.id IS NULL
    WHEN 'touched' THEN (now.type, now.size, now.mtime_ns, now.mode, now.uid, now.gid, now.sha256, now.detail)
        IS NOT DISTINCT FROM (old.type, old.size, old.mtime_ns, old.mode, old.uid, old.gid, old.sha256, old.detail)
    WHEN 'unreadable' THEN now.type <> 2 OR now.id IS NULL AND began.stage IN ('list', 'stat')
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
CONCERNED = """
    SELECT finding.id, finding.kind, change.id AS change_id, member.id AS member_id FROM checker_finding AS finding
    JOIN checker_change AS member ON member.finding_id = finding.id AND member.comparison_id <> %(comparison)s
    JOIN checker_change AS change ON change.comparison_id = %(comparison)s
        AND left(change.path, 512) = left(CASE finding.kind WHEN 'moved' THEN member.other ELSE member.path END, 512)
        AND change.path = CASE finding.kind WHEN 'moved' THEN member.other ELSE member.path END
    WHERE finding.replica_id = %(replica)s AND finding.state = 'open'
"""
RESTORES = f"""
UPDATE checker_change SET restores = true WHERE id IN (
    SELECT finding.change_id FROM ({CONCERNED}) AS finding
    JOIN checker_change AS member ON member.id = finding.member_id {MEMBER_NOW} WHERE {AS_BEFORE})
"""
PROVEN = f"""
SELECT finding.id FROM (SELECT DISTINCT id, kind FROM ({CONCERNED}) AS concerned) AS finding WHERE NOT EXISTS (
    SELECT FROM checker_change AS member {MEMBER_NOW}
    WHERE member.finding_id = finding.id AND coalesce({AS_BEFORE}, false) IS FALSE)
ORDER BY finding.id
"""


def mark_restored(comparison: Comparison) -> None:
    """Mark the changes that make a path again what it was before an open finding."""
    with connection.cursor() as cursor:
        cursor.execute(RESTORES, _place(comparison))


def _place(comparison: Comparison) -> dict[str, Any]:
    return {
        "comparison": comparison.pk,
        "replica": comparison.replica_id,
        "sequence": comparison.run.sequence,
    }


def proven_right(comparison: Comparison) -> list[int]:
    """Open findings that the comparison touches and all members of which are again as they were before."""
    return [finding for (finding,) in _fetch(PROVEN, _place(comparison))]


# a.jpg → a.jpg.locked, or a.jpg → a.locked, with other content: what encrypting malware leaves.
ENDINGS = """
WITH gone AS (
    SELECT path, regexp_replace(path, '\\.[^./]+$', '') AS stem FROM checker_change
    WHERE comparison_id = %(comparison)s AND kind = 'removed'
), come AS (
    SELECT path, substring(path FROM '\\.([^./]+)$') AS ending, regexp_replace(path, '\\.[^./]+$', '') AS stem
    FROM checker_change WHERE comparison_id = %(comparison)s AND kind = 'added'
), renamed AS (
    SELECT come.ending, come.path FROM come JOIN gone ON gone.path = come.stem
    UNION SELECT come.ending, come.path FROM come JOIN gone ON gone.stem = come.stem
)
SELECT ending, count(*) FROM renamed WHERE ending IS NOT NULL GROUP BY ending HAVING count(*) >= %(least)s
ORDER BY count(*) DESC LIMIT 5
"""
HAD_ENDING = """
SELECT EXISTS (SELECT FROM scanner_version AS version WHERE version.replica_id = %(replica)s AND version.type = 1
    AND version.from_seq <= %(sequence)s AND (version.until_seq IS NULL OR version.until_seq > %(sequence)s)
    AND right(version.path, length(%(ending)s::text) + 1) = '.' || %(ending)s::text)
"""


def new_ending(comparison: Comparison, least: int) -> tuple[str, int] | None:
    """An ending that no file had before and that at least `least` files got with another content; and how many."""
    assert comparison.base is not None
    for ending, count in _fetch(ENDINGS, {"comparison": comparison.pk, "least": least}):
        given = {"replica": comparison.replica_id, "sequence": comparison.base.sequence, "ending": ending}
        if not _fetch(HAD_ENDING, given)[0][0]:
            return ending, count
    return None


def _fetch(statement: str, given: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
