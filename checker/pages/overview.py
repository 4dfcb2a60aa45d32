"""The overview: groups and their replicas, what is urgent first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import Q

from checker.pages import replica_facts, status_grid
from checker.pages.replica_row import ReplicaRow, Tick
from checker.pages.status import ReplicaFacts, Status, assess
from scanner.intervals import next_run_due
from scanner.models import Group, Progress, Replica, Server

if TYPE_CHECKING:
    from checker.pages.replica_facts import AnnotatedReplica

LINES = 120
"""Replicas that the first page shows in a line each, the urgent ones first; the others stand in its grid."""
FEW = 20
"""So few lines that nothing of them need be folded."""


class Section(NamedTuple):
    """A group on the overview, in the state of its worst replica."""

    group: Group
    state: Status
    lines: list[ReplicaRow]
    more: int = 0
    """Its replicas for whose lines there was no room."""


class Total(NamedTuple):
    """How many replicas are in a state."""

    state: Status
    number: int


class Overview(NamedTuple):
    """All that the first page shows."""

    grid: status_grid.Grid
    sections: list[Section]
    totals: list[Total]
    """Of all replicas, not only of those shown."""
    empty_groups: list[Group]
    """Groups that are kept nowhere yet."""

    @property
    def total(self) -> int:
        """All replicas."""
        return sum(total.number for total in self.totals)

    @property
    def open(self) -> list[Section]:
        """Groups of which something is not proven."""
        return [section for section in self.sections if section.state != Status.PROVEN]

    @property
    def proven(self) -> list[Section]:
        """Groups of which all that is shown is proven."""
        return [section for section in self.sections if section.state == Status.PROVEN]

    @property
    def few(self) -> bool:
        """Whether everything can be shown unfolded."""
        return sum(len(section.lines) + section.more for section in self.sections) <= FEW


class Running(NamedTuple):
    """The runs that go on now."""

    progress: list[Progress]

    @property
    def key(self) -> str:
        """Text that changes when a run begins or ends."""
        return ",".join(sorted(str(one.uuid) for one in self.progress))


def overview(now: datetime, name: str = "", state: str = "") -> Overview:
    """Groups, most urgent first; of those only the replicas whose group, server or root contains `name`, in `state`."""
    lines = _lines(replica_facts.replicas_in_use(), now)
    count = Counter(one.assessment.status for one in lines)
    chosen = [one for one in lines if _is_named(one.replica, name) and state in ("", one.assessment.status)]
    chosen.sort(key=_urgency)
    totals = [Total(each, count[each]) for each in Status]
    return Overview(status_grid.grid(chosen), _sections(chosen), totals, [] if state else _empty_groups(name))


def of_server(server: Server, now: datetime) -> list[Section]:
    """What a server keeps, by group, most urgent first: every replica of it that is in use, with its group."""
    replicas = replica_facts.all_replicas().filter(server=server, archived_at=None, group__archived_at=None)
    lines = _lines(replicas, now)
    return _sections(sorted(lines, key=_urgency), len(lines))


def _urgency(one: ReplicaRow) -> tuple[int, str, str]:
    return one.assessment.status.urgency, one.replica.server.name, one.replica.root


def _sections(chosen: list[ReplicaRow], room: int = LINES) -> list[Section]:
    """Groups, most urgent first, with as many lines as there is room for: what is not proven comes before what is."""
    groups: dict[Group, list[ReplicaRow]] = {}
    for one in chosen:
        groups.setdefault(one.replica.group, []).append(one)
    members = sorted(groups.values(), key=lambda some: (some[0].assessment.status.urgency, some[0].replica.group.name))
    ranked = sorted((one for some in members for one in some), key=lambda one: one.assessment.status == Status.PROVEN)
    shown = {one.replica.pk: one for one in _with_strips(ranked[:room])}
    sections = []
    for some in members:
        lines = [shown[one.replica.pk] for one in some if one.replica.pk in shown]
        sections.append(Section(some[0].replica.group, some[0].assessment.status, lines, len(some) - len(lines)))
    return sections


def replica_rows(found: Iterable[AnnotatedReplica], now: datetime) -> list[ReplicaRow]:
    """The lines of replicas of `facts.replicas()`, in its order."""
    return _with_strips(_lines(found, now))


def _lines(found: Iterable[AnnotatedReplica], now: datetime) -> list[ReplicaRow]:
    found = list(found)
    return [
        _line(replica, its, now) for replica, its in zip(found, replica_facts.collect_facts(found, now), strict=True)
    ]


def _line(replica: AnnotatedReplica, its: ReplicaFacts, now: datetime) -> ReplicaRow:
    expected = next_run_due(replica, its.complete) if replica.enabled else None
    return ReplicaRow(its, assess(its), expected, replica.last_proven, [], replica_facts.current_progress(replica, now))


def _with_strips(lines: list[ReplicaRow]) -> list[ReplicaRow]:
    """The same lines with their newest runs, which cost more than all the rest: for what is shown alone."""
    strips = replica_facts.newest_runs([one.replica.pk for one in lines])
    return [one._replace(ticks=_ticks(strips.get(one.replica.pk, []))) for one in lines]


def _ticks(newest: list[dict[str, Any]]) -> list[Tick]:
    return [Tick(run["sequence"], _tick(run), 8 * at) for at, run in enumerate(reversed(newest))]


def running(now: datetime) -> Running:
    """The runs that go on now, the one begun first on top."""
    alive = Progress.objects.filter(updated_at__gt=now - replica_facts.PROGRESS_TIMEOUT).select_related(
        "replica__group", "replica__server"
    )
    return Running(list(alive.order_by("started_at", "uuid")))


def _tick(run: dict[str, Any]) -> Status:
    if run["state"] == "received" or (run["state"] == "ingested" and run["proven"] is None):
        return Status.UNKNOWN
    if run["proven"] is False:
        return Status.DAMAGED
    return Status.ATTENTION if run["state"] != "ingested" or run["errors"] else Status.PROVEN


def _is_named(replica: Replica, name: str) -> bool:
    name = name.casefold()
    return any(name in text.casefold() for text in (replica.group.name, replica.server.name, replica.root))


def _empty_groups(name: str) -> list[Group]:
    here = Q(replicas__archived_at=None, replicas__isnull=False)
    return list(Group.objects.filter(archived_at=None, name__icontains=name).exclude(here).order_by("name"))


class FirstSteps(NamedTuple):
    """What is done of what must be done before the first run can arrive."""

    group: bool
    server: bool
    replica: bool
    enrolled: bool

    @property
    def done(self) -> bool:
        """Whether only the run itself is missing."""
        return all(self)


def first_steps() -> FirstSteps:
    """How far the set-up has come."""
    servers = Server.objects.filter(archived_at=None)
    return FirstSteps(
        Group.objects.filter(archived_at=None).exists(),
        servers.exists(),
        Replica.objects.filter(archived_at=None).exists(),
        servers.filter(keys__revoked_at=None, keys__isnull=False).exists(),
    )
