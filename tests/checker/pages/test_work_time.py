"""Durations of runs: the lines of a group and of a server, where their points lie, and the table of the same data."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from checker.pages import charts, work_time
from checker.pages.charts import TimedValue
from scanner.models import Group, Replica, Run, Server
from tests.checker import stage, status_grid_stage
from tests.scanner import factories

START = datetime(2026, 5, 1, tzinfo=UTC)
EXPECTED_FOOT = charts.LINE_CHART_HEIGHT - charts.BOTTOM


def daily_values(*values: int, since: datetime = START) -> list[TimedValue]:
    """Return one value a day."""
    return [TimedValue(since + timedelta(days=day), f"#{day + 1}", value) for day, value in enumerate(values)]


def points(line: charts.ChartLine) -> list[tuple[float, float]]:
    """Return the points of a line as numbers."""
    pairs = [point.split(",") for point in line.points.split()]
    return [(float(x), float(y)) for x, y in pairs]


def test_lines_share_time_and_height() -> None:
    """All lines lie over one span of time and start at zero; what began later begins further right."""
    late = daily_values(25, since=START + timedelta(days=1))
    chart = charts.line_chart([("a", daily_values(0, 50, 100)), ("b", late)])
    assert (chart.maximum, chart.begin, chart.end) == (100, START, START + timedelta(days=2))
    middle = (EXPECTED_FOOT + charts.TOP) / 2
    assert points(chart.lines[0]) == [(8, EXPECTED_FOOT), (300, middle), (592, charts.TOP)]
    assert points(chart.lines[1]) == [(300, EXPECTED_FOOT - (EXPECTED_FOOT - charts.TOP) / 4)]


def test_a_single_value_or_none_is_no_error() -> None:
    """One run is a point in the middle, no run is an empty chart, work that took no time lies on the foot."""
    assert points(charts.line_chart([("a", daily_values(7))]).lines[0]) == [(300, charts.TOP)]
    assert points(charts.line_chart([("a", daily_values(0))]).lines[0]) == [(300, EXPECTED_FOOT)]
    assert charts.line_chart([]) == charts.line_chart([("a", [])]) == ([], 0, None, None)


def test_twenty_lines_differ_without_their_colours() -> None:
    """Stroke and shape together distinguish twenty lines; the sample in the legend has the same shape."""
    lines = charts.line_chart([(str(number), daily_values(1, 2)) for number in range(20)]).lines
    assert len({(line.dash, re.sub(r"^M[\d. ]+", "", line.sample)) for line in lines}) == 20
    assert all(line.sample.partition("m")[2] == line.marks[0].path.partition("m")[2] for line in lines)


def test_a_long_line_has_few_shapes_and_every_spot() -> None:
    """Sixty points have at most eight shapes, the newest among them, and each point can be pointed at."""
    (long_line,) = charts.line_chart([("a", daily_values(*range(60)))]).lines
    assert len(long_line.marks) == 60 and sum(mark.has_shape for mark in long_line.marks) == 8
    assert long_line.marks[-1].has_shape and long_line.marks[-1].label == "#60"
    assert [mark.value for mark in long_line.marks] == list(range(60))
    (short_line,) = charts.line_chart([("a", daily_values(*range(10)))]).lines
    assert all(mark.has_shape for mark in short_line.marks)


@pytest.mark.django_db
def test_a_group_has_a_line_for_each_server_and_a_server_for_each_group() -> None:
    """Lines have distinct names, with the root where a server has two replicas; failed runs have no point."""
    server, key = stage.make_server("alpha")
    other_server, other_key = stage.make_server("beta")
    photos = factories.make_group("photos")
    mail = factories.make_group("mail")
    first = factories.make_replica(server, photos, "/a")
    stage.make_history(first, key, 3)
    stage.make_history(factories.make_replica(server, photos, "/b"), key, 2)
    stage.make_history(factories.make_replica(other_server, photos), other_key, 2)
    stage.make_history(factories.make_replica(server, mail), key, 2)
    factories.make_replica(other_server, mail)
    stage.make_run(first, key, 0, outcome="failed")

    group_times = work_time.group_work_time(photos)
    run_counts = [(times.name, len(times.runs)) for times in group_times.replicas]
    assert run_counts == [("alpha /a", 3), ("alpha /b", 2), ("beta", 2)]
    assert [line.name for line in group_times.speeds.lines] == ["alpha /a", "alpha /b", "beta"]
    server_times = work_time.server_work_time(server)
    assert [times.name for times in server_times.replicas] == ["mail", "photos /a", "photos /b"]
    assert not work_time.server_work_time(factories.make_server()).has_lines


@pytest.mark.django_db
def test_what_is_archived_has_no_line() -> None:
    """An archived replica has no line; nor has a replica of an archived group or server on the other one's page."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    stage.make_history(replica, key, 2)
    assert work_time.server_work_time(server).has_lines and work_time.group_work_time(replica.group).has_lines

    cases: list[tuple[Replica | Group | Server, int, int]] = [(replica, 0, 0), (replica.group, 0, 1), (server, 1, 0)]
    for archived, server_lines, group_lines in cases:
        archived.archived_at = timezone.now()
        archived.save()
        assert len(work_time.server_work_time(server).replicas) == server_lines
        assert len(work_time.group_work_time(replica.group).replicas) == group_lines
        archived.archived_at = None
        archived.save()


