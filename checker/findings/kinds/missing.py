"""Explain findings of paths that are absent from replicas which should have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checker.divergences import kinds as divergence_kinds
from checker.findings.kinds.base import ReplicasFindingKind, Resolution
from checker.findings.text import replicas
from checker.findings.text.replicas import join_names
from checker.models import Divergence, Finding
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import number


@dataclass(frozen=True, kw_only=True)
class Missing(ReplicasFindingKind):
    """Missing paths, folded by directory."""

    def title(self, finding: Finding) -> str:
        """Return what is missing, and where."""
        names = join_names(_lacking_names(finding.evidence))
        if not finding.folded:
            return _("missing on %(names)s: %(path)s") % {"names": names, "path": visible_text(finding.path)}

        values = {"n": number(finding.number), "path": visible_text(finding.path) or "/"}
        counts = finding.evidence.get("lacking", [])
        if all(count["number"] == finding.number for count in counts):
            text = ngettext(
                "%(n)s path below %(path)s is missing on %(names)s",
                "%(n)s paths below %(path)s are missing on %(names)s",
                finding.number,
            )
            return text % (values | {"names": names})

        counted_names = ", ".join(f"{visible_text(count['name'])} ({number(count['number'])})" for count in counts)
        text = ngettext(
            "%(n)s path below %(path)s is missing on %(each)s",
            "%(n)s paths below %(path)s are missing on %(each)s",
            finding.number,
        )
        return text % (values | {"each": counted_names})

    def reasons(self, finding: Finding) -> list[str]:
        """Return what each replica has."""
        return replicas.reasons(finding)


def _lacking_names(facts: dict[str, Any]) -> list[str]:
    """Return the replicas that lack some of the paths now."""
    if facts.get("lacking"):
        return [count["name"] for count in facts["lacking"]]
    names: list[str] = facts.get("names", [])
    return names


MISSING = Missing(
    value=Finding.Kind.MISSING,
    divergence=Divergence.Kind.LOST,
    resolution=Resolution.NO_DIVERGENCE,
    explanation=divergence_kinds.LOST.explanation,
    steps=divergence_kinds.LOST.steps,
)
