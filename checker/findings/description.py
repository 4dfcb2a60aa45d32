"""Put a finding into words: what it is, the proofs of it, what it means, what to do next."""

from __future__ import annotations

from typing import NamedTuple

from checker.findings.kinds.registry import kind_of
from checker.models import Finding


class Description(NamedTuple):
    """Description of a finding in the language of the reader, as plain text."""

    title: str
    reasons: list[str]
    """The proofs."""
    meaning: str
    next_steps: list[str]


def title(finding: Finding) -> str:
    """Return the finding in one line."""
    return kind_of(finding).title(finding)


def describe(finding: Finding) -> Description:
    """Return all that is said of a finding."""
    kind = kind_of(finding)
    return Description(
        title=kind.title(finding),
        reasons=kind.reasons(finding),
        meaning=kind.meaning(finding),
        next_steps=kind.next_steps(finding),
    )
