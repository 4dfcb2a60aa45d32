"""Reads of divergences: what the replicas held under a path, pages of the list, levels of the tree."""

# ruff: noqa: S608  # statements are put together from constants of this module; values travel as parameters

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from checker.divergences.compare import ComparedReplica
from checker.divergences.within import MEMBER
from checker.models import Divergence
from scanner.db import keyset
from scanner.db.sql import fetch_all, fetch_batches
from scanner.format.entry_type import EntryType

# All versions of a path up to the run of each side, with what the comparison of the run that brought it says. Each is
# looked up by its key: planned as joins, the histories are read as a whole, since nobody knows how many paths differ.
LIVES = """
SELECT wanted.path, side.position, version.type, version.size, version.mtime_ns, version.mode, version.uid, version.gid,
    encode(version.sha256, 'hex'), encode(version.md5, 'hex'), version.detail, version.stage, version.from_seq,
    version.until_seq, run.received_at, run.uuid, change.kind, change.notes IS NOT NULL AND change.notes ? 'confirmed',
    earlier.received_at
FROM {0} AS wanted(path)
CROSS JOIN unnest(%(positions)s::int[], %(replicas)s::int[], %(sequences)s::int[])
    AS side(position, replica_id, sequence)
CROSS JOIN LATERAL (SELECT * FROM scanner_version AS held WHERE held.replica_id = side.replica_id
    AND left(held.path, 512) = left(wanted.path, 512) AND held.path = wanted.path
    AND held.from_seq <= side.sequence OFFSET 0) AS version
LEFT JOIN LATERAL (SELECT received_at, uuid, comparison.id AS comparison_id FROM scanner_run AS brought
    LEFT JOIN checker_comparison AS comparison ON comparison.run_id = brought.id AND comparison.adjacent
    WHERE brought.replica_id = side.replica_id AND brought.sequence = version.from_seq OFFSET 0) AS run ON true
LEFT JOIN LATERAL (SELECT received_at FROM scanner_run AS before WHERE before.replica_id = side.replica_id
    AND before.sequence < version.from_seq AND before.state = 'ingested' ORDER BY before.sequence DESC LIMIT 1)
    AS earlier ON true
LEFT JOIN LATERAL (SELECT kind, notes FROM checker_change AS told WHERE told.comparison_id = run.comparison_id
    AND left(told.path, 512) = left(wanted.path, 512) AND told.path = wanted.path AND NOT departed OFFSET 0)
    AS change ON true
ORDER BY wanted.path, side.position, version.from_seq
"""
SEVERAL = "(SELECT path FROM diverging WHERE contents > 1)"
NAMED = "unnest(%(paths)s::text[])"


class PathVersion(NamedTuple):
    """A version in the life of a path on a side. Digests are hex."""

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
    until_seq: int | None
    received_at: datetime | None
    run: Any
    """The uuid of the run that brought it; None when its row is gone."""
    kind: str | None
    confirmed: bool | None
    after: datetime | None
    """When the complete run before that one arrived."""

    @property
    def content(self) -> str:
        """Equal for equal contents."""
        if self.type == EntryType.FILE:
            return self.sha256 or ""
        return f"{'link' if self.type == EntryType.LINK else 'special'}:{self.detail}"


PathHistory = dict[int, list[PathVersion]]
"""Of a path: by position all that was there, oldest first."""


def iterate_mismatch_histories(sides: Sequence[ComparedReplica]) -> Iterator[tuple[str, PathHistory]]:
    """The lives of the paths in `diverging` of which there are several contents, in flat memory."""
    rows = (row for batch in fetch_batches(LIVES.format(SEVERAL), _sides(sides)) for row in batch)
    for path, some in groupby(rows, itemgetter(0)):
        yield path, _life(some)


def read_path_histories(sides: Sequence[ComparedReplica], paths: Sequence[str]) -> dict[str, PathHistory]:
    """The lives of these paths."""
    rows = fetch_all(LIVES.format(NAMED), _sides(sides) | {"paths": list(paths)})
    return {path: _life(some) for path, some in groupby(rows, itemgetter(0))}


def _life(rows: Any) -> PathHistory:
    life: PathHistory = {}
    for _path, position, *moment in rows:
        life.setdefault(position, []).append(PathVersion(*moment))
    return life


def _sides(sides: Sequence[ComparedReplica]) -> dict[str, Any]:
    return {
        "positions": [side.position for side in sides],
        "replicas": [side.replica_id for side in sides],
        "sequences": [side.sequence for side in sides],
    }


