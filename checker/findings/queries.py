"""The SQL of findings that reads: which changes are theirs, and how they fold."""

# ruff: noqa: S608  # statements are put together from constants of this package; values travel as parameters

from __future__ import annotations

from datetime import datetime
from os.path import commonprefix
from typing import Any, NamedTuple, Protocol

from checker.changes.rules import CHANGED_WHILE_READ
from checker.findings.policy import BROKEN
from checker.models import Comparison, Finding, Kind
from scanner.db import keyset
from scanner.db.entries import fetch_all

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
# What has stood since a run long enough ago, by the changes with which it began.
STANDING = f"""
FROM scanner_version AS new
JOIN scanner_run AS run ON run.replica_id = new.replica_id AND run.sequence = new.from_seq
JOIN checker_comparison AS comparison ON comparison.run_id = run.id AND comparison.adjacent
JOIN checker_change AS change ON change.comparison_id = comparison.id AND change.new_id = new.id
    AND left(change.path, 512) = left(new.path, 512) AND change.path = new.path
LEFT JOIN scanner_version AS old ON old.id = change.old_id
WHERE new.replica_id = %(replica)s AND new.type = 2 AND new.detail = '{CHANGED_WHILE_READ}'
    AND new.from_seq <= %(since)s AND (new.until_seq IS NULL OR new.until_seq > %(sequence)s)
    AND change.finding_id IS NULL
"""
BELOW = {
    "lower": "left(change.path, 512) >= left(%(lower)s, 512) AND change.path >= %(lower)s",
    "upper": "left(change.path, 512) <= left(%(upper)s, 512) AND change.path < %(upper)s",
}
ERRORS = f"AND new.detail <> '{CHANGED_WHILE_READ}' AND {{}} new.detail IN ({', '.join(map(repr, sorted(BROKEN)))})"
AN_EARLIER = CHANGES.replace("%(kind)s", "'reverted'")
LAPSED = """AND old.mtime_ns = new.mtime_ns AND change.notes -> 'confirmed' ->> 'ctime_same' = 'true'
    AND change.notes -> 'confirmed' ->> 'against' = %(against)s"""
RELAPSED = """AND (change.path, new.sha256) IN (
    SELECT damage.path, rotten.sha256 FROM checker_finding AS damage
    JOIN checker_change AS became ON became.finding_id = damage.id
    JOIN scanner_version AS rotten ON rotten.id = became.new_id
    WHERE damage.replica_id = %(replica)s AND damage.kind = 'corrupted' AND damage.state = 'resolved')"""
CALENDAR_NS = 631_152_000_000_000_000
"""1990: a file's time before it is no time of its own."""
EARLY = f"""AND CASE WHEN old.mtime_ns >= {CALENDAR_NS} THEN old.mtime_ns > %(kept_ns)s
    ELSE (SELECT run.finished_at > %(kept)s FROM scanner_run AS run
        WHERE run.replica_id = old.replica_id AND run.sequence = old.from_seq) END"""
"""Removed before its age: by its own time, or, when that is not known or before 1990, by when it was first seen."""


class Branch(NamedTuple):
    """Paths of one kind that are told together: one path, or all below a directory, with its slash; empty: the root."""

    path: str
    folded: bool
    number: int
    since: int | None = None
    """The first run in which one of them stood as it does now; None where nothing stands."""


class Member(NamedTuple):
    """A change with its two versions as members of JSON, empty where there is none."""

    path: str
    other: str | None
    old: dict[str, Any]
    new: dict[str, Any]
    notes: dict[str, Any] | None


class Told(Protocol):
    """What folds: SQL in which each row is `change`, with its path, and perhaps a version `new`."""

    @property
    def source(self) -> str:
        """FROM and WHERE."""

    @property
    def condition(self) -> str:
        """What more must hold."""

    @property
    def weight(self) -> str:
        """SQL of an aggregate: for how many paths rows stand."""

    def parameters(self) -> dict[str, Any]:
        """For both."""


class Pick(NamedTuple):
    """Which changes are meant: of a comparison and of one kind, and what more must hold."""

    comparison: Comparison
    kind: Kind | Finding.Kind
    condition: str = ""
    given: dict[str, Any] = {}
    source: str = CHANGES
    weight: str = "count(*)"

    def parameters(self) -> dict[str, Any]:
        """For SQL."""
        return {"comparison": self.comparison.pk, "kind": self.kind.value, **self.given}


def broken(comparison: Comparison, *, medium: bool) -> Pick:
    """What cannot be read: for the medium's sake, or for another reason; what only never stands still is neither."""
    return Pick(comparison, Kind.UNREADABLE, ERRORS.format("" if medium else "NOT"))


def lapsed(comparison: Comparison) -> Pick:
    """An earlier content that nobody wrote: a write that was lost, or a mirror that fell behind."""
    against = str(comparison.base.uuid) if comparison.base else ""
    return Pick(comparison, Kind.CORRUPTED, LAPSED, {"against": against}, AN_EARLIER)


def relapsed(comparison: Comparison) -> Pick:
    """An earlier content that was damage when it stood there, and went by itself or was mended."""
    return Pick(comparison, Kind.REVERTED, RELAPSED, {"replica": comparison.replica_id})


def early(comparison: Comparison, kept: datetime) -> Pick:
    """What was removed though it was modified after `kept`."""
    return Pick(comparison, Kind.REMOVED, EARLY, {"kept": kept, "kept_ns": int(kept.timestamp()) * 10**9})


def restless(comparison: Comparison, since: int) -> Pick:
    """What has changed while it was read in every complete run from `since` to the comparison's, and is no finding."""
    given = {"replica": comparison.replica_id, "sequence": comparison.run.sequence, "since": since}
    return Pick(comparison, Finding.Kind.RESTLESS, "", given, STANDING)


