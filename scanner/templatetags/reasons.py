"""Register the function of `scanner.formatting.reasons` as a template filter."""

from __future__ import annotations

from django import template

from scanner.formatting import reasons

register = template.Library()

register.filter(reasons.reason_text)
