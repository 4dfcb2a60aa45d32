"""Write the values of charts in their units, and sum charts up for readers who cannot see them."""

from __future__ import annotations

from django import template

from checker.pages.charts import ChartLine, Point
from checker.pages.replica_row import Tick
from scanner.formatting.numbers import brief_size, duration, number, speed

register = template.Library()

FORMATS = {"number": number, "size": brief_size, "duration": duration, "speed": speed}


@register.filter
def in_unit(value: int, unit: str) -> str:
    """Return a value in the unit of a chart: `number`, `size`, `duration` or `speed`."""
    return FORMATS[unit](value)


@register.filter
def point_summary(points: list[Point], unit: str) -> str:
    """Return the first and the last value of a chart."""
    first = points[0]
    last = points[-1]
    return f"{first.label} {in_unit(first.value, unit)} → {last.label} {in_unit(last.value, unit)}"


@register.filter
def line_summary(lines: list[ChartLine], unit: str) -> str:
    """Return the newest value of each line."""
    return ", ".join(f"{line.name} {in_unit(line.marks[-1].value, unit)}" for line in lines)


@register.filter
def tick_summary(ticks: list[Tick]) -> str:
    """Return the number and the status of each run in a strip."""
    return ", ".join(tick.label for tick in ticks)
