"""A finding in words: what it is, the proofs of it, what it means, what to do next. Nothing is claimed beyond proof."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checker.findings import mass_words as mass
from checker.findings import policy
from checker.findings.between import words as between
from checker.models import Finding
from scanner.templatetags.figures import clock, exact_size, number
from scanner.templatetags.names import plain_shown


class Words(NamedTuple):
    """What is said of a finding, in the language of the page. Names in it are made visible, and are plain text."""

    title: str
    why: list[str]
    """The proofs."""
    means: str
    next_steps: list[str]


def title(finding: Finding) -> str:
    """The finding in one line."""
    if finding.kind in between.KINDS:
        return between.title(finding)
    kind = finding.kind
    if kind == Finding.Kind.MASS_CHANGE:
        return mass.title(finding.evidence)
    if kind == Finding.Kind.NO_NEW_FILE:
        return _("No new file has come since run %(last)s.") % {"last": finding.evidence.get("last")}
    path = plain_shown(finding.path)
    about = {"kind": finding.get_kind_display(), "path": path, "n": number(finding.number), "place": path or "/"}
    return (_("%(kind)s: %(n)s paths below %(place)s") if finding.folded else _("%(kind)s: %(path)s")) % about


def tell(finding: Finding) -> Words:
    """All that is said of a finding."""
    if finding.kind in between.KINDS:
        return Words(title(finding), between.reasons(finding), between.means(finding), between.steps(finding))
    kind = Finding.Kind(finding.kind)
    return Words(title(finding), _why(finding), _MEANS[kind](), [step() for step in _steps(finding, kind)])


def _steps(finding: Finding, kind: Finding.Kind) -> tuple[Callable[[], str], ...]:
    """What to do; of what cannot be read that depends on what the system said."""
    error = (finding.evidence.get("new") or {}).get("detail")
    relapse = kind == Finding.Kind.REVERTED and finding.severity == Finding.Severity.CRITICAL
    if relapse or (kind == Finding.Kind.UNREADABLE and error in policy.BROKEN):
        return (_restore, _hardware)
    if kind == Finding.Kind.UNREADABLE and error in ("EACCES", "EPERM"):
        return (_rights,)
    return _STEPS[kind]


def _why(finding: Finding) -> list[str]:
    facts = finding.evidence
    about = {"run": finding.first_run.sequence, "base": facts.get("base")}
    if finding.kind == Finding.Kind.MASS_CHANGE:
        return mass.reasons(facts)
    if finding.kind == Finding.Kind.RESTLESS:
        text = _(
            "It changed while it was read, three times each, in %(runs)d complete runs in a row, since run %(run)d."
        )
        restless = text % {"runs": facts["runs"], "run": facts["since"]}
        return [restless, _("The list of all paths stands below.")] if finding.folded else [restless]
    if finding.kind == Finding.Kind.NO_NEW_FILE:
        last = clock(datetime.fromisoformat(facts["last_at"]))
        return [_("The newest file came with run %(run)s, %(when)s.") % {"run": facts["last"], "when": last}]
    said = [_("Run %(run)d found it; run %(base)s is the complete run before.") % about]
    if facts.get("base") is None:
        said = [_("Run %(run)d, the first one, found it.") % about]
    if finding.folded:
        return [*said, *_hidden(facts), _("The list of all paths stands below.")]
    return [*said, *_contents(facts), *_notes(finding, facts), *_error(facts), *_hidden(facts)]


def _contents(facts: dict[str, Any]) -> list[str]:
    old, new = facts.get("old") or {}, facts.get("new") or {}
    said = []
    if old.get("sha256") and new.get("sha256"):
        said.append(
            _("The content is another one (SHA-256 %(old)s…, now %(new)s…).")
            % {"old": old["sha256"][:12], "new": new["sha256"][:12]}
            if old["sha256"] != new["sha256"]
            else _("The content is the same (SHA-256 %(old)s…).") % {"old": old["sha256"][:12]}
        )
    if old.get("size") is not None and new.get("size") is not None:
        same = _("The size is the same.")
        other = _("The size was %(old)s and is %(new)s.") % {
            "old": exact_size(old["size"]), "new": exact_size(new["size"])
        }  # fmt: skip
        said.append(same if old["size"] == new["size"] else other)
    if old.get("mtime_ns") is not None and new.get("mtime_ns") is not None:
        said.append(
            _("The modification time is the same to the nanosecond.")
            if old["mtime_ns"] == new["mtime_ns"]
            else _("The modification time is another one.")
        )
    return said


def _notes(finding: Finding, facts: dict[str, Any]) -> list[str]:
    notes = facts.get("notes") or {}
    confirmed = notes.get("confirmed")
    said = _before_that(finding, facts)
    if confirmed:
        engines = ", ".join(str(name) for name in confirmed.get("engines", []))
        said.append(
            _("Two more reads, by %(engines)s, gave the same content: the disk holds it now.")
            % {"engines": plain_shown(engines)}
        )
        said.append(
            _("These reads were cold: nothing of the file was in the page cache before each of them.")
            if confirmed.get("cold")
            else _("These reads may have been answered from the page cache: the system does not tell.")
        )
        said.append(_ctime(finding, confirmed))
    elif finding.kind == Finding.Kind.REWRITTEN:
        said.append(_("The collector could not compare with the run before: whether the ctime changed is not known."))
    if "misread" in notes:
        said.append(_("The first read gave yet another content, which two more reads did not confirm."))
    if "clock" in notes:
        ahead = notes["clock"].get("mtime") == "future"
        said.append(
            _("The modification time lies ahead of the clock.") if ahead else _("The modification time went back.")
        )
    return said


def _ctime(finding: Finding, confirmed: dict[str, Any]) -> str:
    if not confirmed.get("ctime_same"):
        return _(
            "The ctime is another one, or proves nothing: too young, or not the file system's own. "
            "Somebody may have written."
        )
    if finding.kind == Finding.Kind.REWRITTEN:  # else it would be damage
        return _("The ctime is the same as in another run than the one before: of the time between nothing is known.")
    return _("The ctime is the same as in the run before: no program wrote through the file system.")


def _before_that(finding: Finding, facts: dict[str, Any]) -> list[str]:
    if facts.get("became") == Finding.Kind.REVERTED:
        return [_("It is an earlier content of this file, and nobody wrote it.")]
    relapse = finding.kind == Finding.Kind.REVERTED and finding.severity == Finding.Severity.CRITICAL
    return [_("This content was damage when it stood here before.")] if relapse else []


def _error(facts: dict[str, Any]) -> list[str]:
    new = facts.get("new") or {}
    if new.get("type") != 2:
        return []
    return [_("The system says %(error)s (at the step: %(stage)s).") % {"error": new["detail"], "stage": new["stage"]}]


def _hidden(facts: dict[str, Any]) -> list[str]:
    if not facts.get("hidden"):
        return []
    text = ngettext(
        "%(n)s path below it cannot be seen and is unknown.",
        "%(n)s paths below it cannot be seen and are unknown.",
        facts["hidden"],
    )
    return [text % {"n": number(facts["hidden"])}]


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
    Finding.Kind.MASS_CHANGE: lambda: _(
        "So much does not change on an ordinary day. The run is kept and shown, and the replica counts as held, "
        "whatever later runs say."
    ),
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
