"""Build the grid of groups and servers: the status of each group on each server in a cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checker.pages.status import Status
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import number
from scanner.models import Group, Server

if TYPE_CHECKING:
    from checker.pages.replica_row import ReplicaRow

GroupOrServer = TypeVar("GroupOrServer", Group, Server)

MAX_LEVEL_HEADS = 5
"""With more columns than this, the heads of columns are written upright."""
MAX_COLUMNS = 24
"""Columns that a screen of 1,280 pixels holds. There may be as many rows as needed."""


class GridHead(NamedTuple):
    """A group or a server at the head of a row or a column."""

    name: str
    url: str


class GridCell(NamedTuple):
    """A group on a server, with the status of the worst of its replicas there."""

    status: Status
    replica_count: int
    url: str
    """Leads to the replica, or to the group's replicas on the server's page when there are several."""
    label: str
    """Group, server, status and the worst reason in words; plain text."""


class GridRow(NamedTuple):
    """A row of the grid. A cell without a replica is None."""

    head: GridHead
    cells: list[GridCell | None]


class Grid(NamedTuple):
    """Groups down and servers across, the urgent ones first. Transposed where only then the columns find room."""

    columns: list[GridHead]
    rows: list[GridRow]
    is_transposed: bool

    @property
    def group_count(self) -> int:
        """Return how many groups the grid holds."""
        return len(self.columns if self.is_transposed else self.rows)

    @property
    def server_count(self) -> int:
        """Return how many servers the grid holds."""
        return len(self.rows if self.is_transposed else self.columns)

    @property
    def has_upright_heads(self) -> bool:
        """Return whether the heads of columns are written upright."""
        return len(self.columns) > MAX_LEVEL_HEADS

    @property
    def scrolls(self) -> bool:
        """Return whether there are more columns than a screen holds, either way: then the grid scrolls in a frame."""
        return len(self.columns) > MAX_COLUMNS


def build_grid(rows: Sequence[ReplicaRow]) -> Grid:
    """Return the grid of these replicas, which come with the worst first."""
    by_place: dict[tuple[int, int], list[ReplicaRow]] = {}
    for row in rows:
        place = (row.replica.group_id, row.replica.server_id)
        by_place.setdefault(place, []).append(row)

    groups = _urgent_first(rows, lambda row: row.replica.group)
    servers = _urgent_first(rows, lambda row: row.replica.server)

    # Each name and each head is made once: a grid has hundreds of cells.
    items: list[Group | Server] = [*groups, *servers]
    names = {item: visible_text(item.name) for item in items}
    cells = {place: _cell(place_rows, names) for place, place_rows in by_place.items()}
    group_heads = [GridHead(group.name, reverse("group", args=[group.uuid])) for group in groups]
    server_heads = [GridHead(server.name, reverse("server", args=[server.uuid])) for server in servers]

    # Rows may be many, columns may not: the shorter side goes across.
    if len(servers) > MAX_COLUMNS and len(servers) > len(groups):
        server_rows = [
            GridRow(head, [cells.get((group.pk, server.pk)) for group in groups])
            for head, server in zip(server_heads, servers, strict=True)
        ]
        return Grid(group_heads, server_rows, is_transposed=True)

    group_rows = [
        GridRow(head, [cells.get((group.pk, server.pk)) for server in servers])
        for head, group in zip(group_heads, groups, strict=True)
    ]
    return Grid(server_heads, group_rows, is_transposed=False)


def _urgent_first(rows: Sequence[ReplicaRow], item_of: Callable[[ReplicaRow], GroupOrServer]) -> list[GroupOrServer]:
    """Return the groups or the servers of the rows, in the order of their worst status, then of their names."""
    # The first row that names an item has its worst status.
    worst: dict[GroupOrServer, int] = {}
    for row in rows:
        worst.setdefault(item_of(row), row.assessment.status.urgency)
    return sorted(worst, key=lambda item: (worst[item], item.name))


def _cell(rows: list[ReplicaRow], names: dict[Group | Server, str]) -> GridCell:
    worst = rows[0]
    group = worst.replica.group
    server = worst.replica.server
    status = worst.assessment.status
    values = {"group": names[group], "server": names[server], "state": status.label, "n": number(len(rows))}

    if len(rows) == 1:
        url = reverse("replica", args=[worst.replica.uuid])
        text = _("%(group)s on %(server)s: %(state)s")
    else:
        url = f"{reverse('server', args=[server.uuid])}#group-{group.pk}"
        text = ngettext(
            "%(group)s on %(server)s, %(n)s replica: %(state)s",
            "%(group)s on %(server)s, %(n)s replicas: %(state)s",
            len(rows),
        )

    # Colour alone tells nothing to a screen reader, so a cell has its reason in words.
    label = text % values
    if worst.assessment.reasons:
        label = f"{label}. {worst.assessment.reasons[0].text}"
    return GridCell(status, len(rows), url, label)
