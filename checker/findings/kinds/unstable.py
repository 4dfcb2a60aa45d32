"""Open and explain findings of files that change each time while they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checker.findings import candidates
from checker.findings.candidates import Branch
from checker.findings.kinds.base import Resolution
from checker.findings.kinds.paths import PathsKind
from checker.findings.text import runs, steps
from checker.models import Change, Comparison, Finding
from scanner.models import Run

RUNS = 3
"""After this many complete runs in a row such a file is a finding."""


@dataclass(frozen=True, kw_only=True)
class Unstable(PathsKind):
    """Files that are never at rest while they are read."""

    def update_findings(self, comparison: Comparison) -> None:
        """Open or renew findings after each run, also when nothing changed with it."""
        run = comparison.run
        complete_runs = run.replica.runs.filter(state=Run.State.INGESTED, sequence__lte=run.sequence)
        newest = list(complete_runs.order_by("-sequence").values_list("sequence", flat=True)[:RUNS])
        if len(newest) < RUNS:
            return

        if candidates.select_unstable(comparison, since=newest[-1]):
            self.open_folded(comparison)

    def complete_facts(self, comparison: Comparison, branch: Branch, facts: dict[str, Any]) -> dict[str, Any]:
        """Name the run since which the file, or one of the files, is unstable."""
        return facts | {"since": branch.since, "runs": RUNS}

    def reasons(self, finding: Finding) -> list[str]:
        """Return since when it is unstable."""
        facts = finding.evidence
        text = _(
            "The content changed while it was being read, three times in each of %(runs)d complete runs in a "
            "row, since run %(run)d."
        )
        sentences = [text % {"runs": facts["runs"], "run": facts["since"]}]
        if finding.folded:
            sentences.append(runs.list_follows())
        return sentences


UNSTABLE = Unstable(
    value=Finding.Kind.UNSTABLE,
    change=Change.Kind.UNREADABLE,
    resolution=Resolution.READ,
    concerns_whole_run=True,
    explanation=gettext_lazy("The content keeps changing while it is read, so no run can tell what it is."),
    steps=(steps.READ_SNAPSHOT,),
)
