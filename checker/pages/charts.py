"""Compute where the points of a chart lie. Templates draw them; nothing here knows of colours or words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

WIDTH = 600
HEIGHT = 120
"""Size of an area or bar chart in units of the drawing, which scales with the page."""
TOP = 10
BOTTOM = 8
SIDE = 8
"""Room around the points, so that a mark at the edge is drawn whole."""


class Point(NamedTuple):
    """A value and its place. x and y are text that SVG reads in every language of the page."""

    x: str
    y: str
    label: str
    value: int


class AreaChart(NamedTuple):
    """A line over runs with the area below it."""

    points: list[Point]
    line: str
    """The `points` attribute of a polyline."""
    area: str
    """The same, closed along the foot of the chart."""
    maximum: int
    """The value at the upper edge."""


def area_chart(values: Sequence[tuple[str, int]]) -> AreaChart:
    """Return the chart of (label, value) pairs from left to right. It starts at zero: no change looks larger."""
    maximum = max((value for _label, value in values), default=0)
    step = (WIDTH - 2 * SIDE) / max(1, len(values) - 1)
    foot = HEIGHT - BOTTOM

    points = []
    for position, (label, value) in enumerate(values):
        x = SIDE + step * position
        if len(values) == 1:
            # A single value has no direction: its point stands in the middle.
            x = WIDTH / 2
        y = foot - _scaled(value, maximum, HEIGHT)
        points.append(Point(_coordinate(x), _coordinate(y), label, value))

    line = " ".join(f"{point.x},{point.y}" for point in points)
    area = ""
    if points:
        area = f"{points[0].x},{foot} {line} {points[-1].x},{foot}"
    return AreaChart(points, line, area, maximum)


class Segment(NamedTuple):
    """A part of a stacked bar. y and height are text that SVG reads."""

    name: str
    value: int
    y: str
    height: str


class Bar(NamedTuple):
    """A bar of segments that are stacked from the foot upwards."""

    x: str
    width: str
    label: str
    total: int
    segments: list[Segment]


class BarChart(NamedTuple):
    """Stacked bars over runs. `names` are the segments that occur, in the order of drawing."""

    bars: list[Bar]
    names: list[str]
    maximum: int


MAX_BAR_WIDTH = 24.0
MIN_BAR_WIDTH = 2.0
MIN_SEGMENT_HEIGHT = 1.5
"""A segment with any value at all can be seen."""


def bar_chart(values: Sequence[tuple[str, dict[str, int]]], order: Sequence[str]) -> BarChart:
    """Return stacked bars of (label, {name: value}) pairs from left to right, their segments in the given order."""
    maximum = max((sum(counts.values()) for _label, counts in values), default=0)
    step = (WIDTH - 2 * SIDE) / max(1, len(values))
    # A fifth of the room stays free, so that neighbours do not merge.
    width = max(MIN_BAR_WIDTH, min(MAX_BAR_WIDTH, step * 0.8))

    bars = []
    for position, (label, counts) in enumerate(values):
        x = SIDE + step * position + (step - width) / 2
        segments = _stack(counts, order, maximum)
        bars.append(Bar(_coordinate(x), _coordinate(width), label, sum(counts.values()), segments))

    names = [name for name in order if any(counts.get(name) for _label, counts in values)]
    return BarChart(bars, names, maximum)


def _stack(counts: dict[str, int], order: Sequence[str], maximum: int) -> list[Segment]:
    segments = []
    y = float(HEIGHT - BOTTOM)
    for name in order:
        value = counts.get(name)
        if not value:
            continue

        height = max(MIN_SEGMENT_HEIGHT, _scaled(value, maximum, HEIGHT))
        # SVG counts y downwards, and a stack grows upwards.
        y -= height
        segments.append(Segment(name, value, _coordinate(y), _coordinate(height)))
    return segments


LINE_CHART_HEIGHT = 300
"""Height of a chart of several lines."""
COLOURS = 7
DASHES = 4
"""Numbers of colours and of strokes. With the five `SHAPES`, twenty lines differ even without their colours."""
SHAPED_MARKS = 8
"""How many marks with a shape a line has when it has more than twice as many points."""

SHAPES = (
    "M{0} {1}m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "M{0} {1}m-3.6-3.6h7.2v7.2h-7.2z",
    "M{0} {1}m0-4.6l4.6 8h-9.2z",
    "M{0} {1}m0-5l5 5l-5 5l-5-5z",
    "M{0} {1}m-1.4-4.4h2.8v3h3v2.8h-3v3h-2.8v-3h-3v-2.8h3z",
)
"""SVG paths of a disk, a square, a triangle, a diamond and a cross around a place."""


class TimedValue(NamedTuple):
    """A value and the moment it belongs to."""

    moment: datetime
    label: str
    value: int


class Mark(NamedTuple):
    """A point of a line. `path` draws the line's shape, or nothing but a spot to point at."""

    path: str
    has_shape: bool
    label: str
    value: int


