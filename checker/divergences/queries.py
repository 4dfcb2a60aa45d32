"""Read divergences: what the replicas had at a path, pages of the list, levels of the tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from checker.divergences.compare import ComparedReplica
from checker.divergences.statements import ENTRY_TYPES, statement
from checker.models import Divergence
from scanner.db import keyset
from scanner.db.sql import fetch_all, fetch_batches, like_pattern
from scanner.format.entry_type import EntryType

_FILE = EntryType.FILE.value
_LINK = EntryType.LINK.value

MISMATCHES = "(SELECT path FROM diverging WHERE contents > 1)"
NAMED_PATHS = "unnest(%(paths)s::text[])"

STORED_TABLE = "checker_divergence"
"""The table in which divergences are stored."""
GATHERED_TABLE = "diverging_kept"
"""The table in which those of a comparison lie before they are written; see `store`."""


class PathVersion(NamedTuple):
    """A version of a path on one replica. Digests are hex."""

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
    """When the run that brought it arrived. None when the row of that run is gone."""
    run: Any
    """The uuid of that run, or None."""
    kind: str | None
    """The kind of change that brought it."""
    confirmed: bool | None
    is_ctime_same: bool
    """Whether the run confirmed that nobody wrote to it since the last time that it was read."""
    previous_run_began: datetime | None
    """When the complete run before that one began at the latest."""
    last_run_began: datetime | None
    """When the last complete run that found the version began at the latest. None while it stands."""

    @property
    def content(self) -> str:
        """A text that is equal for equal contents."""
        if self.type == _FILE:
            return self.sha256 or ""

        # The prefix keeps a link from being equal to a special file whose detail reads alike.
        kind = "link" if self.type == _LINK else "special"
        return f"{kind}:{self.detail}"

    def holds_at(self, sequence: int) -> bool:
        """Return whether the version had not ended by a run that came after its beginning."""
        return self.until_seq is None or self.until_seq > sequence


class PathHistory(dict[int, list[PathVersion]]):
    """The versions of one path at each position, oldest first, and what earlier comparisons found of its contents."""

    def __init__(self, damaged: Mapping[str, str | None] | None = None, cleared: Iterable[str] = ()) -> None:
        super().__init__()
        self.damaged = damaged or {}
        """Contents that an earlier comparison found damaged, each with the one from before, or None."""
        self.cleared = frozenset(cleared)
        """The ones among them that a person declared good."""


def iterate_mismatch_histories(
    replicas: Sequence[ComparedReplica], moment: datetime | None = None
) -> Iterator[tuple[str, PathHistory]]:
    """Yield each path in `diverging` that has several contents, with its history. Memory stays flat.

    `moment` leaves out what was judged later.
    """
    parameters = _history_parameters(replicas)
    memory = _Memory(fetch_all(statement("known_damage", paths=MISMATCHES), parameters | {"moment": moment}))
    histories = statement("path_histories", paths=MISMATCHES)
    rows = (row for batch in fetch_batches(histories, parameters) for row in batch)
    for path, path_rows in groupby(rows, itemgetter(0)):
        yield path, _path_history(path_rows, memory.history(path))


def read_path_histories(
    replicas: Sequence[ComparedReplica], paths: Sequence[str], moment: datetime | None = None
) -> dict[str, PathHistory]:
    """Return the histories of some paths. `moment` leaves out what was judged later."""
    parameters = _history_parameters(replicas) | {"paths": list(paths)}
    memory = _Memory(fetch_all(statement("known_damage", paths=NAMED_PATHS), parameters | {"moment": moment}))
    rows = fetch_all(statement("path_histories", paths=NAMED_PATHS), parameters)
    return {path: _path_history(path_rows, memory.history(path)) for path, path_rows in groupby(rows, itemgetter(0))}


class _Memory:
    """Known damage of some paths, by path."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._damaged: dict[str, dict[str, str | None]] = {}
        self._cleared: dict[str, set[str]] = {}
        for path, sha256, undamaged_sha256, is_cleared in rows:
            self._damaged.setdefault(path, {})[sha256] = undamaged_sha256
            if is_cleared:
                self._cleared.setdefault(path, set()).add(sha256)

    def history(self, path: str) -> PathHistory:
        """Return the history of a path, without versions."""
        return PathHistory(self._damaged.get(path), self._cleared.get(path, ()))


def _path_history(rows: Iterable[Any], history: PathHistory) -> PathHistory:
    for _path, position, *version in rows:
        history.setdefault(position, []).append(PathVersion(*version))
    return history


