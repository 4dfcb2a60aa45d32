"""How long the runs took, of all replicas of a group or of a server: a slow disk shows here first."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

from django.db.models import QuerySet

from checker.pages import charts
from checker.proofs import queries
from checker.proofs.queries import Turn
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import local_time
from scanner.models import Group, Replica, Server

CHARTED = 60
"""The newest complete runs of each replica that the charts show."""


DRAWN = 20
"""Lines that can still be told apart; of more replicas those are drawn whose newest run took longest."""


class Trace(NamedTuple):
    """What is drawn of one replica."""

    replica: Replica
    name: str
    """What tells it from the others; plain text."""
    turns: list[Turn]
    line: charts.Line
    """How its work time is drawn; its speed is drawn alike."""

    @property
    def newest(self) -> Turn:
        """The newest run."""
        return self.turns[-1]

    @property
    def usual(self) -> int:
        """The median of the work times, in nanoseconds."""
        return round(statistics.median(turn.work_time_ns for turn in self.turns))

    @property
    def speed(self) -> int | None:
        """Bytes a second of the newest run."""
        return speed(self.newest)

    @property
    def rows(self) -> list[tuple[Turn, int | None]]:
        """Each run with its speed, newest first."""
        return [(turn, speed(turn)) for turn in reversed(self.turns)]


class WorkTime(NamedTuple):
    """Work time and speed over the same runs, a line for each replica of which a run is complete."""

    traces: list[Trace]
    left_out: int
    """Replicas whose newest run was too quick for a line here."""
    time: charts.Lines
    speed: charts.Lines

    @property
    def drawn(self) -> bool:
        """Whether there is a line at all: one run is a point."""
        return any(len(trace.turns) > 1 for trace in self.traces)


def of_group(group: Group) -> WorkTime:
    """The work times of a group's replicas in use, each named after its server."""
    replicas = _in_use().filter(group=group, server__archived_at=None)
    return _work_time(list(replicas), lambda replica: replica.server.name)


def of_server(server: Server) -> WorkTime:
    """The work times of a server's replicas in use, each named after its group."""
    replicas = _in_use().filter(server=server, group__archived_at=None)
    return _work_time(list(replicas), lambda replica: replica.group.name)


def speed(turn: Turn) -> int | None:
    """Bytes a second of a run; None when it took no time."""
    return turn.bytes * 10**9 // turn.work_time_ns if turn.work_time_ns > 0 else None


def _in_use() -> QuerySet[Replica]:
    return Replica.objects.filter(archived_at=None).select_related("group", "server")


def _work_time(replicas: list[Replica], name: Callable[[Replica], str]) -> WorkTime:
    found = queries.turns([replica.pk for replica in replicas], CHARTED)
    turns = {pk: list(some) for pk, some in groupby(found, key=lambda turn: turn.replica)}
    often = Counter(map(name, replicas))
    names = {
        one.pk: " ".join(map(visible_text, (name(one), one.root) if often[name(one)] > 1 else (name(one),)))
        for one in replicas
    }
    replicas.sort(key=lambda replica: (names[replica.pk].casefold(), replica.pk))
    some = [one for one in replicas if one.pk in turns]
    longest = sorted(some, key=lambda one: -turns[one.pk][-1].work_time_ns)[:DRAWN]
    drawn = [(one, names[one.pk], turns[one.pk]) for one in some if one in longest]
    time = charts.lines([(its, [_moment(turn, turn.work_time_ns) for turn in past]) for _one, its, past in drawn])
    fast = charts.lines([(its, _speeds(past)) for _one, its, past in drawn])
    traces = [Trace(*one, line) for one, line in zip(drawn, time.lines, strict=True)]
    return WorkTime(traces, len(some) - len(drawn), time, fast)


def _speeds(turns: list[Turn]) -> list[charts.Moment]:
    return [_moment(turn, fast) for turn in turns if (fast := speed(turn)) is not None]


def _moment(turn: Turn, value: int) -> charts.Moment:
    return charts.Moment(turn.finished_at, f"#{turn.sequence}, {local_time(turn.finished_at)}", value)
