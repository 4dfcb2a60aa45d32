"""Register the functions of `scanner.formatting.numbers` as template filters."""

from __future__ import annotations

from django import template

from scanner.formatting import numbers

register = template.Library()

register.filter(numbers.number)
register.filter(numbers.brief_size)
register.filter(numbers.size)
register.filter(numbers.speed)
register.filter(numbers.lasted)
register.filter(numbers.long_span)
register.filter(numbers.every)
register.filter(numbers.clock)
register.filter(numbers.moment)
register.filter(numbers.ago)
register.filter(numbers.share)
