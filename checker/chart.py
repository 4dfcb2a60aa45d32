"""Where the points of a chart lie. The template draws them; nothing here knows of colours or words."""

from __future__ import annotations

from collections.abc import Sequence
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
