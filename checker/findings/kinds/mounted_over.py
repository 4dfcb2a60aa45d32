"""Open, resolve and explain findings of files that a mount hides."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from checker.findings import candidates, opening, whole_run
from checker.findings.kinds.base import Resolution, RunFindingKind
from checker.findings.text import runs, steps
from checker.models import Change, Comparison, Finding
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import number


@dataclass(frozen=True, kw_only=True)
class MountedOver(RunFindingKind):
    """Known paths that lie behind a mount point which a run did not enter. One finding for each mount point."""

    def update_findings(self, comparison: Comparison) -> None:
        """Resolve findings whose mount is gone, then open one for each mount that hides something."""
        self._resolve(comparison)
        if not comparison.counts.get(Change.Kind.UNKNOWN):
            return

        branches = candidates.select_behind_mounts(comparison)
        facts = dict.fromkeys(branches, opening.shared_facts(comparison))
        opening.open_branches(comparison, self.value, self.severity, facts)

    def _resolve(self, comparison: Comparison) -> None:
        """Close findings whose mount point is none any more. An acceptance ends with it: it was about this mount."""
        run = comparison.run
        for finding in whole_run.lock_findings(run, self.value):
            if not candidates.is_mount(run, finding.path.removesuffix("/")):
                whole_run.resolve(finding, run)

    def title(self, finding: Finding) -> str:
        """Return the mount point, and how many known paths it hides."""
        text = ngettext(
            "%(n)s known path is hidden behind the mount %(place)s",
            "%(n)s known paths are hidden behind the mount %(place)s",
            finding.number,
        )
        return text % {"n": number(finding.number), "place": visible_text(finding.path)}

    def reasons(self, finding: Finding) -> list[str]:
        """Return which runs found it."""
        sentence = _("Another file system is mounted here, and the collector does not enter mount points.")
        return [*runs.describe_runs(finding), sentence, runs.list_follows()]


MOUNTED_OVER = MountedOver(
    value=Finding.Kind.MOUNTED_OVER,
    resolution=Resolution.UNCOVERED,
    linked_change=Change.Kind.UNKNOWN,
    explanation=gettext_lazy(
        "The files are perhaps unchanged beneath the mount, but nothing read them. They are not proven."
    ),
    steps=(steps.UNMOUNT_OR_ENTER, steps.ACCEPT_IF_MOUNT_STAYS),
)
