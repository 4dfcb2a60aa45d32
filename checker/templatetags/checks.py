"""Name the checks of a verification in the language of the page."""

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
    """Return the name of a check; its identifier when it has no name here."""
    return str(NAMES.get(check, check))


@register.filter
def check_text(check: dict[str, Any]) -> str:
    """Return the message of a stored check (`checker.proofs.verification.Check`) in the language of the page."""
    message = check.get("message")
    values = check.get("values")
    if not message:
        return str(check.get("text", ""))
    text = gettext(message)
    return text % values if values else text
