"""The checks of a verification, named in the language of the page."""

from __future__ import annotations

from django import template
from django.utils.translation import gettext_lazy

register = template.Library()

NAMES = {
    "signature": gettext_lazy("Signature"),
    "chain": gettext_lazy("Chain"),
    "journal": gettext_lazy("Journal"),
    "key": gettext_lazy("Key"),
    "records": gettext_lazy("Records"),
    "blocks": gettext_lazy("Blocks"),
    "counts": gettext_lazy("Counts"),
    "columns": gettext_lazy("Columns"),
    "structure": gettext_lazy("Structure"),
}


@register.filter
def check_name(check: str) -> str:
    """What a check is called; its identifier when it has no name here."""
    return str(NAMES.get(check, check))


@register.filter
def check_text(statement: dict[str, object]) -> str:
    """What a check says."""
    return str(statement.get("text", ""))
