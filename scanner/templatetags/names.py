"""Register the functions of `scanner.formatting.names` as template filters."""

from __future__ import annotations

from django import template

from scanner.formatting import names

register = template.Library()

register.filter(names.display_name)
register.filter(names.short_name)
register.filter(names.short_sentence)
register.filter(names.short_text)
register.filter(names.visible_text)
register.filter(names.visible_sentence)
register.filter(names.visible_line)
register.filter(names.base_name)
register.filter(names.directory_part)
