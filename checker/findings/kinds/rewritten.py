"""Explain findings of files that changed while their modification time did not: rewritten on purpose, or damaged."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checker.findings.kinds.paths import PathsKind
from checker.findings.text import notes, steps
from checker.models import Change, Finding


@dataclass(frozen=True, kw_only=True)
class Rewritten(PathsKind):
    """Files that were rewritten with their time kept, or damaged."""

    def describe_notes(self, finding: Finding) -> list[str]:
        """Say why the ctime does not prove damage. If it did, the file would count as corrupted."""
        run_notes = finding.latest_evidence.get("notes") or {}
        if run_notes.get("confirmed"):
            return notes.describe_notes(run_notes, notes.ctime_of_an_older_run())

        not_compared = _(
            "The collector could not compare with the previous run, so it is not known whether the ctime changed."
        )
        return [not_compared, *notes.describe_reading(run_notes)]

    def next_steps(self, finding: Finding) -> list[str]:
        """Put the restore first where the other replicas prove the change to be damage."""
        if finding.severity == Finding.Severity.CRITICAL:
            return [str(steps.RESTORE_FILE), str(steps.CHECK_DISK)]
        return super().next_steps(finding)


REWRITTEN = Rewritten(
    value=Finding.Kind.REWRITTEN,
    change=Change.Kind.REWRITTEN,
    explanation=gettext_lazy(
        "Somebody wrote the file and kept its date, as some tools do on purpose, or the file is damaged. Both "
        "are possible."
    ),
    steps=(steps.ACCEPT_IF_YOURS, steps.RESTORE_FILE, steps.CHECK_DISK),
)
