"""What the page of a group shows: its replicas side by side, which of them to look at, and what they differ in."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checker.divergences import queries
from checker.divergences.evidence import ComparisonContext, build_evidence
from checker.divergences.listing import DivergenceListQuery
from checker.divergences.queries import DirectorySummary, DivergenceRow
from checker.findings.text import replicas
from checker.models import Divergence, GroupComparison, Participant
from checker.pages.replica_row import ReplicaRow
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import number

PAGE = 100
"""Rows on a page."""
Cell, Copy = Divergence.Cell, Divergence.CopyVerdict
SIGNS = {
    Copy.GOOD: "✓", Copy.DAMAGED: "✗", Copy.NEWER: "▲", Copy.OLDER: "▽", Copy.UNSURE: "≠", Cell.HERE: "=",
    Cell.LOST: "−", Cell.UNSEEN: "?", Cell.UNREADABLE: "!", Cell.MOVED: "→", Cell.UNWANTED: "·", Cell.ALLOWED: "~",
}  # fmt: skip
"""A sign for each, so that colour is not all that tells them apart."""


class Seat(NamedTuple):
    """A replica in its column."""

    participant: Participant
    name: str
    """Its server's; where the server has several replicas in the group, the root's as well."""
    line: ReplicaRow | None
    """Its state, and why; None for one that has left since."""
    damaged: int
    lost: int
    unknown: int


class Square(NamedTuple):
    """What a path is on a replica."""

    name: str
    """For its colour."""
    sign: str
    label: str
    other: str | None
    """Another path there."""


class Told(NamedTuple):
    """A divergence with its squares, and what speaks for them."""

    row: DivergenceRow
    squares: list[Square]
    reasons: list[str]


class Branch(NamedTuple):
    """A directory, folded, with how many paths are wrong on each replica."""

    level: DirectorySummary
    query: str


class Matrix(NamedTuple):
    """A page of the matrix of paths and replicas."""

    branches: list[Branch]
    rows: list[Told]
    more: str
    """The address of the next page; empty on the last."""


def seats(comparison: GroupComparison, lines: list[ReplicaRow]) -> list[Seat]:
    """The columns."""
    by_replica = {line.replica.pk: line for line in lines}
    found = comparison.participants.select_related("replica__server", "replica__group", "run")
    on_server = Counter(one.replica.server_id for one in found)
    return [_seat(one, on_server[one.replica.server_id] > 1, by_replica.get(one.replica_id)) for one in found]


def _seat(one: Participant, has_sister: bool, line: ReplicaRow | None) -> Seat:
    server = one.replica.server.name
    name = f"{server}:{one.replica.root}" if has_sister else server
    many = one.counts.get
    unknown = many(Cell.UNSEEN, 0) + many(Cell.UNREADABLE, 0)
    return Seat(one, name, line, many(Copy.DAMAGED, 0), many(Cell.LOST, 0), unknown)


def look_at(columns: list[Seat]) -> str:
    """Which server to look at first, in one sentence; empty when none stands out."""
    ranked = sorted(columns, key=lambda seat: (seat.damaged, seat.lost, seat.unknown), reverse=True)
    if not ranked or not ranked[0].damaged + ranked[0].lost + ranked[0].unknown:
        return ""
    worst = ranked[0]
    found = (
        (worst.damaged, ngettext("%(n)s damaged copy", "%(n)s damaged copies", worst.damaged)),
        (worst.lost, ngettext("%(n)s missing path", "%(n)s missing paths", worst.lost)),
        (worst.unknown, ngettext("%(n)s unknown path", "%(n)s unknown paths", worst.unknown)),
    )
    what = ", ".join(text % {"n": number(many)} for many, text in found if many)
    return _("Check %(server)s first: %(what)s.") % {"server": visible_text(worst.name), "what": what}


def matrix(comparison: GroupComparison, ask: DivergenceListQuery) -> Matrix:
    """A page of the matrix: of the tree directories until there are no more, then what lies directly in it.

    Empty where fewer than two replicas can be compared. keyset.BadToken for an `after` that is none.
    """
    context = ComparisonContext(comparison)
    if len(context.compared) < 2:
        return Matrix([], [], "")
    if not ask.is_tree:
        rows, after = queries.read_page(comparison.pk, ask.filter, ask.after, PAGE)
        return Matrix([], tell(context, rows), after and ask.query(after=after))
    branches: list[Branch] = []
    if not ask.after.startswith("."):
        levels, after = queries.read_subdirectories(comparison.pk, ask.filter, len(context.compared), ask.after, PAGE)
        branches = [Branch(level, ask.query(below=level.directory, after="")) for level in levels]
        if after:
            return Matrix(branches, [], ask.query(after=after))
    rows, after = queries.read_directory_page(comparison.pk, ask.filter, ask.after.removeprefix("."), PAGE)
    return Matrix(branches, tell(context, rows), after and ask.query(after="." + after))


def tell(context: ComparisonContext, rows: list[DivergenceRow]) -> list[Told]:
    """Divergences with what speaks for what is said of them."""
    lives = queries.read_path_histories(context.compared, [row.path for row in rows])
    told = []
    for row in rows:
        facts = build_evidence(context, row, lives.get(row.path, {}))
        squares = [_square(row, at) for at in range(1, len(row.cells) + 1)]
        told.append(Told(row, squares, replicas.describe_copies(row.kind, facts)))
    return told


def _square(row: DivergenceRow, at: int) -> Square:
    cell, judged = Cell(row.cells[at - 1]), row.judged[at - 1 : at].strip()
    said: Any = Copy(judged) if judged and cell == Cell.HERE else cell
    return Square(said.name.lower(), SIGNS[said], str(said.label), row.others.get(str(at)))
