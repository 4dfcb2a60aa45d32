"""Say the status of a run in the head of each of its pages."""

from __future__ import annotations

from django import template

from checker.pages import run_status
from checker.pages.run_status import RunStatus
from scanner.models import Run

register = template.Library()


@register.simple_tag
def status_of_run(run: Run) -> RunStatus:
    """Return the status of a run, with its word. It reads the run's findings: a list asks for all its runs at once."""
    return run_status.assess_run(run)
