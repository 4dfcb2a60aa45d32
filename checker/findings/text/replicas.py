"""A finding between replicas in words, and what speaks for what is said of a copy. Nothing is claimed beyond proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checker.divergences.queries import DivergenceRow
from checker.divergences.verdicts import Reason
from checker.models import Divergence, Finding
from scanner.format.entry_type import EntryType
from scanner.formatting.entries import exact_time
from scanner.formatting.names import brief_plain, plain_shown
from scanner.formatting.numbers import exact_size, number

Copy = Divergence.CopyVerdict
ODD = frozenset({Copy.DAMAGED, Copy.OLDER, Copy.UNSURE})
"""Copies that are not as they should be."""
ABSENT = frozenset({Divergence.Cell.LOST, Divergence.Cell.UNSEEN, Divergence.Cell.UNREADABLE, Divergence.Cell.MOVED})
"""Where no copy is, or none that was read."""
KINDS = (Finding.Kind.LOST, Finding.Kind.MISMATCH)
"""What is found between replicas."""
_WHY: dict[Reason, Callable[[], str]] = {
    Reason.DAMAGED_HERE: lambda: _("its bytes changed below the file system; repeated reads confirmed it"),
    Reason.REWRITTEN_HERE: lambda: _(
        "its content changed but its modification time did not, and another replica still has the "
        "previous content: damage, or somebody wrote the file and kept its date"
    ),
    Reason.SPREAD: lambda: _("it has content that appeared on some replica through damage: a copy of the damage"),
    Reason.HELD_BEFORE: lambda: _("it has the content that the damaged copy had before"),
    Reason.EDITED_HERE: lambda: _("it was edited here, with a later modification time"),
    Reason.CAME_LATER: lambda: _("it has an edit made on another replica, with a later modification time"),
    Reason.PUT_BACK: lambda: _("earlier content was put back here"),
    Reason.SUPERSEDED: lambda: _("a later edit replaced this content on another replica"),
    Reason.MAJORITY: lambda: _("most votes are for this content, and nothing in the history contradicts them"),
    Reason.OUTVOTED: lambda: _("same modification time, but not the content of the majority"),
    Reason.OTHER_TIME: lambda: _("its modification time differs from the good copies: another version, or damage"),
    Reason.NO_MAJORITY: lambda: _("no history of a change, and no majority"),
    Reason.DOUBTFUL: lambda: _(
        "it was written with its date kept, or made from such a copy, and no replica has the previous "
        "content any more: possible damage"
    ),
    Reason.UNCLEAR: lambda: _("the history of these contents does not show which one is right"),
}


def describe_reason(reason: str | None) -> str:
    """What speaks for what is said of a copy; empty where nothing is said."""
    return _WHY[Reason(reason)]() if reason in set(Reason) else ""


def title(finding: Finding) -> str:
    """The finding in one line."""
    facts = finding.evidence
    about = {"path": plain_shown(finding.path), "names": _names(_lacking(facts))}
    if finding.folded:
        return _folded_title(finding, about | {"n": number(finding.number), "path": about["path"] or "/"})
    if finding.kind == Finding.Kind.LOST:
        return _("missing on %(names)s: %(path)s") % about
    if facts.get("damaged"):
        return _damaged_title(facts, about)
    return _("contents differ: %(path)s") % about


def _folded_title(finding: Finding, about: dict[str, str]) -> str:
    if finding.kind != Finding.Kind.LOST:
        text = ngettext(
            "contents differ at %(n)s path below %(path)s", "contents differ at %(n)s paths below %(path)s",
            finding.number,
        )  # fmt: skip
        return text % about
    lacking = finding.evidence.get("lacking", [])
    if any(one["number"] != finding.number for one in lacking):
        each = ", ".join(f"{plain_shown(one['name'])} ({number(one['number'])})" for one in lacking)
        text = ngettext(
            "%(n)s path below %(path)s is missing on %(each)s",
            "%(n)s paths below %(path)s are missing on %(each)s",
            finding.number,
        )
        return text % (about | {"each": each})
    text = ngettext(
        "%(n)s path below %(path)s is missing on %(names)s",
        "%(n)s paths below %(path)s are missing on %(names)s",
        finding.number,
    )
    return text % about


def _lacking(facts: dict[str, Any]) -> list[str]:
    """Who lacks something of what is told."""
    return [one["name"] for one in facts["lacking"]] if facts.get("lacking") else facts.get("names", [])


def _damaged_title(facts: dict[str, Any], about: dict[str, str]) -> str:
    about["names"] = _names([one["name"] for one in facts["copies"] if one["copy"] == Copy.DAMAGED])
    if not facts.get("good"):
        return _("damaged on %(names)s, no copy known to be good: %(path)s") % about
    about["good"] = _names(facts["good"])
    return _("damaged on %(names)s, good on %(good)s: %(path)s") % about


def reasons(finding: Finding) -> list[str]:
    """The proofs: each copy, what is said of it, and why."""
    facts = finding.evidence
    said = [_("The comparison used the newest proven run of each replica.")]
    if finding.folded:
        return [*said, _("All paths are listed below.")]
    return said + describe_copies(finding.kind, facts)


def describe_copies(kind: str, facts: dict[str, Any]) -> list[str]:
    """What is said of each copy of a path, and why; `facts` as `divergences.evidence` gathers them."""
    said = [_copy(one) for one in facts.get("copies", [])]
    if kind == Divergence.Kind.MISMATCH and facts.get("all_votes"):
        most = max(facts["votes"].values(), default=0)
        said.append(
            _("Most votes for one content: %(most)s of %(all)s. Each server and file system has one vote; "
"history counts for more.")
            % {"most": most, "all": facts["all_votes"]}
        )  # fmt: skip
    if facts.get("alike"):
        said.append(spelling(facts["alike"]))
    return said


def describe_deviations(row: DivergenceRow, names: Mapping[int, str]) -> str:
    """Where a path is not as it should be, and what it is there; `names` are by position."""
    found: dict[str, list[str]] = {}
    for at, name in sorted(names.items()):
        cell, judged = row.cells[at - 1 : at], row.judged[at - 1 : at]
        if judged in ODD:
            found.setdefault(str(Copy(judged).label), []).append(name)
        elif cell in ABSENT:
            found.setdefault(str(Divergence.Cell(cell).label), []).append(name)
    return "; ".join(f"{label}: {_names(some)}" for label, some in found.items())


def spelling(alike: str) -> str:
    """How two names differ that look alike."""
    if alike == "unicode":
        return _("Another name differs only in Unicode normalisation, as in names written by macOS.")
    return _("Another name differs only in letter case.")


def _copy(one: dict[str, Any]) -> str:
    name = plain_shown(one["name"])
    if one.get("sha256") or one.get("type"):
        return f"{name}: {_what(one)}"
    if one["cell"] == Divergence.Cell.LOST and one.get("ended"):
        return _("%(name)s: missing since run %(run)s.") % {"name": name, "run": one["ended"]}
    if one["cell"] == Divergence.Cell.LOST:
        return _("%(name)s: never present.") % {"name": name}
    label, other = Divergence.Cell(one["cell"]).label, one.get("other")
    return f"{name}: {label} → {brief_plain(plain_shown(other))}" if other else f"{name}: {label}"


def _what(one: dict[str, Any]) -> str:
    if one.get("type") == EntryType.ERROR:
        return _("unreadable since run %(run)d (%(error)s)") % {
            "error": plain_shown(one["detail"]), "run": one["since"]
        }  # fmt: skip
    said = []
    if one["copy"].strip():
        said.append(str(Copy(one["copy"]).label))
    if one.get("sha256"):
        said.append(f"SHA-256 {one['sha256'][:12]}…")
    if one.get("size") is not None:
        said.append(exact_size(one["size"]))
    if one.get("mtime_ns") is not None:
        said.append(exact_time(one["mtime_ns"]))
    said.append(_("since run %(run)d") % {"run": one["since"]})
    reason = describe_reason(one.get("why"))
    return ", ".join(said) + (f": {reason}" if reason else "")


def means(finding: Finding) -> str:
    """What it means."""
    if finding.kind == Finding.Kind.LOST:
        return _("Other replicas have this data. Here it was lost, was removed on purpose, or has not arrived yet.")
    if finding.evidence.get("damaged") and finding.evidence.get("good"):
        return _("A copy is damaged; a good copy is known.")
    if finding.evidence.get("damaged"):
        return _("A copy is damaged, and no other copy is known to be good.")
    return _("The replicas have different contents at the same path, and it is not certain which is right.")


def steps(finding: Finding) -> list[str]:
    """What to do next."""
    facts = finding.evidence
    if finding.kind == Finding.Kind.LOST:
        return [
            _(
                "If it was removed on purpose, remove it from the other replicas too, or accept the finding and "
                "note why."
            ),
            _("Otherwise copy it back from a replica that has it, and find out who removed it."),
        ]
    if facts.get("damaged"):
        stop = _("Stop everything that copies from a damaged replica before it spreads the damage.")
        if not facts.get("good"):
            return [stop, _("Look for an older backup: no replica is known to have a good copy.")]
        restore = _(
            "Restore the file from %(good)s, then run the collector on the damaged replica: the next "
            "comparison closes the finding."
        )
        return [
            stop,
            restore % {"good": _names(facts["good"])},
            _("Check the disk before you trust it again: SMART values, kernel messages, a file system scrub."),
        ]
    return [
        _("If a newer version is on its way, let the sync finish: the next comparison closes the finding."),
        _("Otherwise check the copies yourself and put the right one on every replica."),
    ]


def _names(names: list[str]) -> str:
    return ", ".join(map(plain_shown, names)) or "?"
