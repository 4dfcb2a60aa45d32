"""A finding between replicas in words, and what speaks for what is said of a copy. Nothing is claimed beyond proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checker.divergences.queries import Row
from checker.divergences.verdicts import Why
from checker.models import Divergence, Finding
from scanner.format.records import ERROR
from scanner.formatting.entries import exact_time
from scanner.formatting.names import brief_plain, plain_shown
from scanner.formatting.numbers import exact_size, number

Copy = Divergence.Copy
ODD = frozenset({Copy.DAMAGED, Copy.OLDER, Copy.UNSURE})
"""Copies that are not as they should be."""
ABSENT = frozenset({Divergence.Cell.LOST, Divergence.Cell.UNSEEN, Divergence.Cell.UNREADABLE, Divergence.Cell.MOVED})
"""Where no copy is, or none that was read."""
KINDS = (Finding.Kind.LOST, Finding.Kind.MISMATCH)
"""What is found between replicas."""
_WHY: dict[Why, Callable[[], str]] = {
    Why.DAMAGED_HERE: lambda: _("its bytes changed beneath the file system; further reads confirmed it"),
    Why.REWRITTEN_HERE: lambda: _(
        "its content changed and its modification time did not, while another replica still holds what it held before: "
        "damage, or somebody wrote it and kept the time"
    ),
    Why.SPREAD: lambda: _("it holds what came to a replica by damage: a copy of the damage"),
    Why.HELD_BEFORE: lambda: _("it holds what the damaged copy held before"),
    Why.EDITED_HERE: lambda: _("it was edited here, with a later modification time"),
    Why.CAME_LATER: lambda: _("it holds what was edited elsewhere, with a later modification time"),
    Why.PUT_BACK: lambda: _("an earlier content was put back here"),
    Why.SUPERSEDED: lambda: _("a later edit has taken the place of this content elsewhere"),
    Why.MAJORITY: lambda: _("most votes hold this content, and no history speaks against it"),
    Why.OUTVOTED: lambda: _("same modification time, another content than most votes hold"),
    Why.OTHER_TIME: lambda: _("another modification time than the copies that are good: another version, or damage"),
    Why.NO_MAJORITY: lambda: _("there is no history of a change, and no majority"),
    Why.DOUBTFUL: lambda: _(
        "it was written and its time kept, or made from such a copy, and nobody holds what was there before: perhaps "
        "damage"
    ),
    Why.UNCLEAR: lambda: _("the contents came one after the other in a way that does not say which is right"),
}


def describe_reason(reason: str | None) -> str:
    """What speaks for what is said of a copy; empty where nothing is said."""
    return _WHY[Why(reason)]() if reason in set(Why) else ""


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
            "%(n)s path below %(path)s has several contents", "%(n)s paths below %(path)s have several contents",
            finding.number,
        )  # fmt: skip
        return text % about
    lacking = finding.evidence.get("lacking", [])
    if any(one["number"] != finding.number for one in lacking):
        each = ", ".join(f"{plain_shown(one['name'])} ({number(one['number'])})" for one in lacking)
        text = ngettext(
            "%(n)s path below %(path)s is missing, on some of: %(each)s",
            "%(n)s paths below %(path)s are missing, each on some of: %(each)s",
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
        return _("damaged on %(names)s, and no copy is known to be good: %(path)s") % about
    about["good"] = _names(facts["good"])
    return _("damaged on %(names)s, good on %(good)s: %(path)s") % about


def reasons(finding: Finding) -> list[str]:
    """The proofs: each copy, what is said of it, and why."""
    facts = finding.evidence
    said = [_("The replicas were compared with one another by their newest proven runs.")]
    if finding.folded:
        return [*said, _("The list of all paths stands below.")]
    return said + describe_copies(finding.kind, facts)


def describe_copies(kind: str, facts: dict[str, Any]) -> list[str]:
    """What is said of each copy of a path, and why; `facts` as `divergences.evidence` gathers them."""
    said = [_copy(one) for one in facts.get("copies", [])]
    if kind == Divergence.Kind.MISMATCH and facts.get("all_votes"):
        most = max(facts["votes"].values(), default=0)
        said.append(
            _("Votes: %(most)s of %(all)s for one content; a server and file system has one vote, and none when its "
              "replicas disagree; whoever is stale, held or failed has none, and history counts for more.")
            % {"most": most, "all": facts["all_votes"]}
        )  # fmt: skip
    if facts.get("alike"):
        said.append(spelling(facts["alike"]))
    return said


def describe_deviations(row: Row, names: Mapping[int, str]) -> str:
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
        return _("There is a name that differs only in Unicode normalisation, as macOS writes names.")
    return _("There is a name that differs only in letter case.")


def _copy(one: dict[str, Any]) -> str:
    name = plain_shown(one["name"])
    if one.get("sha256") or one.get("type"):
        return f"{name}: {_what(one)}"
    if one["cell"] == Divergence.Cell.LOST and one.get("ended"):
        return _("%(name)s: gone since run %(run)s.") % {"name": name, "run": one["ended"]}
    if one["cell"] == Divergence.Cell.LOST:
        return _("%(name)s: never there.") % {"name": name}
    label, other = Divergence.Cell(one["cell"]).label, one.get("other")
    return f"{name}: {label} → {brief_plain(plain_shown(other))}" if other else f"{name}: {label}"


def _what(one: dict[str, Any]) -> str:
    if one.get("type") == ERROR:
        return _("could not be read (%(error)s), since run %(run)d") % {
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
        return _(
            "Other replicas have what is missing here: it was lost, it was removed on purpose, or it has not come yet."
        )
    if finding.evidence.get("damaged") and finding.evidence.get("good"):
        return _("A copy is damaged, and a good one is known.")
    if finding.evidence.get("damaged"):
        return _("A copy is damaged, and of no other one it is known that it is good.")
    return _("The replicas hold different contents under one path, and which is right is not known for sure.")


def steps(finding: Finding) -> list[str]:
    """What to do next."""
    facts = finding.evidence
    if finding.kind == Finding.Kind.LOST:
        return [
            _("When it was removed on purpose, remove it on the others too, or accept it and say so."),
            _("Else copy it back from a replica that holds it, and find out who removed it."),
        ]
    if facts.get("damaged"):
        stop = _("Stop whatever copies from a damaged replica before it spreads the damage.")
        if not facts.get("good"):
            return [stop, _("Look for an older backup: no replica is known to hold a good copy.")]
        restore = _("Restore it from %(good)s, and let the collector run there again: the next comparison closes this.")
        return [
            stop,
            restore % {"good": _names(facts["good"])},
            _("Look at the disk before you trust it again: SMART values, the kernel's messages, a scrub."),
        ]
    return [
        _("Where a newer version is on its way, let the sync finish: the next comparison closes this."),
        _("Else look at the copies yourself, and put the right one everywhere."),
    ]


def _names(names: list[str]) -> str:
    return ", ".join(map(plain_shown, names)) or "?"
