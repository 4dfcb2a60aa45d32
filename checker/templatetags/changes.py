"""Changes and findings on pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import template
from django.template import Context
from django.urls import reverse
from django.utils.translation import gettext as _

from checker.changes.differences import Difference, differences
from checker.changes.queries import ChangeRow, DirectorySummary
from checker.findings import actions, description, listing
from checker.models import Change, Finding
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import number
from scanner.models import Replica
from scanner.roles import VIEW_PAGES

register = template.Library()
SIGNS = {
    Change.Kind.CORRUPTED: "‼",
    Change.Kind.REWRITTEN: "!",
    Change.Kind.UNREADABLE: "?",
    Change.Kind.UNKNOWN: "?",
    Change.Kind.REMOVED: "−",
    Change.Kind.MODIFIED: "≠",
    Change.Kind.REVERTED: "↶",
    Change.Kind.RETYPED: "⇄",
    Change.Kind.ADDED: "+",
    Change.Kind.MOVED: "→",
    Change.Kind.TOUCHED: "·",
    Change.Kind.READABLE: "✓",
    Change.Kind.OUT_OF_SCOPE: "∅",
}
"""A sign for each kind, so that colour is not all that tells them apart."""


@register.filter
def kind_label(kind: str) -> str:
    """A kind of change in words."""
    return str(Change.Kind(kind).label)


@register.filter
def kind_sign(kind: str) -> str:
    """A kind of change as one character."""
    return SIGNS[Change.Kind(kind)]


@register.filter
def differing(row: ChangeRow) -> list[Difference]:
    """What differs between the sides of a change."""
    return differences(row)


@register.filter
def finding_revision(finding: Finding) -> str:
    """Return the revision of a finding that a form sends back."""
    return actions.revision(finding)


@register.filter
def level_counts(level: DirectorySummary) -> list[tuple[str, int]]:
    """What changed below a directory, in the order of urgency."""
    return [(kind, level.counts[kind]) for kind in Change.Kind.values if kind in level.counts]


@register.filter
def note_words(notes: dict[str, Any]) -> list[str]:
    """The notes of a change in words that claim no more than they prove."""
    said = []
    if confirmed := notes.get("confirmed"):
        cold = _("not from cache") if confirmed.get("cold") else _("possibly from cache")
        engines = visible_text(", ".join(map(str, confirmed.get("engines", []))))
        said.append(
            _("two more reads gave the same result (%(cold)s; %(engines)s)") % {"cold": cold, "engines": engines}
        )
        said.append(_("ctime unchanged") if confirmed.get("ctime_same") else _("ctime changed or proves nothing"))
        said.append(_("compared with run %(run)s") % {"run": visible_text(str(confirmed.get("against"))[:36])})
    if "misread" in notes:
        said.append(_("the first read was wrong"))
    if clock := notes.get("clock"):
        said.append(_("mtime is ahead of the clock") if clock.get("mtime") == "future" else _("mtime moved backwards"))
    return said


@register.simple_tag
def file_url(replica: Replica, path: str) -> str:
    """The address of the page of one path."""
    return f"{reverse('file', args=[replica.uuid])}?{urlencode({'path': path})}"


@register.filter
def finding_title(finding: Finding) -> str:
    """Return a finding in one line."""
    return description.title(finding)


@register.simple_tag(takes_context=True)
def open_findings(context: Context) -> str:
    """Return how many findings are open; empty when there are none, and for users who may not see pages."""
    user = context.get("user")
    if user is None or not user.has_perm(VIEW_PAGES):
        return ""

    open_count = listing.count_open()
    return number(open_count) if open_count else ""


@register.filter
def path_count_text(finding: Finding) -> str:
    """Return how many paths a finding stands for."""
    return description.path_count(finding)