@pytest.mark.django_db
def test_speed_is_bytes_over_work_time() -> None:
    """A run of 121 GB in 1,000 s read 121 MB a second; one that took no time has no speed and no point."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    stage.make_history(replica, key, 3)
    Run.objects.filter(sequence=1).update(bytes=121 * 10**9, work_time_ns=10**12)
    Run.objects.filter(sequence=2).update(work_time_ns=0)
    Run.objects.filter(sequence=3).update(bytes=60 * 10**9, work_time_ns=2 * 10**12)

    server_times = work_time.server_work_time(server)
    (times,) = server_times.replicas
    assert [speed for _run, speed in times.runs_with_speed] == [30_000_000, None, 121_000_000]
    assert (times.speed, times.median) == (30_000_000, 10**12)
    assert [mark.value for mark in server_times.speeds.lines[0].marks] == [121_000_000, 30_000_000]


@pytest.mark.django_db
def test_the_newest_runs_are_read_at_once_and_the_longest_are_drawn(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    """At most twenty lines of sixty runs are drawn, in two queries; the slow replicas are among them."""
    grid = status_grid_stage.fill(24, 2, 63)
    Run.objects.filter(replica__group=grid.groups[7]).update(work_time_ns=9 * 10**15)
    with django_assert_max_num_queries(2):
        server_times = work_time.server_work_time(grid.servers[0])
    assert len(server_times.replicas) == 20 and server_times.left_out == 4
    assert {len(times.runs) for times in server_times.replicas} == {60}
    assert server_times.replicas[0].newest.sequence == 63
    assert "share 007" in [times.name for times in server_times.replicas]


@pytest.mark.django_db
def test_the_pages_show_lines_legend_and_the_same_as_a_table(client: Client) -> None:
    """Both pages have two charts with a tooltip at each point, a legend, and the same figures in rows."""
    client.force_login(stage.make_user("viewer"))
    grid = status_grid_stage.fill(3, 2, 5)
    for address, lines in ((f"/servers/{grid.servers[0].uuid}/", 3), (f"/groups/{grid.groups[0].uuid}/", 2)):
        page = client.get(address).content.decode()
        section = page.split('aria-labelledby="work-time-head"', 1)[1]
        assert section.count("<figure") == 2 and section.count("<title>") == 2 * lines * 5
        assert section.count("<polyline") == 2 * lines + lines
        assert section.count('href="/runs/') == lines * 5
        assert re.search(r"<title>\S+(?: 000)? #5, [-\d]+ [:\d]+: \d+ min", section)
        assert re.search(r"<title>\S+(?: 000)? #5, [-\d]+ [:\d]+: [\d.]+\sMiB/s", section)


@pytest.mark.django_db
def test_one_run_is_no_chart(client: Client) -> None:
    """Before the second run there is nothing to compare, and no chart."""
    client.force_login(stage.make_user("viewer"))
    grid = status_grid_stage.fill(1, 1, 1)
    assert "work-time-head" not in client.get(f"/servers/{grid.servers[0].uuid}/").content.decode()
