"""Put a finding into words: what it is, the proofs of it, what it means, what to do next."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.translation import ngettext

from checker.findings.kinds.registry import kind_of
from checker.models import Finding
from scanner.formatting.numbers import number


class Description(NamedTuple):
    """A finding in words, in the language of the reader, as plain text."""

    title: str
    reasons: list[str]
    """The proofs."""
    meaning: str
    next_steps: list[str]
    ending: str
    """What has ended a resolved finding; empty for any other."""


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
        ending=kind.ending(finding),
    )


def path_count(finding: Finding) -> str:
    """Return how many paths a finding stands for."""
    return ngettext("%(n)s path", "%(n)s paths", finding.number) % {"n": number(finding.number)}
