"""What the page of a replica shows of its runs."""

from __future__ import annotations

from typing import NamedTuple

from django.db.models import QuerySet

from checker.models import Change, Comparison
from checker.pages.charts import Bars, Series, bars, series
from scanner.models import Replica, Run

PAGE = 30
"""Runs on a page."""
CHARTED = 60
"""The newest complete runs that the charts show."""


class RunPage(NamedTuple):
    """Runs, newest first, and the key of the next page."""

    runs: list[Run]
    before: int | None
    """The next page holds the runs before this one; None at the end."""
    continued: bool
    """Whether newer runs stand on the page before."""


class Charts(NamedTuple):
    """Files, bytes, duration and changes over the same runs, oldest first."""

    runs: list[Run]
    files: Series
    bytes: Series
    duration: Series
    changes: Bars


def runs(replica: Replica, before: int | None = None) -> RunPage:
    """The runs before number `before`, or the newest ones."""
    found = _light(replica).select_related("proof").order_by("-sequence")
    if before is not None:
        found = found.filter(sequence__lt=before)
    page = list(found[: PAGE + 1])
    return RunPage(page[:PAGE], page[PAGE - 1].sequence if len(page) > PAGE else None, before is not None)


def charts(replica: Replica) -> Charts:
    """The charts of the newest complete runs."""
    newest = _light(replica).filter(state=Run.State.INGESTED).order_by("-sequence")[:CHARTED]
    shown = list(reversed(newest))
    return Charts(
        shown,
        series([(f"#{run.sequence}", run.files) for run in shown]),
        series([(f"#{run.sequence}", run.bytes) for run in shown]),
        series([(f"#{run.sequence}", run.work_time_ns) for run in shown]),
        _changes(shown),
    )


def _changes(shown: list[Run]) -> Bars:
    """What each of these runs brought, by kind; a run that was not compared yet has no bar."""
    made = Comparison.objects.filter(run__in=shown, adjacent=True, state=Comparison.State.DONE)
    counts = dict(made.values_list("run", "counts"))
    return bars([(f"#{run.sequence}", counts.get(run.pk, {})) for run in shown], Change.Kind.values)


def _light(replica: Replica) -> QuerySet[Run]:
    """The replica's runs without what a list never shows: an envelope may have 128 KiB."""
    return Run.objects.filter(replica=replica).defer("envelope")
