"""Register the functions of `scanner.formatting.entries` as template filters."""

from __future__ import annotations

from django import template

from scanner.formatting import entries

register = template.Library()

register.filter(entries.type_name)
register.filter(entries.special_text)
register.filter(entries.error_text)
register.filter(entries.stage_text)
register.filter(entries.note_text)
register.filter(entries.permissions)
register.filter(entries.exact_file_time)
register.filter(entries.file_time)
