"""The checks of a verification, named in the language of the page."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.translation import gettext, gettext_lazy

register = template.Library()

NAMES = {
    "statement": gettext_lazy("Statement"),
    "chain": gettext_lazy("Chain"),
    "signature": gettext_lazy("Signature"),
    "journal": gettext_lazy("Journal"),
    "records": gettext_lazy("Records"),
    "counts": gettext_lazy("Counts"),
    "structure": gettext_lazy("History"),
}


@register.filter
def check_name(check: str) -> str:
    """What a check is called; its identifier when it has no name here."""
    return str(NAMES.get(check, check))


@register.filter
def check_text(statement: dict[str, Any]) -> str:
    """What a check says: its message (`checker.proofs.verification.Check`) in the language of the page."""
    message, values = statement.get("message"), statement.get("values")
    if not message:
        return str(statement.get("text", ""))
    return gettext(message) % values if values else gettext(message)