def _history_parameters(replicas: Sequence[ComparedReplica]) -> dict[str, Any]:
    return {
        "positions": [replica.position for replica in replicas],
        "replicas": [replica.replica_id for replica in replicas],
        "sequences": [replica.sequence for replica in replicas],
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


DivergencePage = keyset.Page[DivergenceRow]


class DirectorySummary(NamedTuple):
    """A directory with how many paths below it diverge."""

    directory: str
    counts: dict[str, int]
    damaged: int
    wrong: list[int]
    """How many are wrong on each participant."""

    @property
    def name(self) -> str:
        """Its last part."""
        return self.directory.rstrip("/").rpartition("/")[2]

    @property
    def total(self) -> int:
        """The number of paths of all kinds."""
        return sum(self.counts.values())


class DivergenceFilter(NamedTuple):
    """A choice of divergences. Empty fields do not restrict it."""

    kinds: tuple[str, ...] = ()
    verdict: str = ""
    position: int = 0
    """Only what is wrong at this position."""
    below: str = ""
    """Only what lies below this directory."""
    search: str = ""
    """Only paths that contain this text."""


def read_page(
    comparison_id: int, divergence_filter: DivergenceFilter, after: str = "", limit: int = 100
) -> DivergencePage:
    """Return a page of divergences in the order of their paths. Raise InvalidPageToken for an `after` that is none."""
    return _read_page(_filter_parameters(comparison_id, divergence_filter), after, limit)


def read_directory_page(
    comparison_id: int, divergence_filter: DivergenceFilter, after: str = "", limit: int = 100
) -> DivergencePage:
    """Return a page of the divergences directly in the directory of the filter. Raise as `read_page` does."""
    parameters = _filter_parameters(comparison_id, divergence_filter) | {
        "name_offset": len(divergence_filter.below) + 1
    }
    return _read_page(parameters, after, limit)


def read_finding_page(finding_id: int, after: str = "", limit: int = 100) -> DivergencePage:
    """Return a page of the divergences that belong to a finding. Raise as `read_page` does."""
    return _read_page({"finding": finding_id}, after, limit)


def read_divergence(comparison_id: int, path: str, table: str = STORED_TABLE) -> DivergenceRow | None:
    """Return the divergence of one path, or None when it is the same everywhere. `table` may be GATHERED_TABLE."""
    page = _read_page({"comparison": comparison_id, "exact": path}, "", 1, table)
    return page.rows[0] if page.rows else None


def read_divergences(comparison_id: int, paths: Sequence[str]) -> dict[str, DivergenceRow]:
    """Return the divergences of some paths. Those that are the same everywhere are left out."""
    parameters = {
        "comparison": comparison_id,
        "among": list(paths),
        "beginnings": [path[:512] for path in paths],
    }
    return {row.path: row for row in _read_page(parameters, "", len(paths)).rows}


def iterate_divergences(comparison_id: int, divergence_filter: DivergenceFilter) -> Iterator[DivergenceRow]:
    """Yield all divergences of a choice in the order of their paths. Memory stays flat."""
    parameters = NO_FILTER | _filter_parameters(comparison_id, divergence_filter)
    for rows in fetch_batches(statement("divergence_page", table=STORED_TABLE), parameters):
        for row in rows:
            yield _divergence_row(row)


def read_subdirectories(
    comparison_id: int, divergence_filter: DivergenceFilter, participants: int, after: str = "", limit: int = 100
) -> keyset.Page[DirectorySummary]:
    """Return a page of the directories directly below that of the filter in which something diverges.

    `participants` is how many the comparison has. Raise as `read_page` does.
    """
    # Directories are bounded like paths: each one below that of the filter begins with it.
    bounds: dict[str, Any] = {"lower": "", "upper": None} | keyset.prefix_bounds(divergence_filter.below)
    if after:
        bounds["lower"] = max(keyset.read_path_token(after), divergence_filter.below)

    parameters: dict[str, Any] = bounds | {
        "comparison": comparison_id,
        "depth": divergence_filter.below.count("/") + 1,
        "kinds": list(divergence_filter.kinds) or None,
        "position": divergence_filter.position or None,
        "only_damaged": divergence_filter.verdict == Divergence.PathVerdict.DAMAGED,
        "limit": limit + 1,
    }
    sums_wrong = [f"sum(wrong[{position}])" for position in range(1, participants + 1)]
    subdirectories = statement("subdirectories", sums=", ".join(["sum(damaged)", *sums_wrong]))

    rows = []
    for directory, counts, damaged, *wrong in fetch_all(subdirectories, parameters):
        rows.append(DirectorySummary(directory, counts, int(damaged), [int(number) for number in wrong]))
    return keyset.cut_page(rows, limit, lambda summary: keyset.key_behind(summary.directory))


NO_FILTER: dict[str, Any] = ENTRY_TYPES | {
    "comparison": None,
    "finding": None,
    "kind": None,
    "kinds": None,
    "verdict": None,
    "position": None,
    "lower": None,
    "upper": None,
    "search": None,
    "exact": None,
    "among": None,
    "beginnings": None,
    "name_offset": None,
    "limit": None,
}
"""The parameters of `divergence_page` that choose everything."""


def _filter_parameters(comparison_id: int, divergence_filter: DivergenceFilter) -> dict[str, Any]:
    parameters: dict[str, Any] = {"comparison": comparison_id, **keyset.prefix_bounds(divergence_filter.below)}
    # One kind is asked for with `=`, so that its index gives the rows in the order of their paths.
    if len(divergence_filter.kinds) == 1:
        parameters["kind"] = divergence_filter.kinds[0]
    elif divergence_filter.kinds:
        parameters["kinds"] = list(divergence_filter.kinds)

    if divergence_filter.verdict:
        parameters["verdict"] = divergence_filter.verdict
    if divergence_filter.position:
        parameters["position"] = divergence_filter.position
    if divergence_filter.search:
        parameters["search"] = like_pattern(divergence_filter.search)
    return parameters


def _read_page(parameters: dict[str, Any], after: str, limit: int, table: str = STORED_TABLE) -> DivergencePage:
    parameters = NO_FILTER | parameters | {"limit": limit + 1}

    # The next page begins at a bound behind the last path, but never before the directory that is asked for.
    if after:
        parameters["lower"] = max(keyset.read_path_token(after), parameters["lower"] or "")

    rows = [_divergence_row(row) for row in fetch_all(statement("divergence_page", table=table), parameters)]
    return keyset.cut_page(rows, limit, lambda row: keyset.key_behind(row.path))


def _divergence_row(row: Sequence[Any]) -> DivergenceRow:
    path, kind, verdict, cells, judged, others, alike, current, since, finding = row
    return DivergenceRow(path, kind, verdict, cells, judged, others or {}, alike, current, since, finding)
