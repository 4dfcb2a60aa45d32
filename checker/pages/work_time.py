"""Read how long the runs of a group's or of a server's replicas took. A slow disk shows here first."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

from django.db.models import QuerySet

from checker.pages import charts
from scanner.db.complete_runs import CompleteRun, newest_complete_runs
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import local_time
from scanner.models import Group, Replica, Server

CHARTED_RUNS = 60
"""Newest complete runs of each replica that the charts show."""
MAX_LINES = 20
"""Lines that can still be told apart. Of more replicas, those are drawn whose newest run took longest."""


class ReplicaTimes(NamedTuple):
    """The newest complete runs of one replica, and how they are drawn."""

    replica: Replica
    name: str
    """What distinguishes it from the others; plain text."""
    runs: list[CompleteRun]
    """Oldest first."""
    line: charts.ChartLine
    """Its line among the durations; its line among the speeds is drawn alike."""

    @property
    def newest(self) -> CompleteRun:
        """Return the newest run."""
        return self.runs[-1]

    @property
    def median(self) -> int:
        """Return the median of the work times, in nanoseconds."""
        return round(statistics.median(run.work_time_ns for run in self.runs))

    @property
    def speed(self) -> int | None:
        """Return the bytes a second of the newest run."""
        return bytes_per_second(self.newest)

    @property
    def runs_with_speed(self) -> list[tuple[CompleteRun, int | None]]:
        """Return each run with its speed, newest first."""
        return [(run, bytes_per_second(run)) for run in reversed(self.runs)]


class WorkTime(NamedTuple):
    """Durations and speeds of the same runs, a line for each replica that has a complete run."""

    replicas: list[ReplicaTimes]
    left_out: int
    """Replicas whose newest run was too short for a line."""
    durations: charts.LineChart
    speeds: charts.LineChart

    @property
    def has_lines(self) -> bool:
        """Return whether there is a line at all: one run is only a point."""
        return any(len(times.runs) > 1 for times in self.replicas)


def group_work_time(group: Group) -> WorkTime:
    """Return the work times of a group's replicas in use, each named after its server."""
    replicas = _replicas_in_use().filter(group=group, server__archived_at=None)
    return _work_time(list(replicas), lambda replica: replica.server.name)


def server_work_time(server: Server) -> WorkTime:
    """Return the work times of a server's replicas in use, each named after its group."""
    replicas = _replicas_in_use().filter(server=server, group__archived_at=None)
    return _work_time(list(replicas), lambda replica: replica.group.name)


def bytes_per_second(run: CompleteRun) -> int | None:
    """Return the speed of a run; None when it took no time."""
    if run.work_time_ns <= 0:
        return None
    return run.bytes * 10**9 // run.work_time_ns


def _replicas_in_use() -> QuerySet[Replica]:
    return Replica.objects.filter(archived_at=None).select_related("group", "server")


def _work_time(replicas: list[Replica], name_of: Callable[[Replica], str]) -> WorkTime:
    newest_runs = newest_complete_runs([replica.pk for replica in replicas], CHARTED_RUNS)
    runs = {replica_id: list(group) for replica_id, group in groupby(newest_runs, key=lambda run: run.replica_id)}
    names = _distinct_names(replicas, name_of)

    # Lines keep the order of their names: whoever comes back finds a replica where it was.
    with_runs = [replica for replica in replicas if replica.pk in runs]
    with_runs.sort(key=lambda replica: (names[replica.pk].casefold(), replica.pk))

    slowest_first = sorted(with_runs, key=lambda replica: -runs[replica.pk][-1].work_time_ns)
    drawn_ids = {replica.pk for replica in slowest_first[:MAX_LINES]}
    drawn = [replica for replica in with_runs if replica.pk in drawn_ids]

    durations = charts.line_chart([(names[replica.pk], _durations(runs[replica.pk])) for replica in drawn])
    speeds = charts.line_chart([(names[replica.pk], _speeds(runs[replica.pk])) for replica in drawn])
    times = [
        ReplicaTimes(replica, names[replica.pk], runs[replica.pk], line)
        for replica, line in zip(drawn, durations.lines, strict=True)
    ]
    return WorkTime(times, len(with_runs) - len(drawn), durations, speeds)


def _distinct_names(replicas: list[Replica], name_of: Callable[[Replica], str]) -> dict[int, str]:
    """Return the name of each replica, with its root where several have the same name."""
    frequency = Counter(map(name_of, replicas))
    names = {}
    for replica in replicas:
        name = visible_text(name_of(replica))
        if frequency[name_of(replica)] > 1:
            name = f"{name} {visible_text(replica.root)}"
        names[replica.pk] = name
    return names


def _durations(runs: list[CompleteRun]) -> list[charts.TimedValue]:
    return [_timed_value(run, run.work_time_ns) for run in runs]


def _speeds(runs: list[CompleteRun]) -> list[charts.TimedValue]:
    speeds = []
    for run in runs:
        speed = bytes_per_second(run)
        if speed is not None:
            speeds.append(_timed_value(run, speed))
    return speeds


def _timed_value(run: CompleteRun, value: int) -> charts.TimedValue:
    return charts.TimedValue(run.finished_at, f"#{run.sequence}, {local_time(run.finished_at)}", value)
