"""The grid of groups and servers: what is said of each group on each server, in a cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checker.pages.status import Status
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import number
from scanner.models import Group, Replica, Server

if TYPE_CHECKING:
    from checker.pages.replica_row import ReplicaRow

Head = TypeVar("Head", Group, Server)

UPRIGHT = 5
"""Columns up to which their heads lie; the heads of more of them stand upright."""
BROAD = 24
"""Columns up to which a screen of 1,280 pixels holds all of them; rows may be as many as there are."""


class Cell(NamedTuple):
    """A group on a server: the worst of its replicas there, and how many there are."""

    worst: Replica
    state: Status
    number: int
    label: str
    """Group, server, state and its worst reason in words; plain text."""


class Row(NamedTuple):
    """A line of the grid; a cell without a replica is None."""

    head: Group | Server
    cells: list[Cell | None]


class Grid(NamedTuple):
    """Groups down and servers across, the urgent ones first; turned when only then the columns find room."""

    columns: list[Group] | list[Server]
    rows: list[Row]
    turned: bool

    @property
    def groups(self) -> int:
        """How many groups it holds."""
        return len(self.columns if self.turned else self.rows)

    @property
    def servers(self) -> int:
        """How many servers it holds."""
        return len(self.rows if self.turned else self.columns)

    @property
    def upright(self) -> bool:
        """Whether the heads of the columns stand upright."""
        return len(self.columns) > UPRIGHT

    @property
    def broad(self) -> bool:
        """Whether the columns are more than a screen holds either way: then the grid moves in its own frame."""
        return len(self.columns) > BROAD


def grid(lines: Sequence[ReplicaRow]) -> Grid:
    """The grid of these replicas, which come with the worst first."""
    places: dict[tuple[int, int], list[ReplicaRow]] = {}
    for line in lines:
        places.setdefault((line.replica.group_id, line.replica.server_id), []).append(line)
    groups = _urgent_first(lines, lambda line: line.replica.group)
    servers = _urgent_first(lines, lambda line: line.replica.server)
    heads: list[Group | Server] = [*groups, *servers]
    names = {head: visible_text(head.name) for head in heads}
    cells = {place: _cell(some, names) for place, some in places.items()}
    if len(servers) > BROAD and len(servers) > len(groups):
        turned = [Row(server, [cells.get((group.pk, server.pk)) for group in groups]) for server in servers]
        return Grid(groups, turned, turned=True)
    rows = [Row(group, [cells.get((group.pk, server.pk)) for server in servers]) for group in groups]
    return Grid(servers, rows, turned=False)


def _urgent_first(lines: Sequence[ReplicaRow], head: Callable[[ReplicaRow], Head]) -> list[Head]:
    """The groups or the servers of the lines, in the order of their worst state, then of their names."""
    worst: dict[Head, int] = {}
    for line in lines:
        worst.setdefault(head(line), line.assessment.status.urgency)
    return sorted(worst, key=lambda one: (worst[one], one.name))


def _cell(lines: list[ReplicaRow], names: dict[Group | Server, str]) -> Cell:
    worst = lines[0]
    state, reasons = worst.assessment.status, worst.assessment.reasons
    about = {
        "group": names[worst.replica.group],
        "server": names[worst.replica.server],
        "state": state.label,
        "n": number(len(lines)),
    }
    label = _("%(group)s on %(server)s: %(state)s") % about
    if len(lines) > 1:
        text = ngettext(
            "%(group)s on %(server)s, %(n)s replica: %(state)s",
            "%(group)s on %(server)s, %(n)s replicas: %(state)s",
            len(lines),
        )
        label = text % about
    return Cell(worst.replica, state, len(lines), f"{label}. {reasons[0].text}" if reasons else label)
