"""Where the points of a chart lie. The template draws them; nothing here knows of colours or words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

WIDTH, HEIGHT = 600, 120
"""Units of the drawing; it scales with the page."""
TOP, BOTTOM, SIDE = 10, 8, 8
"""Room around the points, so that a mark at the edge is whole."""


class Point(NamedTuple):
    """A value at its place; x and y as text that SVG reads in every language."""

    x: str
    y: str
    label: str
    value: int


class Series(NamedTuple):
    """A line over runs."""

    points: list[Point]
    line: str
    """For `points` of a polyline."""
    area: str
    """The same, closed along the foot."""
    top: int
    """The largest value: what the upper edge stands for."""


def series(values: Sequence[tuple[str, int]]) -> Series:
    """The chart of (label, value) from left to right. Its foot is zero, so that no change looks larger."""
    top = max((value for _label, value in values), default=0)
    step = (WIDTH - 2 * SIDE) / max(1, len(values) - 1)
    room = HEIGHT - TOP - BOTTOM
    points = [
        Point(
            _coordinate(SIDE + step * at if len(values) > 1 else WIDTH / 2),
            _coordinate(HEIGHT - BOTTOM - (room * value / top if top else 0)),
            label,
            value,
        )
        for at, (label, value) in enumerate(values)
    ]
    line = " ".join(f"{point.x},{point.y}" for point in points)
    foot = HEIGHT - BOTTOM
    area = f"{points[0].x},{foot} {line} {points[-1].x},{foot}" if points else ""
    return Series(points, line, area, top)


def _coordinate(value: float) -> str:
    return f"{value:.1f}"


class Piece(NamedTuple):
    """A part of a bar: where it stands and how high it is, as text that SVG reads."""

    name: str
    value: int
    y: str
    height: str


class Bar(NamedTuple):
    """One of the bars beside one another, of pieces upon one another."""

    x: str
    width: str
    label: str
    total: int
    pieces: list[Piece]


class Bars(NamedTuple):
    """Bars over runs; `names` are the pieces that there are, in the order of the given ones."""

    bars: list[Bar]
    names: list[str]
    top: int


def bars(values: Sequence[tuple[str, dict[str, int]]], order: Sequence[str]) -> Bars:
    """Stacked bars of (label, {name: value}) from left to right; a piece that is there is at least seen."""
    top = max((sum(each.values()) for _label, each in values), default=0)
    step = (WIDTH - 2 * SIDE) / max(1, len(values))
    width = max(2.0, min(24.0, step * 0.8))
    found = []
    for at, (label, each) in enumerate(values):
        foot, pieces = float(HEIGHT - BOTTOM), list[Piece]()
        for name in order:
            if each.get(name):
                height = max(1.5, (HEIGHT - TOP - BOTTOM) * each[name] / top)
                foot -= height
                pieces.append(Piece(name, each[name], _coordinate(foot), _coordinate(height)))
        x = SIDE + step * at + (step - width) / 2
        found.append(Bar(_coordinate(x), _coordinate(width), label, sum(each.values()), pieces))
    return Bars(found, [name for name in order if any(each.get(name) for _label, each in values)], top)


TALL = 300
"""Height of a chart of several lines."""
COLOURS, DASHES = 7, 4
"""Kinds of colours and of strokes; with the five `SHAPES` twenty lines differ without their colours."""
MARKED = 8
"""Marks of shape on a line that has more points than twice as many."""


class Moment(NamedTuple):
    """A value at its time."""

    at: datetime
    label: str
    value: int


class Mark(NamedTuple):
    """A point of a line: a path that draws the line's shape there, or a mere spot."""

    path: str
    shaped: bool
    label: str
    value: int


class Line(NamedTuple):
    """One of several lines; `number` says how it is drawn."""

    name: str
    number: int
    line: str
    """For `points` of a polyline."""
    marks: list[Mark]

    @property
    def colour(self) -> int:
        """The kind of its colour."""
        return self.number % COLOURS

    @property
    def dash(self) -> int:
        """The kind of its stroke."""
        return self.number % DASHES

    @property
    def sample(self) -> str:
        """The path of its shape in a legend of 34 by 12 units."""
        return _shape(self.number, 17, 6)


class Lines(NamedTuple):
    """Several lines over the same time."""

    lines: list[Line]
    top: int
    """The largest value: what the upper edge stands for."""
    begin: datetime | None
    end: datetime | None


def lines(given: Sequence[tuple[str, Sequence[Moment]]]) -> Lines:
    """The chart of (name, moments from the oldest on), all over one span of time. Its foot is zero."""
    moments = [moment for _name, some in given for moment in some]
    if not moments:
        return Lines([], 0, None, None)
    top = max(moment.value for moment in moments)
    begin, end = min(moment.at for moment in moments), max(moment.at for moment in moments)
    span, room = (end - begin).total_seconds(), TALL - TOP - BOTTOM

    def place(moment: Moment) -> tuple[float, float]:
        part = (moment.at - begin).total_seconds() / span if span else 0.5
        return SIDE + (WIDTH - 2 * SIDE) * part, TALL - BOTTOM - (room * moment.value / top if top else 0)

    drawn = [_line(name, number, [(*place(one), one) for one in some]) for number, (name, some) in enumerate(given)]
    return Lines(drawn, top, begin, end)


def _line(name: str, number: int, places: list[tuple[float, float, Moment]]) -> Line:
    every = max(1, -(-len(places) // MARKED)) if len(places) > 2 * MARKED else 1
    marks = []
    for back, (x, y, moment) in enumerate(reversed(places)):
        shaped = back % every == 0
        path = _shape(number, x, y) if shaped else f"M{_coordinate(x)} {_coordinate(y)}h0"
        marks.append(Mark(path, shaped, moment.label, moment.value))
    line = " ".join(f"{_coordinate(x)},{_coordinate(y)}" for x, y, _moment in places)
    return Line(name, number, line, marks[::-1])


SHAPES = (
    "M{0} {1}m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "M{0} {1}m-3.6-3.6h7.2v7.2h-7.2z",
    "M{0} {1}m0-4.6l4.6 8h-9.2z",
    "M{0} {1}m0-5l5 5l-5 5l-5-5z",
    "M{0} {1}m-1.4-4.4h2.8v3h3v2.8h-3v3h-2.8v-3h-3v-2.8h3z",
)
"""A disk, a square, a triangle, a diamond, a cross, as paths around a place."""


def _shape(number: int, x: float, y: float) -> str:
    return SHAPES[number % len(SHAPES)].format(_coordinate(x), _coordinate(y))
