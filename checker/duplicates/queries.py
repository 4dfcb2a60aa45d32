"""Reads of duplicates: contents that a replica holds more than once, by what they cost; and their names.

Nothing is stored: one pass over the state of each replica groups its files by digest. Within a group each replica is
grouped by itself, since one copy on each is the group's purpose; what the replicas waste is then added up.
"""

# ruff: noqa: S608  # statements are put together from this module's own constants; values travel as parameters

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.db import connection, transaction

from checker.duplicates.places import Place
from scanner.db import keyset
from scanner.db.sql import fetch_batches
from scanner.models import Run


class DuplicateFilter(NamedTuple):
    """Which contents: with this text in a path, wasting so many bytes at least, so many at most."""

    search: str = ""
    min_waste: int = 0
    max_contents: int | None = None


class Totals(NamedTuple):
    """What all contents cost together. `unsized` is the number of contents of which a size is not known."""

    contents: int
    extra: int
    waste: int
    unsized: int


class Name(NamedTuple):
    """A path of a content; `hardlink` is the first path of the same file, for a name that costs nothing."""

    path: str
    hardlink: str | None


class Holding(NamedTuple):
    """What a replica holds of a content. `names` are the first of all its `number` names, hard links among them."""

    run: Run
    copies: int
    number: int
    names: list[Name]

    @property
    def left_out(self) -> int:
        """Names that are not told."""
        return self.number - len(self.names)


class Content(NamedTuple):
    """A content that some replica holds more than once; `extra` are the copies that a replica could do without."""

    sha256: str
    size: int | None
    extra: int
    waste: int
    paths: int
    """Different paths, all replicas together."""
    holdings: list[Holding]

    @property
    def copies(self) -> int:
        """On all replicas together, hard links not counted."""
        return sum(holding.copies for holding in self.holdings)


class Contents(NamedTuple):
    """A page of contents; `after` asks for the next one and is empty on the last."""

    rows: list[Content]
    after: str
    totals: Totals


class DuplicatePath(NamedTuple):
    """A name with its content, as a file tells it."""

    sha256: str
    size: int | None
    extra: int
    waste: int
    run: Run
    name: Name


STATE = """replica_id = %(replica{0})s AND from_seq <= %(sequence{0})s
    AND (until_seq IS NULL OR until_seq > %(sequence{0})s) AND type = 1"""
NOT_EMPTY = f"size IS DISTINCT FROM 0 AND sha256 <> '\\x{hashlib.sha256(b'').hexdigest()}'"
COPIES = "count(*) FILTER (WHERE detail IS NULL)"
# Size is no key of the groups: one key is hashed faster, and equal content has equal size. Who reports two sizes for
# one digest has his copies counted with the larger one.
WITHIN = f"""
SELECT sha256, min(size) AS least, max(size) AS size, {COPIES} AS copies, {{found}} AS found
FROM scanner_version WHERE {STATE} AND {NOT_EMPTY} GROUP BY sha256 HAVING {COPIES} > 1
"""
FOUND = "bool_or(path LIKE %(search)s)"
# A size may be any 64-bit number that a server reports: a product of it needs more digits.
DUPLICATE = """
duplicate AS MATERIALIZED (
    SELECT sha256, min(least) AS least, max(size) AS size, sum(copies - 1) AS extra,
        coalesce(sum((copies - 1) * size::numeric), 0) AS waste, bool_or(size IS NULL) AS unsized
    FROM ({within}) AS one GROUP BY sha256
    HAVING bool_or(found) AND coalesce(sum((copies - 1) * size::numeric), 0) >= %(least)s
)
"""
ORDER = "waste DESC, extra DESC, sha256"
PAGE = f"""
WITH {DUPLICATE}, total AS (
    SELECT count(*), coalesce(sum(extra), 0), coalesce(sum(waste), 0), count(*) FILTER (WHERE unsized) FROM duplicate
)
SELECT total.*, page.* FROM total LEFT JOIN (
    SELECT sha256, least, size, extra, waste FROM duplicate WHERE {{after}} ORDER BY {ORDER} LIMIT %(limit)s
) AS page ON true ORDER BY {ORDER}
"""
AFTER = "(-waste, -extra, sha256) > (-(%(waste)s::numeric), -(%(extra)s::numeric), decode(%(sha256)s, 'hex'))"
# A million digests grouped in five pieces or fewer, whatever the server's own settings are; more is not faster. To
# compile so many expressions would take longer than it saves.
MEMORY = "SET LOCAL work_mem = '32MB'; SET LOCAL jit = off"


def read_page(
    place: Place,
    wish: DuplicateFilter = DuplicateFilter(),  # noqa: B008  # it is immutable
    after: str = "",
    limit: int = 50,
    names: int = 20,
) -> Contents:
    """Contents by waste, greatest first, each with so many names of each replica; keyset.BadToken for a wrong `after`.

    `wish.max_contents` is not looked at; a `limit` of 0 asks for the totals alone.
    """
    if not place.runs:
        return Contents([], "", Totals(0, 0, 0, 0))
    given = _given(place, wish) | {"limit": limit + 1} | (keyset.read_waste_token(after) if after else {})
    with transaction.atomic():
        found = _fetch(_statement(PAGE, place, wish, after=AFTER if after else "true"), given)
        totals = Totals(*map(int, found[0][:4]))
        rows = [row[4:] for row in found if row[4] is not None]
        contents = _contents(place, rows[:limit], names)
    if not contents or len(rows) <= limit:
        return Contents(contents, "", totals)
    last = contents[-1]
    return Contents(contents, keyset.page_token([last.waste, last.extra, last.sha256]), totals)


