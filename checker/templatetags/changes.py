"""Say changes in words and signs."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.translation import gettext as _

from checker.changes import differences as change_differences
from checker.changes.differences import Difference
from checker.changes.kinds import kind_of
from checker.changes.queries import ChangeRow, DirectorySummary
from checker.models import Change
from scanner.formatting.names import visible_text

register = template.Library()


@register.filter
def kind_label(kind: str) -> str:
    """Return a kind of change in words."""
    return kind_of(kind).label


@register.filter
def kind_sign(kind: str) -> str:
    """Return a kind of change as one character."""
    return kind_of(kind).sign


@register.filter
def differences(row: ChangeRow) -> list[Difference]:
    """Return the values that differ between the two sides of a change."""
    return change_differences.differences(row)


@register.filter
def counts_by_kind(directory: DirectorySummary) -> list[tuple[str, int]]:
    """Return how many paths below a directory changed in which way, in the order of urgency."""
    return [(kind, directory.counts[kind]) for kind in Change.Kind.values if kind in directory.counts]


@register.filter
def note_sentences(notes: dict[str, Any], run_numbers: dict[str, int]) -> list[str]:
    """Return the notes of a change in words that claim no more than the notes prove.

    `run_numbers` are the numbers of the runs that the notes name, by UUID.
    """
    sentences = []
    if confirmed := notes.get("confirmed"):
        sentences += _confirmation(confirmed, run_numbers)
    if "misread" in notes:
        sentences.append(_("the first read was wrong"))
    if clock := notes.get("clock"):
        is_future = clock.get("mtime") == "future"
        sentences.append(_("mtime is ahead of the clock") if is_future else _("mtime moved backwards"))
    return sentences


def _confirmation(confirmed: dict[str, Any], run_numbers: dict[str, int]) -> list[str]:
    cache = _("not from cache") if confirmed.get("cold") else _("possibly from cache")
    engines = visible_text(", ".join(map(str, confirmed.get("engines", []))))
    values = {"cold": cache, "engines": engines}
    compared_run = run_numbers.get(str(confirmed.get("against")))

    sentences = [
        _("two more reads gave the same result (%(cold)s; %(engines)s)") % values,
        _("ctime unchanged") if confirmed.get("ctime_same") else _("ctime changed or proves nothing"),
    ]
    if compared_run is None:
        sentences.append(_("compared with a run that this server does not have"))
    else:
        sentences.append(_("compared with run %(run)s") % {"run": compared_run})
    return sentences
