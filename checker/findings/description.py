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
        return _("No new file has come since run %(last)s.") % {"last": finding.evidence.get("last")}
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
        return [_("The newest file came with run %(run)s, %(when)s.") % {"run": facts["last"], "when": last}]
    return paths.reasons(finding)


def _held_before(finding: Finding) -> list[str]:
    """What began the hold and which run told of it last; empty for what was told once."""
    again = paths.seen_again(finding)
    text = _("Run %(run)d found it: %(what)s.")
    return [text % {"run": finding.first_run.sequence, "what": mass.title(finding.evidence)}, *again] if again else []


def _damage() -> str:
    return _(
        "The bytes changed beneath the file system: disk, controller, cable or memory. This copy is damaged, "
        "unless somebody wrote to the disk itself."
    )


def _restore() -> str:
    return _(
        "Compare with the other replicas of the group and restore the file from a copy that holds the old content."
    )


def _hardware() -> str:
    return _(
        "Look at the disk before you trust it again: SMART values, the kernel's messages, a scrub of the file system."
    )


def _if_you() -> str:
    return _("When it was you, or a program that you trust, accept it and say so.")


def _look() -> str:
    return _("Find out who changed it; when nobody did, restore it from another replica.")


def _rights() -> str:
    return _(
        "Look at the rights of the file and its directories, or let the collector run as a user who may read them."
    )


def _snapshot() -> str:
    return _("Exclude the file, or let the collector read a snapshot or a dump of it: a live database is no backup.")


def _hold() -> str:
    return _("Stop whatever copies from this replica before you have looked: a sync would spread the change.")


def _release() -> str:
    return _("When the change was meant, release the replica with a reason; until then it stays held.")


def _released() -> str:
    return _("Nothing, when the release was right; else undo it, and the replica is held again.")


def _producer() -> str:
    return _("Look at what makes these files: it has not made one in time.")


_MEANS: dict[Finding.Kind, Callable[[], str]] = {
    Finding.Kind.CORRUPTED: _damage,
    Finding.Kind.REWRITTEN: lambda: _(
        "Somebody wrote the file and kept its time, as some tools do on purpose; or it is damaged. Both are possible."
    ),
    Finding.Kind.UNREADABLE: lambda: _("What it holds is not known until it can be read again; it is not proven."),
    Finding.Kind.RESTLESS: lambda: _("It is never at rest while it is read, so no run can say what it holds."),
    Finding.Kind.REMOVED: lambda: _("In this group nothing should go, or not yet: its age was not reached."),
    Finding.Kind.MODIFIED: lambda: _("In this group nothing should change once it is there."),
    Finding.Kind.REVERTED: lambda: _("It holds again what it held earlier: restored, or rolled back."),
    Finding.Kind.RETYPED: lambda: _("Another kind of thing has this name now, or a link leads elsewhere."),
    Finding.Kind.ADDED: lambda: _("In this group nothing should come."),
    Finding.Kind.MOVED: lambda: _("The content is whole under another name; in this group it should have stayed."),
    Finding.Kind.TOUCHED: lambda: _("The content is the same; times, mode or owner are not."),
    Finding.Kind.NO_NEW_FILE: lambda: _("New files are expected here in each interval; none came."),
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
