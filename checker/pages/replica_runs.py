"""Read what the page of a replica shows of its runs."""

from __future__ import annotations

from typing import NamedTuple

from django.db.models import QuerySet

from checker.models import Change, Comparison
from checker.pages import run_status
from checker.pages.charts import AreaChart, BarChart, area_chart, bar_chart
from checker.pages.run_status import RunStatus
from scanner.models import Replica, Run

PAGE_SIZE = 30
"""Runs on a page."""
CHARTED_RUNS = 60
"""Newest complete runs that the charts show."""


class RunRow(NamedTuple):
    """A run in the list of a replica's runs."""

    run: Run
    status: RunStatus


class RunPage(NamedTuple):
    """A page of runs, newest first."""

    rows: list[RunRow]
    before: int | None
    """The next page holds the runs before this number; None on the last page."""
    is_continuation: bool
    """Whether newer runs stand on the page before."""


class RunCharts(NamedTuple):
    """Files, bytes, duration and changes of the same runs, oldest first."""

    runs: list[Run]
    files: AreaChart
    bytes: AreaChart
    duration: AreaChart
    changes: BarChart


def list_runs(replica: Replica, before: int | None = None) -> RunPage:
    """Return the runs before number `before`, or the newest ones."""
    runs = _light_runs(replica).select_related("proof").order_by("-sequence")
    if before is not None:
        runs = runs.filter(sequence__lt=before)

    # One more than the page holds tells whether there is a next one.
    rows = list(runs[: PAGE_SIZE + 1])
    next_before = None
    if len(rows) > PAGE_SIZE:
        next_before = rows[PAGE_SIZE - 1].sequence

    shown = rows[:PAGE_SIZE]
    statuses = run_status.assess_runs([run_status.facts_of(run) for run in shown])
    return RunPage([RunRow(run, statuses[run.pk]) for run in shown], next_before, is_continuation=before is not None)


def run_charts(replica: Replica) -> RunCharts:
    """Return the charts of the newest complete runs."""
    newest = _light_runs(replica).filter(state=Run.State.INGESTED).order_by("-sequence")[:CHARTED_RUNS]
    runs = list(reversed(newest))
    return RunCharts(
        runs,
        files=area_chart([(_label(run), run.files) for run in runs]),
        bytes=area_chart([(_label(run), run.bytes) for run in runs]),
        duration=area_chart([(_label(run), run.work_time_ns) for run in runs]),
        changes=_change_chart(runs),
    )


def _change_chart(runs: list[Run]) -> BarChart:
    """Return the changes of each run by kind. A run that was not compared yet has no bar."""
    comparisons = Comparison.objects.filter(run__in=runs, adjacent=True, state=Comparison.State.DONE)
    counts = dict(comparisons.values_list("run", "counts"))
    return bar_chart([(_label(run), counts.get(run.pk, {})) for run in runs], Change.Kind.values)


def _label(run: Run) -> str:
    return f"#{run.sequence}"


def _light_runs(replica: Replica) -> QuerySet[Run]:
    """Return the replica's runs without what a list never shows: an envelope may have 128 KiB."""
    return Run.objects.filter(replica=replica).defer("envelope")
