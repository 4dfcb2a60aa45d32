"""How long runs took: the lines of a group and of a server, where their points lie, and the table of the same."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from checker.pages import charts, work_time
from checker.pages.charts import Moment
from scanner.models import Run
from tests.checker import stage, status_grid_stage
from tests.scanner import factories

START = datetime(2026, 5, 1, tzinfo=UTC)


def moments(*values: int, since: datetime = START) -> list[Moment]:
    """A value a day."""
    return [Moment(since + timedelta(days=at), f"#{at + 1}", value) for at, value in enumerate(values)]


def places(line: charts.Line) -> list[tuple[float, float]]:
    """The points of a line as numbers."""
    return [(float(x), float(y)) for x, y in (point.split(",") for point in line.line.split())]


def test_lines_share_time_and_height() -> None:
    """All lines lie over one span of time and one height whose foot is zero; what began later begins further right."""
    drawn = charts.lines([("a", moments(0, 50, 100)), ("b", moments(25, since=START + timedelta(days=1)))])
    assert (drawn.top, drawn.begin, drawn.end) == (100, START, START + timedelta(days=2))
    foot, head = charts.TALL - charts.BOTTOM, charts.TOP
    assert places(drawn.lines[0]) == [(8, foot), (300, (foot + head) / 2), (592, head)]
    assert places(drawn.lines[1]) == [(300, foot - (foot - head) / 4)]


def test_a_single_moment_or_none_is_no_error() -> None:
    """One run is a point in the middle, no run an empty chart, work that took no time lies on the foot."""
    assert places(charts.lines([("a", moments(7))]).lines[0]) == [(300, charts.TOP)]
    assert places(charts.lines([("a", moments(0))]).lines[0]) == [(300, charts.TALL - charts.BOTTOM)]
    assert charts.lines([]) == charts.lines([("a", [])]) == ([], 0, None, None)


def test_twenty_lines_differ_without_their_colours() -> None:
    """Stroke and shape together tell twenty lines apart; the sample in the legend has the same shape."""
    drawn = charts.lines([(str(at), moments(1, 2)) for at in range(20)]).lines
    assert len({(line.dash, re.sub(r"^M[\d. ]+", "", line.sample)) for line in drawn}) == 20
    assert all(line.sample.partition("m")[2] == line.marks[0].path.partition("m")[2] for line in drawn)


def test_a_long_line_has_few_shapes_and_every_spot() -> None:
    """Sixty points have no more than eight shapes, the newest among them, and each is there to point at."""
    (line,) = charts.lines([("a", moments(*range(60)))]).lines
    assert len(line.marks) == 60 and sum(mark.shaped for mark in line.marks) == 8
    assert line.marks[-1].shaped and line.marks[-1].label == "#60"
    assert [mark.value for mark in line.marks] == list(range(60))
    (short,) = charts.lines([("a", moments(*range(10)))]).lines
    assert all(mark.shaped for mark in short.marks)


@pytest.mark.django_db
def test_a_group_has_a_line_for_each_server_and_a_server_for_each_group() -> None:
    """Lines are named by what tells them apart, the root too where a server keeps two; failed runs have no point."""
    server, key = stage.make_server("alpha")
    other, other_key = stage.make_server("beta")
    photos, mail = factories.make_group("photos"), factories.make_group("mail")
    first = factories.make_replica(server, photos, "/a")
    stage.make_history(first, key, 3)
    stage.make_history(factories.make_replica(server, photos, "/b"), key, 2)
    stage.make_history(factories.make_replica(other, photos), other_key, 2)
    stage.make_history(factories.make_replica(server, mail), key, 2)
    factories.make_replica(other, mail)
    stage.make_run(first, key, 0, outcome="failed")
    found = work_time.of_group(photos)
    assert [(trace.name, len(trace.turns)) for trace in found.traces] == [("alpha /a", 3), ("alpha /b", 2), ("beta", 2)]
    assert [line.name for line in found.speed.lines] == ["alpha /a", "alpha /b", "beta"]
    assert [trace.name for trace in work_time.of_server(server).traces] == ["mail", "photos /a", "photos /b"]
    assert not work_time.of_server(factories.make_server()).drawn


@pytest.mark.django_db
def test_what_is_archived_has_no_line() -> None:
    """An archived replica is not drawn, nor what a server keeps of an archived group, or a group on such a server."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    stage.make_history(replica, key, 2)
    assert work_time.of_server(server).drawn and work_time.of_group(replica.group).drawn
    for thing, of_server, of_group in ((replica, 0, 0), (replica.group, 0, 1), (server, 1, 0)):
        thing.archived_at = timezone.now()
        thing.save()
        assert len(work_time.of_server(server).traces) == of_server
        assert len(work_time.of_group(replica.group).traces) == of_group
        thing.archived_at = None
        thing.save()


@pytest.mark.django_db
def test_speed_is_bytes_over_work_time() -> None:
    """A run of 121 GB in 1,000 s read 121 MB a second; one that took no time has none and leaves no point."""
    server, key = stage.make_server("alpha")
    replica = factories.make_replica(server)
    stage.make_history(replica, key, 3)
    Run.objects.filter(sequence=1).update(bytes=121 * 10**9, work_time_ns=10**12)
    Run.objects.filter(sequence=2).update(work_time_ns=0)
    Run.objects.filter(sequence=3).update(bytes=60 * 10**9, work_time_ns=2 * 10**12)
    (trace,) = work_time.of_server(server).traces
    assert [fast for _turn, fast in trace.rows] == [30_000_000, None, 121_000_000]
    assert (trace.speed, trace.usual) == (30_000_000, 10**12)
    assert [mark.value for mark in work_time.of_server(server).speed.lines[0].marks] == [121_000_000, 30_000_000]


@pytest.mark.django_db
def test_the_newest_runs_are_read_at_once_and_the_longest_are_drawn(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    """Twenty lines of sixty runs at most, whatever there is, in two queries; the slow ones are among them."""
    made = status_grid_stage.fill(24, 2, 63)
    Run.objects.filter(replica__group=made.groups[7]).update(work_time_ns=9 * 10**15)
    with django_assert_max_num_queries(2):
        found = work_time.of_server(made.servers[0])
    assert len(found.traces) == 20 and found.left_out == 4
    assert {len(trace.turns) for trace in found.traces} == {60} and found.traces[0].newest.sequence == 63
    assert "share 007" in [trace.name for trace in found.traces]


@pytest.mark.django_db
def test_the_pages_show_lines_legend_and_the_same_as_a_table(client: Client) -> None:
    """Both pages have two charts with a tooltip at each point, a legend, and the figures once more in rows."""
    client.force_login(stage.make_user("viewer"))
    made = status_grid_stage.fill(3, 2, 5)
    for address, lines in ((f"/servers/{made.servers[0].uuid}/", 3), (f"/groups/{made.groups[0].uuid}/", 2)):
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
    made = status_grid_stage.fill(1, 1, 1)
    assert "work-time-head" not in client.get(f"/servers/{made.servers[0].uuid}/").content.decode()