class DivergenceRow(NamedTuple):
    """A divergence as a page shows it."""

    path: str
    kind: str
    verdict: str
    cells: str
    judged: str
    others: dict[str, str]
    alike: str
    current: bool
    since: datetime
    finding: Any
    """The uuid of its finding, or None."""


class DirectorySummary(NamedTuple):
    """A directory with how many paths below it diverge."""

    directory: str
    counts: dict[str, int]
    damaged: int
    wrong: list[int]

    @property
    def name(self) -> str:
        """Its last part."""
        return self.directory.rstrip("/").rpartition("/")[2]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


class DivergenceFilter(NamedTuple):
    """Which divergences: of these kinds (all when empty), with a verdict, wrong at a position, below a directory."""

    kinds: tuple[str, ...] = ()
    verdict: str = ""
    position: int = 0
    below: str = ""
    search: str = ""


class Page(NamedTuple):
    """A page of divergences; `after` asks for the next one and is empty on the last."""

    rows: list[DivergenceRow]
    after: str


TOLD = "kind, verdict, cells, judged, others, alike, current, since, finding_id"
STORED = f"""SELECT path, {TOLD} FROM {{table}} AS row WHERE number IS NULL AND {{of_row}} AND {{of_path}}
    ORDER BY left(path, 512), path {{limit}}"""
ABSENT = f"""SELECT member.path, {TOLD} FROM (
        SELECT row.*, run.replica_id, run.sequence FROM {{table}} AS row
        JOIN scanner_run AS run ON run.id = row.holder WHERE row.number IS NOT NULL AND {{of_row}}) AS absence
    CROSS JOIN LATERAL (SELECT held.path {MEMBER.format("absence")} AND {{of_member}}
        AND NOT EXISTS (SELECT FROM {{table}} AS other WHERE other.comparison_id = absence.comparison_id
            AND left(other.path, 512) = left(held.path, 512) AND other.path = held.path)
        ORDER BY left(held.path, 512), held.path {{limit}}) AS member
    ORDER BY left(member.path, 512), member.path {{limit}}"""
STORED_TABLE, GATHERED_TABLE = "checker_divergence", "diverging_kept"
"""Where divergences are kept, and where those of a comparison lie before they are written, see `store`."""
# What a row of its own tells, and what an absence tells: paths that those who are there hold, by the first of them.
PAGE = f"""
SELECT told.path, told.kind, told.verdict, told.cells, told.judged, told.others::json, told.alike, told.current,
    told.since, finding.uuid
FROM (({STORED}) UNION ALL ({ABSENT})) AS told LEFT JOIN checker_finding AS finding ON finding.id = told.finding_id
ORDER BY left(told.path, 512), told.path {{limit}}
"""
LIMIT = "LIMIT %(limit)s"
OF_ROW = {
    "comparison": "row.comparison_id = %(comparison)s",
    "finding": "row.finding_id = %(finding)s",
    "kind": "row.kind = %(kind)s",
    "kinds": "row.kind = ANY(%(kinds)s)",
    "verdict": "row.verdict = %(verdict)s",
    "at": """(substr(row.cells, %(at)s, 1) IN ('-', '?', '!', '>')
        OR substr(row.judged, %(at)s, 1) IN ('d', 'o', 'u'))""",
}
OF_PATH = {
    "lower": "left({0}.path, 512) >= left(%(lower)s, 512) AND {0}.path >= %(lower)s",
    "upper": "left({0}.path, 512) <= left(%(upper)s, 512) AND {0}.path < %(upper)s",
    "search": "{0}.path LIKE %(search)s",
    "exact": "left({0}.path, 512) = left(%(exact)s, 512) AND {0}.path = %(exact)s",
    "among": "left({0}.path, 512) = ANY(%(lefts)s::text[]) AND {0}.path = ANY(%(among)s::text[])",
    "direct": "strpos(substr({0}.path, %(direct)s), '/') = 0",
}


def read_page(comparison_id: int, wish: DivergenceFilter, after: str = "", limit: int = 100) -> Page:
    """Divergences in the order of their paths, and the key of the next page. keyset.BadToken for an `after` that is
    none."""
    return _page(_given(comparison_id, wish), after, limit)


def read_directory_page(comparison_id: int, wish: DivergenceFilter, after: str = "", limit: int = 100) -> Page:
    """Those directly in the directory that `wish` names, likewise."""
    return _page(_given(comparison_id, wish) | {"direct": len(wish.below) + 1}, after, limit)


def read_finding_page(finding_id: int, after: str = "", limit: int = 100) -> Page:
    """The divergences that a finding tells, likewise."""
    return _page({"finding": finding_id}, after, limit)


