"""Read what the page of a group shows: its replicas side by side, where they differ, which server to check first."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checker.divergences import queries
from checker.divergences.evidence import ComparisonContext, build_evidence
from checker.divergences.listing import DivergenceListQuery
from checker.divergences.queries import DirectorySummary, DivergenceRow
from checker.findings.text import replicas
from checker.models import Divergence, GroupComparison, Participant
from checker.pages.replica_row import ReplicaRow
from checker.pages.status import Status
from scanner.formatting.names import short_text, visible_text
from scanner.formatting.numbers import number

PAGE_SIZE = 100
"""Rows on a page."""
ROWS_PREFIX = "."
"""Marks an `after` that points into the rows of a directory. Without it, `after` points into its subdirectories."""

Cell = Divergence.Cell
CopyVerdict = Divergence.CopyVerdict
SIGNS: dict[Divergence.Cell | Divergence.CopyVerdict, str] = {
    CopyVerdict.GOOD: "✓",
    CopyVerdict.DAMAGED: "✗",
    CopyVerdict.NEWER: "▲",
    CopyVerdict.OLDER: "▽",
    CopyVerdict.UNSURE: "≠",
    Cell.HERE: "=",
    Cell.LOST: "−",
    Cell.UNSEEN: "?",
    Cell.UNREADABLE: "!",
    Cell.MOVED: "→",
    Cell.UNWANTED: "·",
    Cell.ALLOWED: "~",
}
"""Signs of cells, so that they differ by more than their colour."""


class Column(NamedTuple):
    """A replica in its column."""

    participant: Participant
    name: str
    """Its server's name, with the root where the server has several replicas in the group."""
    row: ReplicaRow | None
    """Its status; None for a replica that is no longer in use."""
    damaged: int
    missing: int
    unknown: int


class MatrixCell(NamedTuple):
    """Cell of a path on a replica."""

    name: str
    """Decides its colour."""
    sign: str
    label: str
    other_path: str | None
    """Another path where the replica has the content."""


class MatrixRow(NamedTuple):
    """A divergence with its cells and what speaks for them."""

    divergence: DivergenceRow
    cells: list[MatrixCell]
    reasons: list[str]


class Directory(NamedTuple):
    """A directory with the number of wrong paths below it on each replica, and the address that opens it."""

    summary: DirectorySummary
    address: str


class Hold(NamedTuple):
    """A sentence about a replica on hold, and the page that shows more; empty where there is none."""

    text: str
    address: str


class Matrix(NamedTuple):
    """A page of the matrix of paths and replicas."""

    directories: list[Directory]
    rows: list[MatrixRow]
    next_page: str
    """Address of the next page; empty on the last one."""


def read_columns(comparison: GroupComparison, rows: list[ReplicaRow]) -> list[Column]:
    """Return the columns of a comparison in their order."""
    row_of = {row.replica.pk: row for row in rows}
    participants = comparison.participants.select_related("replica__server", "replica__group", "run")
    # A server's name says which replica it is, unless the server has several.
    replicas_on_server = Counter(participant.replica.server_id for participant in participants)

    return [
        _column(
            participant,
            with_root=replicas_on_server[participant.replica.server_id] > 1,
            row=row_of.get(participant.replica_id),
        )
        for participant in participants
    ]


def describe_holds(rows: list[ReplicaRow]) -> list[Hold]:
    """Return for each replica on hold why it is, and what that means for the others."""
    holds = []
    for row in rows:
        for reason in row.assessment.reasons:
            if reason.status != Status.HELD:
                continue
            values = {
                "replica": short_text(f"{row.replica.server.name}:{row.replica.root}"),
                "reason": reason.text.rstrip("."),
            }
            text = _(
                "%(replica)s is on hold: %(reason)s. Meanwhile it has no vote, and what only it has is missing "
                "nowhere else."
            )
            holds.append(Hold(text % values, reason.address))
    return holds


