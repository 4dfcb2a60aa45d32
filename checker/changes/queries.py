"""Reads of kept comparisons: pages of changes with both their sides, and levels of the tree."""

# ruff: noqa: S608  # statements are put together from this module's own constants; values travel as parameters

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from checker.models import Comparison
from scanner.db import keyset
from scanner.db.sql import fetch_all, fetch_batches


class ChangeSide(NamedTuple):
    """A version as one side of a change. Digests are hex."""

    type: int
    size: int | None
    mtime_ns: int | None
    mode: int | None
    uid: int | None
    gid: int | None
    sha256: str | None
    md5: str | None
    detail: str | None
    stage: str | None
    from_seq: int


class ChangeRow(NamedTuple):
    """A change as a page shows it."""

    path: str
    kind: str
    departed: bool
    other: str | None
    notes: dict[str, Any]
    old: ChangeSide | None
    new: ChangeSide | None


class DirectorySummary(NamedTuple):
    """A directory below another one, with how many paths below it changed, by kind."""

    directory: str
    counts: dict[str, int]

    @property
    def name(self) -> str:
        """Its last part."""
        return self.directory.rstrip("/").rpartition("/")[2]

    @property
    def total(self) -> int:
        """All changes below it."""
        return sum(self.counts.values())


_SIDE = """{0}.type, {0}.size, {0}.mtime_ns, {0}.mode, {0}.uid, {0}.gid, encode({0}.sha256, 'hex'),
    encode({0}.md5, 'hex'), {0}.detail, {0}.stage, {0}.from_seq"""
_COLUMNS = f"""change.path, change.kind, change.departed, change.other, change.notes::json,
    {_SIDE.format("old")}, {_SIDE.format("new")}"""
_JOINS = """
LEFT JOIN scanner_version AS old ON old.id = change.old_id
LEFT JOIN scanner_version AS new ON new.id = change.new_id
"""
# The page is chosen before its sides are looked up: the cost is that of the rows that are shown.
PAGE = f"""
SELECT {_COLUMNS} FROM (
    SELECT * FROM checker_change AS change WHERE {{conditions}}
    ORDER BY left(change.path, 512), change.path LIMIT %(limit)s) AS change
{_JOINS} ORDER BY left(change.path, 512), change.path
"""
ALL = f"""
SELECT {_COLUMNS} FROM checker_change AS change {_JOINS} WHERE {{conditions}}
ORDER BY left(change.path, 512), change.path
"""
CONDITIONS = {
    "comparison": "change.comparison_id = %(comparison)s",
    "finding": "change.finding_id = %(finding)s",
    "lower": "left(change.path, 512) >= left(%(lower)s, 512) AND change.path >= %(lower)s",
    "upper": "left(change.path, 512) <= left(%(upper)s, 512) AND change.path < %(upper)s",
    "kinds": "change.kind = ANY(%(kinds)s)",
    "kind": "change.kind = %(kind)s",
    "search": "change.path LIKE %(search)s",
    "arrived": "NOT change.departed",
    "direct": "strpos(substr(change.path, %(direct)s), '/') = 0",
}


class ChangeFilter(NamedTuple):
    """Which changes: of these kinds (all when empty), below a directory, with a text in the path."""

    kinds: tuple[str, ...] = ()
    below: str = ""
    search: str = ""


class ChangePage(NamedTuple):
    """A page of changes; `after` asks for the next one and is empty on the last."""

    rows: list[ChangeRow]
    after: str


def read_page(comparison: Comparison, wish: ChangeFilter, after: str = "", limit: int = 100) -> ChangePage:
    """Changes in the order of their paths. keyset.BadToken for an `after` that is none."""
    return _page(_given(comparison, wish), after, limit)


def read_finding_page(finding_id: int, after: str = "", limit: int = 100) -> ChangePage:
    """The changes that a finding tells, likewise."""
    return _page({"finding": finding_id}, after, limit)


def read_directory_page(comparison: Comparison, wish: ChangeFilter, after: str = "", limit: int = 100) -> ChangePage:
    """The changes directly in the directory that `wish` names, also those that left it."""
    given = _given(comparison, wish) | {"direct": len(wish.below) + 1}
    given.pop("arrived", None)
    return _page(given, after, limit)


