"""Name and count findings."""

from __future__ import annotations

from django import template
from django.template import Context

from checker.findings import actions, description, listing
from checker.models import Finding
from scanner.formatting.numbers import number
from scanner.roles import VIEW_PAGES

register = template.Library()


@register.filter
def finding_title(finding: Finding) -> str:
    """Return a finding in one line."""
    return description.title(finding)


@register.filter
def finding_revision(finding: Finding) -> str:
    """Return what a form sends back, so that nobody decides about a finding that has changed since."""
    return actions.revision(finding)


@register.filter
def path_count_text(finding: Finding) -> str:
    """Return how many paths a folded finding stands for."""
    return description.path_count(finding)


@register.simple_tag(takes_context=True)
def open_finding_count(context: Context) -> str:
    """Return how many findings are open; empty when there are none or the user may not see pages."""
    user = context.get("user")
    if user is None or not user.has_perm(VIEW_PAGES):
        return ""
    count = listing.count_open()
    return number(count) if count else ""