# A dump of what did not change is the old one by its content, so with it a file has moved; but it is a new file when
# its time is newer, as no renaming makes it. So is one that takes the name of an older one, as dumps by weekday do.
REUSED = (Kind.MOVED, Kind.MODIFIED, Kind.REVERTED, Kind.TOUCHED)
AMONG = ", ".join(f"'{kind.value}'" for kind in REUSED)
RENEWED = f"""EXISTS (SELECT FROM checker_change AS change JOIN scanner_version AS old ON old.id = change.old_id
    JOIN scanner_version AS new ON new.id = change.new_id WHERE change.comparison_id = comparison.id
    AND change.kind IN ({AMONG}) AND NOT change.departed AND new.type = 1 AND new.mtime_ns > old.mtime_ns)"""
NEW_FILES = f"SELECT {RENEWED} FROM checker_comparison AS comparison WHERE id = %(comparison)s"
LAST_NEW_FILE = f"""
SELECT comparison.run_id FROM checker_comparison AS comparison JOIN scanner_run AS run ON run.id = comparison.run_id
WHERE comparison.replica_id = %(replica)s AND comparison.adjacent AND comparison.state = 'done'
    AND comparison.base_id IS NOT NULL AND run.sequence < %(sequence)s
    AND (comparison.counts ? 'added' OR comparison.counts ?| ARRAY[{AMONG}] AND {RENEWED})
ORDER BY run.sequence DESC LIMIT 1
"""


def new_files(comparison: Comparison) -> bool:
    """Whether a comparison brought a new file."""
    if comparison.counts.get(Kind.ADDED):
        return True
    if not any(comparison.counts.get(kind) for kind in REUSED):
        return False
    return bool(fetch_all(NEW_FILES, {"comparison": comparison.pk})[0][0])


def last_new_file(comparison: Comparison) -> int | None:
    """The run that last brought a new file before the comparison's, by its key."""
    given = {"replica": comparison.replica_id, "sequence": comparison.run.sequence}
    rows = fetch_all(LAST_NEW_FILE, given)
    return int(rows[0][0]) if rows else None


REMOVED = """
SELECT count(*) FROM checker_change AS change JOIN scanner_version AS old ON old.id = change.old_id
WHERE change.comparison_id = %(comparison)s AND change.kind = 'removed'
"""


def removed_early(comparison: Comparison, kept: datetime) -> int:
    """How many paths were removed though they were modified after `kept`, whether a finding tells them or not."""
    pick = early(comparison, kept)
    return int(fetch_all(REMOVED + pick.condition, pick.parameters())[0][0])


def removed_files(comparison: Comparison, kept: datetime | None) -> int:
    """How many of the paths that were removed were files; with `kept` only those modified after it."""
    pick = Pick(comparison, Kind.REMOVED) if kept is None else early(comparison, kept)
    return int(fetch_all(f"{REMOVED} AND old.type = 1 {pick.condition}", pick.parameters())[0][0])


EDGES = "SELECT {}, min(change.path), max(change.path) {} {}"
BRANCHES = """
SELECT CASE WHEN strpos(substr(change.path, %(skip)s), '/') > 0
    THEN left(change.path, %(skip)s - 1 + strpos(substr(change.path, %(skip)s), '/')) ELSE change.path END AS branch,
    {}, min(change.path), min(new.from_seq)
{} {} GROUP BY branch ORDER BY branch LIMIT %(limit)s
"""


def fold(pick: Told, most: int) -> list[Branch]:
    """The changes as at most `most` lines: a line for each branch below the directory that all have in common, one
    line in all when those are too many."""
    given, what = pick.parameters(), (pick.weight, pick.source, pick.condition)
    ((total, first, last),) = fetch_all(EDGES.format(*what), given)
    if not total:
        return []
    common = commonprefix([first, last])  # noqa: RUF071  # of text: cut at its last slash
    common = common[: common.rfind("/") + 1]
    given |= {"skip": len(common) + 1, "limit": most + 1}
    rows = fetch_all(BRANCHES.format(*what), given)
    if len(rows) > most or rows[0][0] == common:  # so many, or one tells all that is below
        begun = [since for *_same, since in rows if since is not None]
        return [Branch(common, True, int(total), min(begun, default=None))]
    return [
        Branch(branch, True, int(count), since) if count > 1 or path.endswith("/") else Branch(path, False, 1, since)
        for branch, count, path, since in rows
    ]


MEMBER = f"""
SELECT change.path, change.other,
    CASE WHEN old.id IS NULL THEN '{{{{}}}}'::json ELSE {SIDES.format("old")} END,
    CASE WHEN new.id IS NULL THEN '{{{{}}}}'::json ELSE {SIDES.format("new")} END, change.notes::json
{{}} {{}} """
OF_PATH = " AND left(change.path, 512) = left(%(path)s, 512) AND change.path = %(path)s"


def member(pick: Pick, path: str) -> Member:
    """The change of one path."""
    given = pick.parameters() | {"path": path}
    return Member(*fetch_all(MEMBER.format(pick.source, pick.condition + OF_PATH), given)[0])


HIDDEN = """
SELECT count(*) FROM checker_change AS change WHERE change.comparison_id = %(comparison)s AND change.kind = 'unknown'
"""


def hidden_below(comparison: Comparison, directory: str) -> int:
    """How many paths became unknown below a directory, which ends with a slash; empty: the root."""
    bounds = keyset.bounds(directory)
    condition = "".join(f" AND {BELOW[edge]}" for edge in bounds)
    return int(fetch_all(HIDDEN + condition, {"comparison": comparison.pk, **bounds})[0][0])
