"""Read the overview: groups and their replicas, the most urgent first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from django.db.models import Q

from checker.pages import replica_facts, run_status, status_grid
from checker.pages.replica_row import ReplicaRow, build_ticks
from checker.pages.status import ReplicaFacts, Status, assess
from scanner.intervals import next_run_due
from scanner.models import Group, Progress, Replica, Server

if TYPE_CHECKING:
    from checker.pages.replica_facts import AnnotatedReplica

MAX_ROWS = 120
"""Replicas that the overview shows in a row each, the urgent ones first. The others stand in its grid only."""
FEW_ROWS = 20
"""Up to so many rows nothing needs to be folded."""


class GroupSection(NamedTuple):
    """A group on the overview, with the status of its worst replica."""

    group: Group
    status: Status
    rows: list[ReplicaRow]
    hidden_rows: int = 0
    """How many of its replicas found no room."""


class StatusCount(NamedTuple):
    """Number of replicas with a status."""

    status: Status
    number: int


class Overview(NamedTuple):
    """Everything that the overview shows."""

    grid: status_grid.Grid
    sections: list[GroupSection]
    status_counts: list[StatusCount]
    """Counts of all replicas, not only of those that match the filter."""
    empty_groups: list[Group]
    """Groups without replicas."""

    @property
    def replica_count(self) -> int:
        """Return how many replicas there are."""
        return sum(count.number for count in self.status_counts)

    @property
    def unproven_sections(self) -> list[GroupSection]:
        """Return the groups in which something is not proven."""
        return [section for section in self.sections if section.status != Status.PROVEN]

    @property
    def proven_sections(self) -> list[GroupSection]:
        """Return the groups in which everything that is shown is proven."""
        return [section for section in self.sections if section.status == Status.PROVEN]

    @property
    def is_small(self) -> bool:
        """Return whether everything can be shown unfolded."""
        return sum(len(section.rows) + section.hidden_rows for section in self.sections) <= FEW_ROWS


class RunningRuns(NamedTuple):
    """The runs that are in progress."""

    progress: list[Progress]

    @property
    def key(self) -> str:
        """Return a text that changes when a run starts or ends."""
        return ",".join(sorted(str(progress.uuid) for progress in self.progress))


def read_overview(now: datetime, name: str = "", status: str = "") -> Overview:
    """Return groups, most urgent first.

    Show only replicas whose group, server or root contains `name`, and only those with this status.
    """
    rows = _rows_without_ticks(replica_facts.replicas_in_use(), now)
    # Counted before the filter: the numbers are links to what the filter hides.
    counts: Counter[Status] = Counter(row.assessment.status for row in rows)
    matching = [row for row in rows if _is_named(row.replica, name) and status in ("", row.assessment.status)]
    matching.sort(key=_urgency)

    return Overview(
        grid=status_grid.build_grid(matching),
        sections=_sections(matching, MAX_ROWS),
        status_counts=_count_statuses(counts),
        # A group without replicas has no status to ask for.
        empty_groups=[] if status else _empty_groups(name),
    )


def server_sections(server: Server, now: datetime) -> list[GroupSection]:
    """Return the replicas in use of a server by group, most urgent first. The server itself may be archived."""
    replicas = replica_facts.all_replicas().filter(server=server, archived_at=None, group__archived_at=None)
    rows = _rows_without_ticks(replicas, now)
    return _sections(sorted(rows, key=_urgency), len(rows))


def replica_rows(replicas: Iterable[AnnotatedReplica], now: datetime) -> list[ReplicaRow]:
    """Return the rows of replicas of `replica_facts.all_replicas`, in their order."""
    return _with_ticks(_rows_without_ticks(replicas, now))


def running_runs(now: datetime) -> RunningRuns:
    """Return the runs that are in progress, the one that started first on top."""
    progress = Progress.objects.filter(updated_at__gt=now - replica_facts.PROGRESS_TIMEOUT)
    progress = progress.select_related("replica__group", "replica__server").order_by("started_at", "uuid")
    return RunningRuns(list(progress))


class FirstSteps(NamedTuple):
    """Steps before the first run, and whether each is done."""

    group: bool
    server: bool
    replica: bool
    enrolled: bool


def first_steps() -> FirstSteps:
    """Return how far the set-up has come."""
    servers = Server.objects.filter(archived_at=None)
    enrolled_servers = servers.filter(keys__revoked_at=None, keys__isnull=False)
    return FirstSteps(
        group=Group.objects.filter(archived_at=None).exists(),
        server=servers.exists(),
        replica=Replica.objects.filter(archived_at=None).exists(),
        enrolled=enrolled_servers.exists(),
    )


def _count_statuses(counts: Counter[Status]) -> list[StatusCount]:
    """Return the number of replicas with each status. Few fleets have accepted what was not read: then it is named."""
    shown = [status for status in Status if status != Status.INCOMPLETE_ACCEPTED or counts[status]]
    return [StatusCount(status, counts[status]) for status in shown]


def _urgency(row: ReplicaRow) -> tuple[int, str, str]:
    return row.assessment.status.urgency, row.replica.server.name, row.replica.root


def _sections(rows: list[ReplicaRow], max_rows: int) -> list[GroupSection]:
    """Return groups, most urgent first, with at most `max_rows` rows in all. What is not proven gets room first."""
    by_group: dict[Group, list[ReplicaRow]] = {}
    for row in rows:
        by_group.setdefault(row.replica.group, []).append(row)

    # Rows come with the worst first: the first row of a group decides the group's status.
    groups = sorted(by_group, key=lambda group: (by_group[group][0].assessment.status.urgency, group.name))

    in_order = [row for group in groups for row in by_group[group]]
    unproven_first = sorted(in_order, key=lambda row: row.assessment.status == Status.PROVEN)
    shown = {row.replica.pk: row for row in _with_ticks(unproven_first[:max_rows])}

    sections = []
    for group in groups:
        group_rows = by_group[group]
        shown_rows = [shown[row.replica.pk] for row in group_rows if row.replica.pk in shown]
        hidden_rows = len(group_rows) - len(shown_rows)
        sections.append(GroupSection(group, group_rows[0].assessment.status, shown_rows, hidden_rows))
    return sections


def _rows_without_ticks(replicas: Iterable[AnnotatedReplica], now: datetime) -> list[ReplicaRow]:
    # A query set is evaluated once; the facts come in the order of this list.
    replicas = list(replicas)
    all_facts = replica_facts.collect_facts(replicas, now)
    return [_row(replica, facts, now) for replica, facts in zip(replicas, all_facts, strict=True)]


def _row(replica: AnnotatedReplica, facts: ReplicaFacts, now: datetime) -> ReplicaRow:
    return ReplicaRow(
        facts=facts,
        assessment=assess(facts),
        due=next_run_due(replica, facts.complete) if replica.enabled else None,
        last_proven=replica.last_proven,
        ticks=[],
        progress=replica_facts.current_progress(replica, now),
    )


def _with_ticks(rows: list[ReplicaRow]) -> list[ReplicaRow]:
    """Return the same rows with their newest runs. These cost more than all the rest, so only shown rows get them."""
    newest_runs = replica_facts.newest_runs([row.replica.pk for row in rows])
    statuses = run_status.assess_runs([run for runs in newest_runs.values() for run in runs])
    return [row._replace(ticks=build_ticks(newest_runs.get(row.replica.pk, []), statuses)) for row in rows]


def _is_named(replica: Replica, name: str) -> bool:
    name = name.casefold()
    return any(name in text.casefold() for text in (replica.group.name, replica.server.name, replica.root))


def _empty_groups(name: str) -> list[Group]:
    has_replica = Q(replicas__archived_at=None, replicas__isnull=False)
    groups = Group.objects.filter(archived_at=None, name__icontains=name).exclude(has_replica)
    return list(groups.order_by("name"))