# The index by size leads to the few rows of a page; what has no size stands there as 1.
NAMES_WITHIN = f"""
SELECT {{0}} AS place, sha256, path, detail FROM scanner_version
WHERE {STATE} AND sha256 = ANY(%(contents)s) {{{{sizes}}}}
"""
SIZES = "AND coalesce(-size, 1) = ANY(%(sizes)s::bigint[])"
NAMES = f"""
WITH version AS MATERIALIZED ({{within}}), numbered AS (
    SELECT *, {COPIES} OVER whole AS copies, count(*) OVER whole AS number,
        row_number() OVER (PARTITION BY sha256, place ORDER BY left(path, 512), path) AS at
    FROM version WINDOW whole AS (PARTITION BY sha256, place)
)
SELECT sha256, paths, place, copies, number, path, detail FROM numbered
JOIN (SELECT sha256, count(DISTINCT path) AS paths FROM version GROUP BY sha256) AS content USING (sha256)
WHERE at <= %(names)s ORDER BY sha256, place, at
"""


def _contents(place: Place, rows: list[tuple[Any, ...]], names: int) -> list[Content]:
    """The contents of a page with what each replica holds of them."""
    if not rows:
        return []
    sizes = {size for _sha256, least, size, *_rest in rows for size in (least, size)}
    given = _given(place, DuplicateFilter()) | {"contents": [bytes(row[0]) for row in rows], "names": names}
    given["sizes"] = [1, *(-size for size in sizes if size is not None)]
    within = " UNION ALL ".join(NAMES_WITHIN.format(number) for number in range(len(place.runs)))
    within = within.format(sizes="" if None in sizes else SIZES)
    held: dict[bytes, dict[int, Holding]] = {}
    paths: dict[bytes, int] = {}
    for sha256, different, at, copies, number, path, detail in _fetch(NAMES.format(within=within), given):
        holdings = held.setdefault(bytes(sha256), {})
        paths[bytes(sha256)] = different
        holdings.setdefault(at, Holding(place.runs[at], copies, number, [])).names.append(Name(path, detail))
    return [
        Content(
            bytes(sha256).hex(), size, int(extra), int(waste), paths[bytes(sha256)], list(held[bytes(sha256)].values())
        )
        for sha256, _least, size, extra, waste in rows
    ]


ALL_WITHIN = f"SELECT {{0}} AS place, sha256, path, detail FROM scanner_version WHERE {STATE} AND {NOT_EMPTY}"
ALL = f"""
WITH {DUPLICATE}, chosen AS (SELECT * FROM duplicate ORDER BY {ORDER} LIMIT %(limit)s)
SELECT encode(sha256, 'hex'), size, extra, waste, place, path, detail
FROM chosen JOIN ({{names}}) AS version USING (sha256) ORDER BY {ORDER}, place, left(path, 512), path
"""
# How many contents are duplicates no statistics tell: guessed far too low, they would be looked through anew for each
# of all files, the more so for a cursor, of which the planner thinks that nobody reads it to its end.
WHOLE = "SET LOCAL enable_nestloop = off; SET LOCAL cursor_tuple_fraction = 1"


def iterate_paths(place: Place, wish: DuplicateFilter = DuplicateFilter()) -> Iterator[DuplicatePath]:  # noqa: B008  # it is immutable
    """All names of all contents that `wish` means, by waste, in flat memory."""
    if not place.runs:
        return
    names = " UNION ALL ".join(ALL_WITHIN.format(number) for number in range(len(place.runs)))
    given = _given(place, wish) | {"limit": wish.max_contents}
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"{MEMORY}; {WHOLE}")
        for rows in fetch_batches(_statement(ALL, place, wish, names=names), given):
            for sha256, size, extra, waste, at, path, detail in rows:
                yield DuplicatePath(sha256, size, int(extra), int(waste), place.runs[at], Name(path, detail))


def _statement(text: str, place: Place, wish: DuplicateFilter, **parts: str) -> str:
    found = FOUND if wish.search else "true"
    within = " UNION ALL ".join(f"({WITHIN.format(at, found=found)})" for at in range(len(place.runs)))
    return text.format(within=within, **parts)


def _given(place: Place, wish: DuplicateFilter) -> dict[str, Any]:
    given: dict[str, Any] = {"least": wish.min_waste}
    for number, run in enumerate(place.runs):
        given |= {f"replica{number}": run.replica_id, f"sequence{number}": run.sequence}
    if wish.search:
        literal = wish.search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        given["search"] = f"%{literal}%"
    return given


def _fetch(statement: str, given: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(MEMORY)
        cursor.execute(statement, given)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
