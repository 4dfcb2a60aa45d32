"""Open and explain findings of paths that were removed where nothing should go, or not yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checker.findings import candidates, rotation
from checker.findings.candidates import CALENDAR_NS, Branch
from checker.findings.kinds.paths import STEADY_POLICIES, PathsKind
from checker.findings.text import contents, steps
from checker.models import Change, Comparison, Finding
from scanner.formatting.numbers import time_span
from scanner.models import Group


@dataclass(frozen=True, kw_only=True)
class Removed(PathsKind):
    """Removed paths; of rotating data only those that went before their age."""

    def select_candidates(self, comparison: Comparison) -> int:
        """Select what was removed, or removed too early. Return how many paths."""
        kept = rotation.kept_until(comparison.run.replica.group, comparison.run.ended_at)
        if kept is None:
            return super().select_candidates(comparison)
        return candidates.select_early_removals(comparison, kept)

    def complete_facts(self, comparison: Comparison, branch: Branch, facts: dict[str, Any]) -> dict[str, Any]:
        """Add the age of what was removed too early."""
        kept = rotation.kept_until(comparison.run.replica.group, comparison.run.ended_at)
        if branch.folded or kept is None:
            return facts
        return facts | {"age": _age(comparison, facts["old"])}

    def describe_path(self, finding: Finding) -> list[str]:
        """Return what was removed, and how old it was where an age counts."""
        facts = finding.latest_evidence
        sentences = contents.describe_removed(facts)
        if facts.get("age"):
            sentences.append(_describe_age(facts["age"]))
        return sentences


def _age(comparison: Comparison, old: dict[str, Any]) -> dict[str, Any]:
    """Return the age in seconds, by the file's own time or else since a run first saw it, and the days it is kept."""
    run = comparison.run
    by_time = (old.get("mtime_ns") or 0) >= CALENDAR_NS
    if by_time:
        begin = old["mtime_ns"] / 10**9
    else:
        begin = run.replica.runs.get(sequence=old["from"]).ended_at.timestamp()

    return {
        "seconds": round(run.ended_at.timestamp() - begin),
        "by_time": by_time,
        "kept_days": run.replica.group.keep_days,
    }


def _describe_age(age: dict[str, Any]) -> str:
    values = {
        "age": time_span(timedelta(seconds=age["seconds"])),
        "kept": time_span(timedelta(days=age["kept_days"])),
    }
    if age["by_time"]:
        return _("By its modification time the file was %(age)s old; this group keeps files for %(kept)s.") % values
    return _("The file had been known for %(age)s; this group keeps files for %(kept)s.") % values


REMOVED = Removed(
    value=Finding.Kind.REMOVED,
    change=Change.Kind.REMOVED,
    policies=STEADY_POLICIES | {Group.Policy.ROTATING},
    explanation=gettext_lazy("Files must not be removed from this group, or not before they reach a set age."),
    steps=(steps.FIND_WHO_CHANGED_IT, steps.ACCEPT_IF_YOURS),
)
