"""Open, resolve and explain findings of replicas in which no run has found anything yet."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checker.findings import whole_run
from checker.findings.kinds.base import Resolution, RunFindingKind
from checker.findings.text import steps
from checker.models import Comparison, Finding
from scanner.format.entry_type import EntryType
from scanner.models import Version

IS_CONTENT = ~Q(type=EntryType.ERROR) & ~Q(type=EntryType.SPECIAL, detail="mount")
"""Entries that show that a run looked at data: a mount point or an unreadable directory shows nothing of the kind."""


@dataclass(frozen=True, kw_only=True)
class Empty(RunFindingKind):
    """An empty root. Perhaps what should be mounted there is not: then a run of no files says nothing of the data."""

    def update_findings(self, comparison: Comparison) -> None:
        """Open a finding when no run has found anything yet. Resolve it when one does."""
        run = comparison.run
        content = Version.objects.filter(IS_CONTENT, replica=run.replica_id, from_seq__lte=run.sequence)
        findings = Finding.objects.filter(replica=run.replica_id, kind=self.value)

        if run.files or content.exists():
            # An acceptance ends as well: that the root is empty on purpose is no longer true.
            for finding in whole_run.lock_findings(run, self.value):
                whole_run.resolve(finding, run)
        elif not findings.exists():
            evidence = {"root": run.replica.root, "errors": run.errors}
            whole_run.open_finding(comparison, self.value, self.severity, evidence)

    def title(self, finding: Finding) -> str:
        """Return that nothing was found, and in which run."""
        return _("Nothing was found in run %(run)d.") % {"run": finding.first_run.sequence}

    def reasons(self, finding: Finding) -> list[str]:
        """Return what the run saw."""
        sentences = [_("No run has found a file, link or other entry below this root.")]
        if finding.evidence.get("errors"):
            sentences.append(_("Some paths could not be read; see the list of errors of the run."))
        return sentences


EMPTY = Empty(
    value=Finding.Kind.EMPTY,
    resolution=Resolution.FIRST_ENTRY,
    concerns_whole_run=True,
    explanation=gettext_lazy(
        "Perhaps the file system that should be here is not mounted, or the root is the wrong directory. Nothing is "
        "known of the data."
    ),
    steps=(steps.CHECK_MOUNT, steps.ACCEPT_IF_EMPTY),
)
