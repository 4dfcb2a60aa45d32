"""Define the questions that each kind of finding answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from checker.models import Change, Comparison, Divergence, Finding


class Resolution(Enum):
    """Proof that a finding is over, without a person."""

    SAME_CONTENT = "each path has the content that it had before"
    SAME_ENTRY = "each path is in all what it was before: content, times, mode and owner"
    GONE = "each path is gone again"
    READ = "each path could be read"
    NEW_FILE = "a new file has come"
    FIRST_ENTRY = "a run found something"
    UNCOVERED = "the mount is gone, or is entered"
    NO_DIVERGENCE = "the newest comparison of the replicas finds nothing more of it"
    SAME_RUN = "all contents are again those of the run before it"


AS_BEFORE = gettext_lazy("Run %(sequence)s has shown that everything is as before.")
RESOLVED_TEXTS: dict[Resolution, Promise] = {
    Resolution.SAME_CONTENT: AS_BEFORE,
    Resolution.SAME_ENTRY: AS_BEFORE,
    Resolution.GONE: AS_BEFORE,
    Resolution.READ: gettext_lazy("Run %(sequence)s could read everything again."),
    Resolution.NEW_FILE: gettext_lazy("A new file arrived in run %(sequence)s."),
    Resolution.FIRST_ENTRY: gettext_lazy("Run %(sequence)s found data."),
    Resolution.UNCOVERED: gettext_lazy("Run %(sequence)s no longer met a mount point here."),
    Resolution.NO_DIVERGENCE: gettext_lazy("The replicas no longer differ here."),
    Resolution.SAME_RUN: AS_BEFORE,
}
"""What has ended a resolved finding."""


@dataclass(frozen=True, kw_only=True)
class FindingKind(ABC):
    """A kind of finding."""

    value: Finding.Kind
    """What is stored, with its label."""
    resolution: Resolution
    severity: Finding.Severity = Finding.Severity.WARNING
    """How grave a finding of this kind is by itself. What its facts say may make it graver."""
    explanation: Promise | None = None
    """What it means, when that does not depend on the finding."""
    steps: tuple[Promise, ...] = ()
    """What to do next, when that does not depend on the finding."""
    concerns_whole_run: bool = False
    """Whether it is about a run, so that its link leads to all changes."""
    linked_change: Change.Kind | None = None
    """The kind of the changes to which its link leads; None for the kind of the same name."""
    is_released: bool = False
    """Whether a person releases the replica instead of accepting the finding."""
    may_be_accepted_in_bulk: bool = True
    """Whether it may be accepted together with others, unless it is critical."""

    @property
    def label(self) -> str:
        """The kind in words, in the language of the reader."""
        return str(self.value.label)

    @property
    def anchor(self) -> str:
        """The section of docs/*/everyday.md that explains the kind."""
        return f"finding-{self.value.value}"

    @abstractmethod
    def title(self, finding: Finding) -> str:
        """Return the finding in one line."""

    @abstractmethod
    def reasons(self, finding: Finding) -> list[str]:
        """Return the proofs."""

    def meaning(self, finding: Finding) -> str:
        """Return what the finding means."""
        return str(self.explanation)

    def next_steps(self, finding: Finding) -> list[str]:
        """Return what to do next."""
        return [str(step) for step in self.steps]

    def ending(self, finding: Finding) -> str:
        """Return what has ended a resolved finding; empty for any other."""
        if finding.state != Finding.State.RESOLVED:
            return ""
        return str(RESOLVED_TEXTS[self.resolution]) % {"sequence": finding.last_run.sequence}


@dataclass(frozen=True, kw_only=True)
class RunFindingKind(FindingKind):
    """A kind of finding of one replica, which the comparison of two runs opens."""

    @abstractmethod
    def update_findings(self, comparison: Comparison) -> None:
        """Open and renew findings of this kind. Call in the transaction that keeps the comparison."""


@dataclass(frozen=True, kw_only=True)
class ReplicasFindingKind(FindingKind):
    """A kind of finding between replicas, which the comparison of a group opens."""

    divergence: Divergence.Kind
    """The divergences that it stands for."""
