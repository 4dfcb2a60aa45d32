"""Read duplicates: contents that a replica has more than once, by what they waste, and their paths.

One pass over the state of each replica groups its files by digest. Each replica of a group is grouped by itself, since
one copy on each is what the group is for; what the replicas waste is then added up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.db import connection, transaction

from checker.changes.kinds import EMPTY_SHA256
from checker.duplicates.places import Place
from scanner.db import keyset
from scanner.db.sql import fetch_batches, like_pattern, load_statements
from scanner.format.entry_type import EntryType
from scanner.models import Run

statement = load_statements(__file__)


class DuplicateFilter(NamedTuple):
    """The contents that a list is to have."""

    search: str = ""
    """Part of a path."""
    min_waste: int = 0
    """Bytes that a content wastes at least."""
    max_contents: int | None = None
    """Only the first ones; None for all. Pages have a limit of their own."""


class Totals(NamedTuple):
    """Sums over all contents of a list."""

    contents: int
    extra: int
    """Copies that a replica could do without."""
    waste: int
    """Their bytes."""
    unsized: int
    """Contents of which a size is not known."""


class ContentPath(NamedTuple):
    """A path of a content."""

    path: str
    hardlink: str | None
    """The first path of the same file, for a path that takes no space of its own."""


class Holding(NamedTuple):
    """A content as one replica has it."""

    run: Run
    copies: int
    number: int
    """Paths, hard links among them."""
    names: list[ContentPath]
    """The first of these paths."""

    @property
    def left_out(self) -> int:
        """Paths that are not among `names`."""
        return self.number - len(self.names)


class Content(NamedTuple):
    """A content that some replica has more than once."""

    sha256: str
    size: int | None
    extra: int
    """Copies that a replica could do without."""
    waste: int
    """Their bytes."""
    paths: int
    """Different paths, all replicas together."""
    holdings: list[Holding]

    @property
    def copies(self) -> int:
        """Copies on all replicas together. Hard links do not count."""
        return sum(holding.copies for holding in self.holdings)


class ContentPage(NamedTuple):
    """A page of contents."""

    rows: list[Content]
    after: str
    """The token of the next page; empty on the last one."""
    totals: Totals
    """Of all pages together."""


class DuplicatePath(NamedTuple):
    """A path with its content, as a file lists it."""

    sha256: str
    size: int | None
    extra: int
    waste: int
    run: Run
    path: str
    hardlink: str | None


CONTENTS = """
SELECT sha256, min(size) AS smallest, max(size) AS size, count(*) FILTER (WHERE detail IS NULL) AS copies,
    %(search)s IS NULL OR bool_or(path LIKE %(search)s) AS matches
FROM state_at(%(replica{position})s, %(sequence{position})s)
WHERE type = %(file)s AND size IS DISTINCT FROM 0 AND sha256 <> decode(%(empty_sha256)s, 'hex')
GROUP BY sha256
HAVING count(*) FILTER (WHERE detail IS NULL) > 1
"""
"""The contents that one replica has more than once.

The size is no key of the groups: one key is hashed faster, and equal contents have equal sizes. A server that reports
two sizes for one digest has its copies counted with the larger one.
"""
FILES = """
SELECT {position} AS position, sha256, path, detail
FROM state_at(%(replica{position})s, %(sequence{position})s)
WHERE type = %(file)s AND size IS DISTINCT FROM 0 AND sha256 <> decode(%(empty_sha256)s, 'hex')
"""
"""All files of one replica that are not empty."""
FILES_OF_CONTENTS = """
SELECT {position} AS position, sha256, path, detail
FROM state_at(%(replica{position})s, %(sequence{position})s)
WHERE type = %(file)s AND sha256 = ANY(%(contents)s)
    AND (%(sizes)s::bigint[] IS NULL OR coalesce(-size, 1) = ANY(%(sizes)s::bigint[]))
