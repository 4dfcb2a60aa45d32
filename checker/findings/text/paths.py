"""A finding of paths in words: which runs found it, what the path held before, and what it holds now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checker.changes import sides
from checker.changes.queries import Side
from checker.models import AuditEntry, Finding
from scanner.format.entry_type import EntryType
from scanner.formatting.entries import exact_time
from scanner.formatting.names import brief_plain, plain_shown
from scanner.formatting.numbers import exact_size, long_span, number


def restless(finding: Finding) -> list[str]:
    """The proofs that something never stands still."""
    facts = finding.evidence
    text = _(
        "The content changed while it was being read, three times in each of %(runs)d complete runs in "
        "a row, since run %(run)d."
    )
    said = [text % {"runs": facts["runs"], "run": facts["since"]}]
    return [*said, _("All paths are listed below.")] if finding.folded else said


def reasons(finding: Finding) -> list[str]:
    """The proofs: the runs, what was there when it was found first, and all that is known now."""
    facts = finding.latest_evidence
    said = [*_found(finding), *_then(finding), *seen_again(finding)]
    if finding.folded:
        hidden = facts if facts.get("hidden") else finding.evidence
        return [*said, *_hidden(hidden), _("All paths are listed below.")]
    if finding.kind == Finding.Kind.REMOVED:
        return [*said, *_removed(facts)]
    if finding.kind == Finding.Kind.MOVED and facts.get("other"):
        names = {"old": brief_plain(plain_shown(facts["other"])), "new": brief_plain(plain_shown(finding.path))}
        said.append(_("The path was %(old)s and is now %(new)s.") % names)
    return [
        *said,
        *_contents(facts),
        *_attributes(facts),
        *_notes(finding, facts),
        *_error(facts),
        *_hidden(facts),
    ]


def _removed(facts: dict[str, Any]) -> list[str]:
    """What was removed, and of what should stay until an age how old it was."""
    old = _side(facts.get("old"))
    said = (
        []
        if old is None or old.type == EntryType.ERROR
        else [_("Removed: %(what)s.") % {"what": ", ".join(_what(old))}]
    )
    age = facts.get("age")
    if age:
        about = {"age": long_span(timedelta(seconds=age["seconds"])), "kept": long_span(timedelta(age["kept_days"]))}
        by_time = _("By its modification time the file was %(age)s old; this group keeps files for %(kept)s.")
        said.append(
            (
                by_time
                if age["by_time"]
                else _("The file had been known for %(age)s; this group keeps files for %(kept)s.")
            )
            % about
        )
    return said


def _what(side: Side) -> list[str]:
    said = [sides.what(side)]
    if side.type == EntryType.LINK:
        said = [f"{said[0]} → {brief_plain(plain_shown(side.detail or ''))}"]
    if side.size is not None:
        said.append(exact_size(side.size))
    if side.mtime_ns is not None:
        said.append(exact_time(side.mtime_ns))
    return [*said, f"SHA-256 {side.sha256[:12]}…"] if side.sha256 else said


def _attributes(facts: dict[str, Any]) -> list[str]:
    """What else differs: type, target, mode, owner, from what to what; of what cannot be read nothing is known."""
    old, new = _side(facts.get("old")), _side(facts.get("new"))
    if old is None or new is None or EntryType.ERROR in (old.type, new.type):
        return []
    return [
        f"{one.label}: {brief_plain(one.old) or '–'} → {brief_plain(one.new) or '–'}"
        for one in sides.attributes(old, new)
    ]


def _side(facts: dict[str, Any] | None) -> Side | None:
    """A side of a change as the evidence keeps it."""
    if not facts:
        return None
    kept = {name: facts.get(name) for name in Side._fields if name not in ("type", "from_seq")}
    return Side(type=facts["type"], from_seq=facts.get("from", 0), **kept)


def _found(finding: Finding) -> list[str]:
    base = finding.evidence.get("base")
    if base is None:
        return [_("Run %(run)d, the first one, found this.") % {"run": finding.first_run.sequence}]
    about = {"run": finding.first_run.sequence, "base": base}
    return [_("Run %(run)d found this; the previous complete run is %(base)s.") % about]


def seen_again(finding: Finding) -> list[str]:
    """The run that told of it last; empty for what was told once."""
    seen = (
        finding.audit_entries.filter(action=AuditEntry.Action.SEEN_AGAIN, run__isnull=False)
        .select_related("run")
        .last()
    )
    if finding.latest_evidence is finding.evidence or seen is None or seen.run is None:
        return []
    about = {"run": seen.run.sequence, "base": finding.latest_evidence.get("base")}
    return [_("Run %(run)d found this again; the previous complete run is %(base)s.") % about]


def _then(finding: Finding) -> list[str]:
    """The first change of what changed again."""
    old, then = ((finding.evidence.get(side) or {}).get("sha256") for side in ("old", "new"))
    if finding.latest_evidence is finding.evidence or not old or not then or old == then:
        return []
    text = _("The content changed in that run (SHA-256 %(old)s…, then %(new)s…).")
    return [text % {"old": old[:12], "new": then[:12]}]


def _contents(facts: dict[str, Any]) -> list[str]:
    old, new = facts.get("old") or {}, facts.get("new") or {}
    said = []
    if old.get("sha256") and new.get("sha256"):
        said.append(
            _("The content is different (SHA-256 %(old)s…, now %(new)s…).")
            % {"old": old["sha256"][:12], "new": new["sha256"][:12]}
            if old["sha256"] != new["sha256"]
            else _("The content is the same (SHA-256 %(old)s…).") % {"old": old["sha256"][:12]}
        )
    if old.get("size") is not None and new.get("size") is not None:
        same = _("The size is the same.")
        other = _("The size was %(old)s and is now %(new)s.") % {
            "old": exact_size(old["size"]), "new": exact_size(new["size"])
        }  # fmt: skip
        said.append(same if old["size"] == new["size"] else other)
    if old.get("mtime_ns") is not None and new.get("mtime_ns") is not None:
        said.append(
            _("The modification time is the same to the nanosecond.")
            if old["mtime_ns"] == new["mtime_ns"]
            else _("The modification time was %(old)s and is now %(new)s.")
            % {"old": exact_time(old["mtime_ns"]), "new": exact_time(new["mtime_ns"])}
        )
    return said


def _notes(finding: Finding, facts: dict[str, Any]) -> list[str]:
    notes = facts.get("notes") or {}
    confirmed = notes.get("confirmed")
    said = _before_that(finding, facts)
    if confirmed:
        engines = ", ".join(str(name) for name in confirmed.get("engines", []))
        said.append(_("Two more reads (%(engines)s) gave the same content.") % {"engines": plain_shown(engines)})
        said.append(
            _("These reads did not come from cache: before each of them, the page cache held nothing of the file.")
            if confirmed.get("cold")
            else _("These reads may have come from the page cache; the system does not report it.")
        )
        said.append(_ctime(finding, confirmed))
    elif finding.kind == Finding.Kind.REWRITTEN:
        said.append(
            _("The collector could not compare with the previous run, so it is not known whether the ctime changed.")
        )
    if "misread" in notes:
        said.append(_("The first read gave different content, which two more reads did not confirm."))
    if "clock" in notes:
        ahead = notes["clock"].get("mtime") == "future"
        said.append(
            _("The modification time is ahead of the clock.") if ahead else _("The modification time moved back.")
        )
    return said


def _ctime(finding: Finding, confirmed: dict[str, Any]) -> str:
    if not confirmed.get("ctime_same"):
        return _(
            "The ctime changed, or it proves nothing: it is too recent, or the file system does not "
            "maintain it itself. Somebody may have written the file."
        )
    if finding.kind == Finding.Kind.REWRITTEN:  # else it would be damage
        return _(
            "The ctime is the same as in some other run, not the previous one; what happened in between is not known."
        )
    return _("The ctime is the same as in the previous run: no program wrote through the file system.")


def _before_that(finding: Finding, facts: dict[str, Any]) -> list[str]:
    if facts.get("became") == Finding.Kind.REVERTED:
        return [_("The file has an earlier content again, although no program wrote it.")]
    relapse = finding.kind == Finding.Kind.REVERTED and finding.severity == Finding.Severity.CRITICAL
    return [_("The file had this content before, and it was damage then.")] if relapse else []


def _error(facts: dict[str, Any]) -> list[str]:
    new = facts.get("new") or {}
    if new.get("type") != 2:
        return []
    return [_("The system reported %(error)s (step: %(stage)s).") % {"error": new["detail"], "stage": new["stage"]}]


def _hidden(facts: dict[str, Any]) -> list[str]:
    if not facts.get("hidden"):
        return []
    text = ngettext(
        "%(n)s path below cannot be seen, so its state is unknown.",
        "%(n)s paths below cannot be seen, so their state is unknown.",
        facts["hidden"],
    )
    return [text % {"n": number(facts["hidden"])}]
