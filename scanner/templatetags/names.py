"""Register the functions of `scanner.formatting.names` as template filters."""

from __future__ import annotations

from django import template

from scanner.formatting import names

register = template.Library()

register.filter(names.shown)
register.filter(names.brief_shown)
register.filter(names.brief_words)
register.filter(names.brief_plain)
register.filter(names.plain_shown)
register.filter(names.indented_shown)
register.filter(names.last_part)
register.filter(names.above)