def first_server_to_check(columns: list[Column]) -> str:
    """Return one sentence that names the server to check first; empty when nothing is wrong on any of them."""
    if not columns:
        return ""

    # A damaged copy is worse than a missing one, and that is worse than one of which nothing is known.
    worst = max(columns, key=lambda column: (column.damaged, column.missing, column.unknown))
    counts = (
        (worst.damaged, ngettext("%(n)s damaged copy", "%(n)s damaged copies", worst.damaged)),
        (worst.missing, ngettext("%(n)s missing path", "%(n)s missing paths", worst.missing)),
        (worst.unknown, ngettext("%(n)s unknown path", "%(n)s unknown paths", worst.unknown)),
    )
    parts = [text % {"n": number(count)} for count, text in counts if count]
    if not parts:
        return ""

    values = {"server": visible_text(worst.name), "what": ", ".join(parts)}
    return _("Check %(server)s first: %(what)s.") % values


def read_matrix(comparison: GroupComparison, list_query: DivergenceListQuery) -> Matrix:
    """Return a page of the matrix.

    As a tree it has the subdirectories first, until there are no more, and then what lies directly in the directory.
    Empty where fewer than two replicas can be compared. Raise InvalidPageToken for an `after` that no page gave.
    """
    context = ComparisonContext(comparison)
    if len(context.compared) < 2:
        return Matrix([], [], "")
    if list_query.is_tree:
        return _tree_page(comparison, context, list_query)

    rows, after = queries.read_page(comparison.pk, list_query.filter, list_query.after, PAGE_SIZE)
    next_page = list_query.address(after=after) if after else ""
    return Matrix([], _matrix_rows(context, rows), next_page)


def _tree_page(comparison: GroupComparison, context: ComparisonContext, list_query: DivergenceListQuery) -> Matrix:
    directories: list[Directory] = []
    rows_after = ""
    if list_query.after.startswith(ROWS_PREFIX):
        rows_after = list_query.after.removeprefix(ROWS_PREFIX)
    else:
        summaries, after = queries.read_subdirectories(
            comparison.pk, list_query.filter, len(context.compared), list_query.after, PAGE_SIZE
        )
        # A directory is opened with the filters as they are.
        directories = [
            Directory(summary, list_query.address(below=summary.directory, after="")) for summary in summaries
        ]
        if after:
            return Matrix(directories, [], list_query.address(after=after))

    # The rows begin on the last page of subdirectories, so that a small directory is whole on one page.
    rows, after = queries.read_directory_page(comparison.pk, list_query.filter, rows_after, PAGE_SIZE)
    next_page = list_query.address(after=ROWS_PREFIX + after) if after else ""
    return Matrix(directories, _matrix_rows(context, rows), next_page)


def _column(participant: Participant, *, with_root: bool, row: ReplicaRow | None) -> Column:
    name = participant.replica.server.name
    if with_root:
        name = f"{name}:{participant.replica.root}"

    counts = participant.counts
    return Column(
        participant,
        name,
        row,
        damaged=counts.get(CopyVerdict.DAMAGED, 0),
        missing=counts.get(Cell.LOST, 0),
        unknown=counts.get(Cell.UNSEEN, 0) + counts.get(Cell.UNREADABLE, 0),
    )


def _matrix_rows(context: ComparisonContext, divergences: list[DivergenceRow]) -> list[MatrixRow]:
    """Return divergences with their cells and what speaks for them."""
    # One query for the whole page, not one for each path.
    paths = [divergence.path for divergence in divergences]
    histories = queries.read_path_histories(context.compared, paths, context.comparison.moment)

    rows = []
    for divergence in divergences:
        evidence = build_evidence(context, divergence, histories.get(divergence.path, queries.PathHistory()))
        reasons = replicas.describe_copies(divergence.kind, evidence)
        cells = [_cell(divergence, position) for position in range(1, len(divergence.cells) + 1)]
        rows.append(MatrixRow(divergence, cells, reasons))
    return rows


def _cell(divergence: DivergenceRow, position: int) -> MatrixCell:
    """Return the cell of a replica: the verdict on its copy where it has one, else what is there."""
    other_path = divergence.others.get(str(position))
    cell = Cell(divergence.cells[position - 1])
    # A slice and no index: paths that were not judged have no verdicts at all.
    verdict = divergence.judged[position - 1 : position].strip()

    if verdict and cell == Cell.HERE:
        copy = CopyVerdict(verdict)
        return MatrixCell(copy.name.lower(), SIGNS[copy], str(copy.label), other_path)
    return MatrixCell(cell.name.lower(), SIGNS[cell], str(cell.label), other_path)
