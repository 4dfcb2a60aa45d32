"""A finding in words: what it is, the proofs of it, what it means, what to do next. Nothing is claimed beyond proof."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from django.utils.translation import gettext as _

from checker.findings import policy
from checker.findings.text import mass_change as mass
from checker.findings.text import paths
from checker.findings.text import replicas as between
from checker.models import Finding
from scanner.formatting.names import plain_shown
from scanner.formatting.numbers import clock, number


class Description(NamedTuple):
    """What is said of a finding, in the language of the page. Names in it are made visible, and are plain text."""

    title: str
    reasons: list[str]
    """The proofs."""
    meaning: str
    next_steps: list[str]


def title(finding: Finding) -> str:
    """The finding in one line."""
    if finding.kind in between.KINDS:
        return between.title(finding)
    kind = finding.kind
    if kind == Finding.Kind.MASS_CHANGE:
        return mass.title(finding.latest_evidence)
    if kind == Finding.Kind.NO_NEW_FILE:
        return _("No new file has arrived since run %(last)s.") % {"last": finding.evidence.get("last")}
    path = plain_shown(finding.path)
    about = {"kind": finding.get_kind_display(), "path": path, "n": number(finding.number), "place": path or "/"}
    return (_("%(kind)s: %(n)s paths below %(place)s") if finding.folded else _("%(kind)s: %(path)s")) % about


def describe(finding: Finding) -> Description:
    """All that is said of a finding."""
    if finding.kind in between.KINDS:
        return Description(title(finding), between.reasons(finding), between.means(finding), between.steps(finding))
    kind = Finding.Kind(finding.kind)
    return Description(title(finding), _why(finding), _means(finding, kind), [step() for step in _steps(finding, kind)])


def _means(finding: Finding, kind: Finding.Kind) -> str:
    if kind == Finding.Kind.MASS_CHANGE:
        return mass.means(finding.latest_evidence, finding.state == Finding.State.OPEN)
    return _MEANS[kind]()


def _steps(finding: Finding, kind: Finding.Kind) -> tuple[Callable[[], str], ...]:
    """What to do; of what cannot be read that depends on what the system said, of a hold on whether it still is one."""
    if kind == Finding.Kind.MASS_CHANGE and finding.state != Finding.State.OPEN:
        return (_released,)
    error = (finding.latest_evidence.get("new") or {}).get("detail")
    relapse = kind == Finding.Kind.REVERTED and finding.severity == Finding.Severity.CRITICAL
    if relapse or (kind == Finding.Kind.UNREADABLE and error in policy.BROKEN):
        return (_restore, _hardware)
    if kind == Finding.Kind.UNREADABLE and error in ("EACCES", "EPERM"):
        return (_rights,)
    return _STEPS[kind]


def _why(finding: Finding) -> list[str]:
    facts = finding.latest_evidence
    if finding.kind == Finding.Kind.MASS_CHANGE:
        return [*_held_before(finding), *mass.reasons(facts)]
    if finding.kind == Finding.Kind.RESTLESS:
        return paths.restless(finding)
    if finding.kind == Finding.Kind.NO_NEW_FILE:
        last = clock(datetime.fromisoformat(facts["last_at"]))
        return [_("The newest file arrived in run %(run)s, %(when)s.") % {"run": facts["last"], "when": last}]
    return paths.reasons(finding)


def _held_before(finding: Finding) -> list[str]:
    """What began the hold and which run told of it last; empty for what was told once."""
    again = paths.seen_again(finding)
    text = _("Run %(run)d found this first: %(what)s.")
    return [text % {"run": finding.first_run.sequence, "what": mass.title(finding.evidence)}, *again] if again else []


def _damage() -> str:
    return _(
        "The bytes changed below the file system: disk, controller, cable or memory. This copy is "
        "damaged, unless somebody wrote directly to the disk."
    )


def _restore() -> str:
    return _("Compare with the other replicas of the group and restore the file from a copy that has the old content.")


def _hardware() -> str:
    return _("Check the disk before you trust it again: SMART values, kernel messages, a file system scrub.")


def _if_you() -> str:
    return _("If you or a program that you trust did this, accept the finding and note why.")


def _look() -> str:
    return _("Find out who made the change. If nobody did, restore the data from another replica.")


def _rights() -> str:
    return _("Check the permissions of the file and its directories, or run the collector as a user who may read them.")


def _snapshot() -> str:
    return _(
        "Exclude the file, or let the collector read a snapshot or a dump of it: the file of a live "
        "database is not a backup."
    )


def _hold() -> str:
    return _("Stop everything that copies from this replica until you have checked it: a sync would spread the change.")


def _release() -> str:
    return _("If the change was intended, release the replica and note why; until then it stays on hold.")


def _released() -> str:
    return _("Nothing, if the release was right. Otherwise undo it, and the replica goes on hold again.")


def _producer() -> str:
    return _("Check what creates these files: no new file arrived in time.")


_MEANS: dict[Finding.Kind, Callable[[], str]] = {
    Finding.Kind.CORRUPTED: _damage,
    Finding.Kind.REWRITTEN: lambda: _(
        "Somebody wrote the file and kept its date, as some tools do on purpose, or the file is "
        "damaged. Both are possible."
    ),
    Finding.Kind.UNREADABLE: lambda: _("The content is unknown until it can be read again; it is not proven."),
    Finding.Kind.RESTLESS: lambda: _("The content keeps changing while it is read, so no run can tell what it is."),
    Finding.Kind.REMOVED: lambda: _("Files must not be removed from this group, or not before they reach a set age."),
    Finding.Kind.MODIFIED: lambda: _("In this group a file must not change once it exists."),
    Finding.Kind.REVERTED: lambda: _("The file has earlier content again: it was restored or rolled back."),
    Finding.Kind.RETYPED: lambda: _("Something of another type has this name now, or a link points elsewhere."),
    Finding.Kind.ADDED: lambda: _("Files must not be added to this group."),
    Finding.Kind.MOVED: lambda: _("The content is intact under another path; in this group it must stay in place."),
    Finding.Kind.TOUCHED: lambda: _("The content is the same; time, mode or owner changed."),
    Finding.Kind.NO_NEW_FILE: lambda: _("New files are expected here in every interval; none arrived."),
}
_STEPS: dict[Finding.Kind, tuple[Callable[[], str], ...]] = {
    Finding.Kind.CORRUPTED: (_restore, _hardware),
    Finding.Kind.REWRITTEN: (_if_you, _restore, _hardware),
    Finding.Kind.UNREADABLE: (_rights, _hardware),
    Finding.Kind.RESTLESS: (_snapshot,),
    Finding.Kind.MASS_CHANGE: (_hold, _look, _release),
    Finding.Kind.NO_NEW_FILE: (_producer, _if_you),
    **dict.fromkeys(
        (
            Finding.Kind.REMOVED,
            Finding.Kind.MODIFIED,
            Finding.Kind.REVERTED,
            Finding.Kind.RETYPED,
            Finding.Kind.ADDED,
            Finding.Kind.MOVED,
            Finding.Kind.TOUCHED,
        ),
        (_look, _if_you),
    ),
}