"""
"""The files of one replica that have one of some contents. The index by size leads to them."""

NO_SIZE = 1
"""What the index by size, which has negative sizes, holds for a file of unknown size."""

# A million digests are grouped in five pieces or fewer, whatever the server's own settings are; more memory is not
# faster. To compile so many expressions would take longer than it saves.
SET_MEMORY = "SET LOCAL work_mem = '32MB'; SET LOCAL jit = off"
# No statistics tell how many contents are duplicates. Guessed far too low, they would be looked through again for each
# of all files; the more so for a cursor, of which the planner thinks that nobody reads it to its end.
SET_WHOLE = "SET LOCAL enable_nestloop = off; SET LOCAL cursor_tuple_fraction = 1"


def read_page(
    place: Place,
    duplicate_filter: DuplicateFilter = DuplicateFilter(),  # noqa: B008  # it is immutable
    after: str = "",
    limit: int = 50,
    names: int = 20,
) -> ContentPage:
    """Return a page of contents by what they waste, the most first, each with so many paths of each replica.

    `duplicate_filter.max_contents` is ignored. A `limit` of 0 gives the totals alone. Raise InvalidPageToken for an
    `after` that no page gave.
    """
    if not place.runs:
        return ContentPage([], "", Totals(0, 0, 0, 0))

    parameters = _parameters(place, duplicate_filter) | {
        "limit": limit + 1,
        "waste": None,
        "extra": None,
        "sha256": None,
    }
    if after:
        parameters |= keyset.read_waste_token(after)

    with transaction.atomic():
        # The totals stand in each row; without contents there is one row, which has nothing else.
        rows_with_totals = _fetch(statement("list_contents", contents=_for_each_run(CONTENTS, place)), parameters)
        totals = Totals(*map(int, rows_with_totals[0][:4]))
        rows = [row[4:] for row in rows_with_totals if row[4] is not None]
        contents = _add_paths(place, rows[:limit], names)

    if not contents or len(rows) <= limit:
        return ContentPage(contents, "", totals)

    last = contents[-1]
    return ContentPage(contents, keyset.page_token([last.waste, last.extra, last.sha256]), totals)


def iterate_paths(
    place: Place,
    duplicate_filter: DuplicateFilter = DuplicateFilter(),  # noqa: B008  # it is immutable
) -> Iterator[DuplicatePath]:
    """Yield all paths of all contents that pass the filter, by what the contents waste. Memory stays flat."""
    if not place.runs:
        return

    text = statement("list_paths", contents=_for_each_run(CONTENTS, place), files=_for_each_run(FILES, place))
    parameters = _parameters(place, duplicate_filter) | {"limit": duplicate_filter.max_contents}
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(SET_MEMORY)
            cursor.execute(SET_WHOLE)

        for rows in fetch_batches(text, parameters):
            for sha256, size, extra, waste, position, path, hardlink in rows:
                yield DuplicatePath(sha256, size, int(extra), int(waste), place.runs[position], path, hardlink)


def _add_paths(place: Place, rows: list[tuple[Any, ...]], names: int) -> list[Content]:
    """Return the contents of a page with what each replica has of them."""
    if not rows:
        return []

    holdings: dict[bytes, dict[int, Holding]] = {}
    path_counts: dict[bytes, int] = {}
    text = statement("list_paths_of_contents", files=_for_each_run(FILES_OF_CONTENTS, place))
    parameters = _parameters(place, DuplicateFilter()) | {
        "contents": [bytes(row[0]) for row in rows],
        "sizes": _index_keys(rows),
        "names": names,
    }

    for sha256, paths, position, copies, number, path, hardlink in _fetch(text, parameters):
        path_counts[bytes(sha256)] = paths
        of_content = holdings.setdefault(bytes(sha256), {})
        holding = of_content.setdefault(position, Holding(place.runs[position], copies, number, []))
        holding.names.append(ContentPath(path, hardlink))

    contents = []
    for sha256, _smallest, size, extra, waste in rows:
        key = bytes(sha256)
        content = Content(key.hex(), size, int(extra), int(waste), path_counts[key], list(holdings[key].values()))
        contents.append(content)
    return contents


def _index_keys(rows: list[tuple[Any, ...]]) -> list[int] | None:
    """Return the keys by which the index by size leads to some contents; None when one of them has no size at all."""
    keys = {NO_SIZE}
    for _sha256, smallest, largest, *_others in rows:
        if smallest is None or largest is None:
            return None
        keys |= {-smallest, -largest}
    return sorted(keys)


def _for_each_run(query: str, place: Place) -> str:
    """Return a query over the states of all runs of a place; `position` is the index of the run."""
    return " UNION ALL ".join(f"({query.format(position=position)})" for position in range(len(place.runs)))


def _parameters(place: Place, duplicate_filter: DuplicateFilter) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "file": EntryType.FILE.value,
        "empty_sha256": EMPTY_SHA256,
        "min_waste": duplicate_filter.min_waste,
        "search": like_pattern(duplicate_filter.search) if duplicate_filter.search else None,
    }
    for position, run in enumerate(place.runs):
        parameters[f"replica{position}"] = run.replica_id
        parameters[f"sequence{position}"] = run.sequence
    return parameters


def _fetch(text: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return all rows of a query. Call in a transaction, which the settings belong to."""
    with connection.cursor() as cursor:
        cursor.execute(SET_MEMORY)
        cursor.execute(text, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
