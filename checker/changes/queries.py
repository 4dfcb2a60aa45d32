"""Read stored changes: pages of them with both versions, all of them as a stream, and levels of the tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID

from checker.changes.statements import statement
from checker.models import Comparison
from scanner.db import keyset
from scanner.db.sql import fetch_all, fetch_batches, like_pattern
from scanner.models import Run


class ChangeSide(NamedTuple):
    """The version before or after a change. Digests are hex."""

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
    """A change with both its sides."""

    path: str
    kind: str
    departed: bool
    """Whether this is the path that a move left."""
    other: str | None
    """Of a move, the other path."""
    notes: dict[str, Any]
    """What the run's notes say of the path."""
    old: ChangeSide | None
    new: ChangeSide | None


class DirectorySummary(NamedTuple):
    """A directory with how many paths below it changed, by kind."""

    directory: str
    """Ends with a slash."""
    counts: dict[str, int]

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.directory.rstrip("/").rpartition("/")[2]

    @property
    def total(self) -> int:
        """All changes below it."""
        return sum(self.counts.values())


class ChangeFilter(NamedTuple):
    """The changes that a list is to have."""

    kinds: tuple[str, ...] = ()
    """Empty: all kinds."""
    below: str = ""
    """A directory with its slash; empty: the root."""
    search: str = ""
    """Part of the path."""


NO_FILTER: dict[str, Any] = {
    "comparison": None,
    "finding": None,
    "lower": None,
    "upper": None,
    "kind": None,
    "kinds": None,
    "search": None,
    "with_departed": True,
    "name_offset": None,
    "limit": None,
}
"""Parameters of the list of changes with which it has all changes of all comparisons."""

ChangePage = keyset.Page[ChangeRow]


def read_page(comparison: Comparison, change_filter: ChangeFilter, after: str = "", limit: int = 100) -> ChangePage:
    """Return a page of changes in the order of their paths. Raise InvalidPageToken for an `after` that no page gave.

    Without a directory and a search, a move is in the list once, under its new path.
    """
    return _read_page(_filter_parameters(comparison, change_filter), after, limit)


def read_finding_page(finding_id: int, after: str = "", limit: int = 100) -> ChangePage:
    """Return a page of the changes for which a finding stands, likewise."""
    return _read_page(NO_FILTER | {"finding": finding_id}, after, limit)


def read_directory_page(
    comparison: Comparison, change_filter: ChangeFilter, after: str = "", limit: int = 100
) -> ChangePage:
    """Return a page of the changes directly in the directory of the filter, likewise; also what moved out of it."""
    parameters = _filter_parameters(comparison, change_filter) | {
        "name_offset": len(change_filter.below) + 1,
        "with_departed": True,
    }
    return _read_page(parameters, after, limit)


def iterate_changes(comparison: Comparison, change_filter: ChangeFilter) -> Iterator[ChangeRow]:
    """Yield all changes that pass the filter, in the order of their paths. Memory stays flat."""
    parameters = _filter_parameters(comparison, change_filter)
    for rows in fetch_batches(statement("list_changes"), parameters):
        for row in rows:
            yield _change_row(row)


def read_subdirectories(
    comparison: Comparison, change_filter: ChangeFilter, after: str = "", limit: int = 100
) -> keyset.Page[DirectorySummary]:
    """Return a page of the directories directly below that of the filter in which something changed."""
    bounds = keyset.prefix_bounds(change_filter.below)
    lower = bounds.get("lower", "")
    if after:
        lower = max(keyset.read_path_token(after), change_filter.below)

    parameters = {
        "comparison": comparison.pk,
        "depth": change_filter.below.count("/") + 1,
        "lower": lower,
        "upper": bounds.get("upper"),
        "kinds": list(change_filter.kinds) or None,
        "limit": limit + 1,
    }
    directories = [DirectorySummary(*row) for row in fetch_all(statement("list_subdirectories"), parameters)]
    return keyset.cut_page(directories, limit, lambda summary: keyset.key_behind(summary.directory))


def read_path_changes(replica_id: int, path: str) -> dict[int, ChangeRow]:
    """Return the changes of one path, by the number of the run that brought each. Only adjacent comparisons count."""
    rows = fetch_all(statement("list_changes_of_path"), {"replica": replica_id, "path": path})
    return {sequence: _change_row(row) for sequence, *row in rows}


def compared_run_numbers(replica_id: int, changes: Iterable[ChangeRow]) -> dict[str, int]:
    """Return the numbers of the runs with which the collector compared, by the UUID that the changes' notes say."""
    claimed = {str(change.notes["confirmed"].get("against")) for change in changes if "confirmed" in change.notes}

    uuids = []
    for text in claimed:
        # A server wrote the notes: only the canonical form of a UUID can name a run.
        with suppress(ValueError):
            uuids.append(UUID(text))
    runs = Run.objects.filter(replica=replica_id, uuid__in=uuids)
    return {str(uuid): sequence for uuid, sequence in runs.values_list("uuid", "sequence")}


def _filter_parameters(comparison: Comparison, change_filter: ChangeFilter) -> dict[str, Any]:
    parameters = NO_FILTER | {"comparison": comparison.pk, **keyset.prefix_bounds(change_filter.below)}
    if len(change_filter.kinds) == 1:
        # An index serves one kind.
        parameters["kind"] = change_filter.kinds[0]
    elif change_filter.kinds:
        parameters["kinds"] = list(change_filter.kinds)

    if change_filter.search:
        parameters["search"] = like_pattern(change_filter.search)
    # Whoever looks into a directory or for a name expects what moved away from there, too.
    parameters["with_departed"] = bool(change_filter.below or change_filter.search)
    return parameters


def _read_page(parameters: dict[str, Any], after: str, limit: int) -> ChangePage:
    if after:
        # Never below the directory of the filter, whatever the token says.
        parameters["lower"] = max(keyset.read_path_token(after), parameters["lower"] or "")
    # One more than the page holds tells whether there is a next one.
    parameters["limit"] = limit + 1
    rows = [_change_row(row) for row in fetch_all(statement("list_changes"), parameters)]
    return keyset.cut_page(rows, limit, lambda row: keyset.key_behind(row.path))


def _change_row(row: Any) -> ChangeRow:
    """Return a row of the database as a change: five columns of its own, then those of both its sides."""
    path, kind, departed, other, notes, *sides = row
    width = len(ChangeSide._fields)
    return ChangeRow(
        path, kind, departed, other, notes or {}, old=_change_side(sides[:width]), new=_change_side(sides[width:])
    )


def _change_side(columns: Any) -> ChangeSide | None:
    # A version without a type is none: the outer join found nothing.
    return None if columns[0] is None else ChangeSide(*columns)
