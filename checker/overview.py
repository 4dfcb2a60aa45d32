"""The overview: groups and their replicas, what is urgent first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from django.db.models import Q

from checker import facts
from checker.states import Facts, State, Verdict, due, judge
from scanner.models import Group, Progress, Replica, Server

if TYPE_CHECKING:
    from checker.facts import Found


class Tick(NamedTuple):
    """A run in the strip of the newest ones."""

    sequence: int
    state: State
    x: int
    """Where its bar begins; bars are 8 apart."""

    @property
    def height(self) -> int:
        """Of its bar, so that colour is not all that tells states apart."""
        return {State.PROVEN: 16, State.DAMAGED: 13, State.HELD: 13, State.ATTENTION: 10, State.UNKNOWN: 4}[self.state]

    @property
    def y(self) -> int:
        """Where its bar hangs: all stand on one line."""
        return 17 - self.height


class Line(NamedTuple):
    """A replica on the overview."""

    facts: Facts
    verdict: Verdict
    due: datetime | None
    last_proven: datetime | None
    ticks: list[Tick]
    running: Progress | None

    @property
    def replica(self) -> Replica:
        """Whose line this is."""
        return self.facts.replica


class Section(NamedTuple):
    """A group on the overview, in the state of its worst replica."""

    group: Group
    state: State
    lines: list[Line]


class Total(NamedTuple):
    """How many replicas are in a state."""

    state: State
    number: int


class Overview(NamedTuple):
    """All that the first page shows."""

    sections: list[Section]
    totals: list[Total]
    """Of all replicas, not only of those shown."""
    empty_groups: list[Group]
    """Groups that are kept nowhere yet."""

    @property
    def total(self) -> int:
        """All replicas."""
        return sum(total.number for total in self.totals)


class Running(NamedTuple):
    """The runs that go on now."""

    progress: list[Progress]

    @property
    def key(self) -> str:
        """Text that changes when a run begins or ends."""
        return ",".join(sorted(str(one.uuid) for one in self.progress))


def overview(now: datetime, name: str = "", state: str = "") -> Overview:
    """Groups, most urgent first; of those only the replicas whose group, server or root contains `name`, in `state`."""
    lines = list_lines(facts.replicas(), now)
    count = Counter(one.verdict.state for one in lines)
    chosen = [one for one in lines if _is_named(one.replica, name) and state in ("", one.verdict.state)]
    groups: dict[Group, list[Line]] = {}
    for one in sorted(chosen, key=lambda one: (one.verdict.state.urgency, one.replica.server.name, one.replica.root)):
        groups.setdefault(one.replica.group, []).append(one)
    sections = [Section(group, members[0].verdict.state, members) for group, members in groups.items()]
    sections.sort(key=lambda section: (section.state.urgency, section.group.name))
    totals = [Total(each, count[each]) for each in State]
    return Overview(sections, totals, [] if state else _empty_groups(name))


def list_lines(found: Iterable[Found], now: datetime) -> list[Line]:
    """The lines of replicas of `facts.replicas()`, in its order."""
    found = list(found)
    return [_line(replica, its, now) for replica, its in zip(found, facts.facts(found, now), strict=True)]


def _line(replica: Found, its: Facts, now: datetime) -> Line:
    ticks = [Tick(run["sequence"], _tick(run), 8 * at) for at, run in enumerate(reversed(replica.strip))]
    expected = due(replica, its.complete) if replica.enabled else None
    return Line(its, judge(its), expected, replica.last_proven, ticks, facts.running(replica, now))


def running(now: datetime) -> Running:
    """The runs that go on now, the one begun first on top."""
    alive = Progress.objects.filter(updated_at__gt=now - facts.ALIVE).select_related(
        "replica__group", "replica__server"
    )
    return Running(list(alive.order_by("started_at", "uuid")))


def _tick(run: dict[str, object]) -> State:
    if run["state"] == "received" or (run["state"] == "ingested" and run["proven"] is None):
        return State.UNKNOWN
    if run["proven"] is False:
        return State.DAMAGED
    return State.ATTENTION if run["state"] != "ingested" or run["errors"] else State.PROVEN


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