class ChartLine(NamedTuple):
    """One of several lines. Its number decides how it is drawn."""

    name: str
    number: int
    points: str
    """The `points` attribute of a polyline."""
    marks: list[Mark]

    @property
    def colour(self) -> int:
        """Return the number of its colour."""
        return self.number % COLOURS

    @property
    def dash(self) -> int:
        """Return the number of its stroke."""
        return self.number % DASHES

    @property
    def sample(self) -> str:
        """Return the path of its shape in a legend of 34 by 12 units."""
        return _shape(self.number, 17, 6)


class LineChart(NamedTuple):
    """Several lines over the same span of time."""

    lines: list[ChartLine]
    maximum: int
    """The value at the upper edge."""
    begin: datetime | None
    end: datetime | None


def line_chart(named_series: Sequence[tuple[str, Sequence[TimedValue]]]) -> LineChart:
    """Return the chart of (name, values from the oldest on) pairs, all over one span of time. It starts at zero."""
    all_values = [value for _name, values in named_series for value in values]
    if not all_values:
        return LineChart([], 0, None, None)

    maximum = max(value.value for value in all_values)
    begin = min(value.moment for value in all_values)
    end = max(value.moment for value in all_values)
    span = (end - begin).total_seconds()

    def place(value: TimedValue) -> tuple[float, float]:
        # A single moment has no span: its point stands in the middle.
        share_of_span = 0.5
        if span:
            share_of_span = (value.moment - begin).total_seconds() / span

        x = SIDE + (WIDTH - 2 * SIDE) * share_of_span
        y = LINE_CHART_HEIGHT - BOTTOM - _scaled(value.value, maximum, LINE_CHART_HEIGHT)
        return x, y

    lines = []
    for number, (name, values) in enumerate(named_series):
        places = [place(value) for value in values]
        lines.append(_chart_line(name, number, values, places))
    return LineChart(lines, maximum, begin, end)


def _chart_line(
    name: str, number: int, values: Sequence[TimedValue], places: Sequence[tuple[float, float]]
) -> ChartLine:
    """Return a line whose shapes are counted back from its newest point, so that this one always has a shape."""
    every = 1
    if len(values) > 2 * SHAPED_MARKS:
        every = math.ceil(len(values) / SHAPED_MARKS)

    marks = []
    for index, (value, (x, y)) in enumerate(zip(values, places, strict=True)):
        has_shape = (len(values) - 1 - index) % every == 0
        # Without a shape there is a spot, which shows its label when it is pointed at.
        path = _shape(number, x, y) if has_shape else f"M{_coordinate(x)} {_coordinate(y)}h0"
        marks.append(Mark(path, has_shape, value.label, value.value))

    points = " ".join(f"{_coordinate(x)},{_coordinate(y)}" for x, y in places)
    return ChartLine(name, number, points, marks)


def _shape(number: int, x: float, y: float) -> str:
    return SHAPES[number % len(SHAPES)].format(_coordinate(x), _coordinate(y))


def _scaled(value: int, maximum: int, chart_height: int) -> float:
    """Return how high a value stands above the foot of a chart."""
    if not maximum:
        return 0.0
    return (chart_height - TOP - BOTTOM) * value / maximum


def _coordinate(value: float) -> str:
    return f"{value:.1f}"