def read_divergence(comparison_id: int, path: str, table: str = STORED_TABLE) -> DivergenceRow | None:
    """The divergence of one path; None when it is the same on all. `table` may be GATHERED_TABLE."""
    rows, _after = _page({"comparison": comparison_id, "exact": path}, "", 1, table)
    return rows[0] if rows else None


def read_divergences(comparison_id: int, paths: Sequence[str]) -> dict[str, DivergenceRow]:
    """The divergences of these paths; those that are the same on all are left out."""
    given = {"comparison": comparison_id, "among": list(paths), "lefts": [path[:512] for path in paths]}
    return {row.path: row for row in _page(given, "", len(paths)).rows}


def iterate_divergences(comparison_id: int, wish: DivergenceFilter) -> Iterator[DivergenceRow]:
    """All that `wish` means, in flat memory."""
    given = _given(comparison_id, wish)
    for rows in fetch_batches(_pages(given, STORED_TABLE, ""), given):
        yield from map(_row, rows)


LEVELS = """
SELECT directory, json_object_agg(kind, number), {0} FROM checker_divergencebranch
WHERE comparison_id = %(comparison)s AND depth = %(depth)s AND left(directory, 512) >= left(%(lower)s, 512)
    AND directory >= %(lower)s {1}
GROUP BY directory {2} ORDER BY left(directory, 512), directory LIMIT %(limit)s
"""
UPPER = " AND left(directory, 512) <= left(%(upper)s, 512) AND directory < %(upper)s"
KINDS = " AND kind = ANY(%(kinds)s)"


def read_subdirectories(
    comparison_id: int, wish: DivergenceFilter, sides: int, after: str = "", limit: int = 100
) -> tuple[list[DirectorySummary], str]:
    """A page of the directories directly below `wish.below` in which something diverges, and the key of the next."""
    given: dict[str, Any] = {"comparison": comparison_id, "depth": wish.below.count("/") + 1, "limit": limit + 1}
    given |= {"lower": "", **keyset.prefix_bounds(wish.below), "kinds": list(wish.kinds), "at": wish.position}
    if after:
        given["lower"] = max(keyset.read_path_token(after), wish.below)
    sums = ", ".join(["sum(damaged)", *(f"sum(wrong[{position}])" for position in range(1, sides + 1))])
    having = [
        *(["sum(wrong[%(at)s]) > 0"] if wish.position else []),
        *(["sum(damaged) > 0"] if wish.verdict == Divergence.PathVerdict.DAMAGED else []),
    ]
    where = (UPPER if wish.below else "") + (KINDS if wish.kinds else "")
    found = fetch_all(LEVELS.format(sums, where, f"HAVING {' AND '.join(having)}" if having else ""), given)
    rows = [
        DirectorySummary(directory, counts, int(damaged), [int(one) for one in some])
        for directory, counts, damaged, *some in found
    ]
    if len(rows) <= limit:
        return rows, ""
    return rows[:limit], keyset.page_token(rows[limit - 1].directory + "\x01")


def _given(comparison_id: int, wish: DivergenceFilter) -> dict[str, Any]:
    given: dict[str, Any] = {"comparison": comparison_id, **keyset.prefix_bounds(wish.below)}
    kinds = {"kind": wish.kinds[0]} if len(wish.kinds) == 1 else {"kinds": list(wish.kinds)}
    wished = (kinds if wish.kinds else {}) | {"verdict": wish.verdict, "at": wish.position}
    given |= {name: value for name, value in wished.items() if value}
    if wish.search:
        literal = wish.search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        given["search"] = f"%{literal}%"
    return given


def _pages(given: dict[str, Any], table: str, limit: str) -> str:
    of_row, of_path = (
        " AND ".join(["true", *(text for name, text in some.items() if name in given)]) for some in (OF_ROW, OF_PATH)
    )
    parts = {"of_row": of_row, "of_path": of_path.format("row"), "of_member": of_path.format("held")}
    return PAGE.format(table=table, limit=limit, **parts)


def _page(given: dict[str, Any], after: str, limit: int, table: str = STORED_TABLE) -> Page:
    if after:
        given["lower"] = max(keyset.read_path_token(after), given.get("lower", ""))
    rows = [_row(row) for row in fetch_all(_pages(given, table, LIMIT), given | {"limit": limit + 1})]
    if len(rows) <= limit:
        return Page(rows, "")
    return Page(rows[:limit], keyset.page_token(rows[limit - 1].path + "\x01"))


def _row(row: Any) -> DivergenceRow:
    path, kind, verdict, cells, judged, others, *rest = row
    return DivergenceRow(path, kind, verdict, cells, judged, others or {}, *rest)