def iterate_changes(comparison: Comparison, wish: ChangeFilter) -> Iterator[ChangeRow]:
    """All that `wish` means, in flat memory."""
    given = _given(comparison, wish)
    for rows in fetch_batches(ALL.format(conditions=_conditions(given)), given):
        yield from map(_row, rows)


LEVEL = """
SELECT directory, json_object_agg(kind, number) FROM checker_branch
WHERE comparison_id = %(comparison)s AND depth = %(depth)s AND left(directory, 512) >= left(%(lower)s, 512)
    AND directory >= %(lower)s {0} {1}
GROUP BY directory ORDER BY left(directory, 512), directory LIMIT %(limit)s
"""
UPPER = "AND left(directory, 512) <= left(%(upper)s, 512) AND directory < %(upper)s"
KINDS = "AND kind = ANY(%(kinds)s)"


def read_subdirectories(
    comparison: Comparison, wish: ChangeFilter, after: str = "", limit: int = 100
) -> tuple[list[DirectorySummary], str]:
    """A page of the directories directly below `wish.below` in which something changed, and the key of the next."""
    given: dict[str, Any] = {"comparison": comparison.pk, "depth": wish.below.count("/") + 1, "limit": limit + 1}
    given |= {"lower": "", **keyset.prefix_bounds(wish.below), "kinds": list(wish.kinds)}
    if after:
        given["lower"] = max(keyset.read_path_token(after), wish.below)
    statement = LEVEL.format(UPPER if wish.below else "", KINDS if wish.kinds else "")
    rows = [DirectorySummary(*row) for row in fetch_all(statement, given)]
    if len(rows) <= limit:
        return rows, ""
    return rows[:limit], keyset.page_token(rows[limit - 1].directory + "\x01")


OF_PATH = f"""
SELECT run.sequence, {_COLUMNS} FROM checker_comparison AS comparison
JOIN scanner_run AS run ON run.id = comparison.run_id
JOIN checker_change AS change ON change.comparison_id = comparison.id
{_JOINS} WHERE comparison.replica_id = %(replica)s AND comparison.adjacent
    AND left(change.path, 512) = left(%(path)s, 512) AND change.path = %(path)s
ORDER BY run.sequence
"""


def read_path_changes(replica_id: int, path: str) -> dict[int, ChangeRow]:
    """What became of a path, by the run that brought it: adjacent comparisons alone."""
    return {sequence: _row(row) for sequence, *row in fetch_all(OF_PATH, {"replica": replica_id, "path": path})}


def _given(comparison: Comparison, wish: ChangeFilter) -> dict[str, Any]:
    given: dict[str, Any] = {"comparison": comparison.pk, **keyset.prefix_bounds(wish.below)}
    if len(wish.kinds) == 1:
        given["kind"] = wish.kinds[0]
    elif wish.kinds:
        given["kinds"] = list(wish.kinds)
    if wish.search:
        literal = wish.search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        given["search"] = f"%{literal}%"
    if not wish.below and not wish.search:
        given["arrived"] = True
    return given


def _conditions(given: dict[str, Any]) -> str:
    return " AND ".join(text for name, text in CONDITIONS.items() if name in given)


def _page(given: dict[str, Any], after: str, limit: int) -> ChangePage:
    if after:
        given["lower"] = max(keyset.read_path_token(after), given.get("lower", ""))
    statement = PAGE.format(conditions=_conditions(given))
    rows = [_row(row) for row in fetch_all(statement, given | {"limit": limit + 1})]
    if len(rows) <= limit:
        return ChangePage(rows, "")
    return ChangePage(rows[:limit], keyset.page_token(rows[limit - 1].path + "\x01"))


def _row(row: Any) -> ChangeRow:
    path, kind, departed, other, notes, *sides = row
    size = len(ChangeSide._fields)
    old, new = (ChangeSide(*side) if side[0] is not None else None for side in (sides[:size], sides[size:]))
    return ChangeRow(path, kind, departed, other, notes or {}, old, new)
