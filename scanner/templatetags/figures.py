"""Register the functions of `scanner.formatting.numbers` as template filters."""

from __future__ import annotations

from django import template

from scanner.formatting import numbers

register = template.Library()

register.filter(numbers.number)
register.filter(numbers.brief_size)
register.filter(numbers.size)
register.filter(numbers.speed)
register.filter(numbers.duration)
register.filter(numbers.time_span)
register.filter(numbers.interval)
register.filter(numbers.local_time)
register.filter(numbers.time_element)
register.filter(numbers.relative_time_element)
register.filter(numbers.percent)
