"""Name the checks of a verification in the language of the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import template
from django.utils.translation import gettext, gettext_lazy

from scanner.formatting.reasons import reason_text
from scanner.models import Run

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
    if not message:
        return str(check.get("text", ""))

    translation = gettext(message)
    values = check.get("values")
    if not values:
        return translation
    return translation % {name: _translate_value(name, value) for name, value in values.items()}


def _translate_value(name: str, value: Any) -> Any:
    """Return a stored value, which is English, in the language of the page."""
    translate = TRANSLATED_VALUES.get(name)
    if translate is None:
        return value
    return translate(str(value))


def _state_label(state: str) -> str:
    """Return the state of a run in words."""
    if state not in Run.State.values:
        return state
    return str(Run.State(state).label)


def _column_name(column: str) -> str:
    """Return the name of a column of runs; the column itself when the table has no such field."""
    for field in Run._meta.get_fields():
        if field.name == column and hasattr(field, "verbose_name"):
            return str(field.verbose_name)
    return column


TRANSLATED_VALUES: dict[str, Callable[[str], str]] = {
    "reason": reason_text,
    "state": _state_label,
    "column": _column_name,
}
