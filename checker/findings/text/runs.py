"""Say which runs found what a finding tells, first and again."""

from __future__ import annotations

from django.utils.translation import gettext as _

from checker.models import AuditEntry, Finding


def describe_runs(finding: Finding) -> list[str]:
    """Return sentences about the run that found it, the first change of what changed again, and the newest run."""
    return [_first_run(finding), *_first_change(finding), *describe_newest_run(finding)]


def describe_newest_run(finding: Finding) -> list[str]:
    """Return a sentence about the run that saw the finding again; nothing for what was found once."""
    seen_again = finding.audit_entries.filter(action=AuditEntry.Action.SEEN_AGAIN, run__isnull=False)
    entry = seen_again.select_related("run").last()
    if finding.latest_evidence is finding.evidence or entry is None or entry.run is None:
        return []

    values = {"run": entry.run.sequence, "base": finding.latest_evidence.get("base")}
    return [_("Run %(run)d found this again; the previous complete run is %(base)s.") % values]


def list_follows() -> str:
    """Return the sentence that stands for the paths of a folded finding."""
    return _("All paths are listed below.")


def _first_run(finding: Finding) -> str:
    base = finding.evidence.get("base")
    if base is None:
        return _("Run %(run)d, the first one, found this.") % {"run": finding.first_run.sequence}

    values = {"run": finding.first_run.sequence, "base": base}
    return _("Run %(run)d found this; the previous complete run is %(base)s.") % values


def _first_change(finding: Finding) -> list[str]:
    if finding.latest_evidence is finding.evidence:
        return []

    old_digest = (finding.evidence.get("old") or {}).get("sha256")
    new_digest = (finding.evidence.get("new") or {}).get("sha256")
    if not old_digest or not new_digest or old_digest == new_digest:
        return []

    text = _("The content changed in that run (SHA-256 %(old)s…, then %(new)s…).")
    return [text % {"old": old_digest[:12], "new": new_digest[:12]}]
