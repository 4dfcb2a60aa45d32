"""Say what each replica has at a path, and what speaks for calling a copy good or damaged.

`facts` is the evidence of one path, as `divergences.evidence` builds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from checker.divergences.kinds import REASONS
from checker.divergences.queries import DivergenceRow
from checker.divergences.verdicts import VerdictReason
from checker.models import Divergence, Finding
from scanner.format.entry_type import EntryType
from scanner.formatting.entries import exact_file_time
from scanner.formatting.names import short_text, visible_text
from scanner.formatting.numbers import exact_size

Copy = Divergence.CopyVerdict

DEVIATING_COPIES = frozenset({Copy.DAMAGED, Copy.OLDER, Copy.UNSURE})
"""Copies that are not as they should be."""
DEVIATING_CELLS = frozenset(
    {Divergence.Cell.LOST, Divergence.Cell.UNSEEN, Divergence.Cell.UNREADABLE, Divergence.Cell.MOVED}
)
"""Places where there is no copy, or none that was read."""


def describe_reason(reason: str | None) -> str:
    """Return what speaks for a verdict on a copy; empty where there is none."""
    if reason not in set(VerdictReason):
        return ""
    return str(REASONS[VerdictReason(reason)])


def reasons(finding: Finding) -> list[str]:
    """Return the proofs of a finding between replicas: each copy, its verdict, and why."""
    sentences = [_("The comparison used the newest proven run of each replica.")]
    if finding.folded:
        return [*sentences, _("All paths are listed below.")]
    return sentences + describe_copies(finding.kind, finding.evidence)


def describe_copies(kind: str, facts: dict[str, Any]) -> list[str]:
    """Return a line for each copy of a path, and what is known of votes and of names that look alike."""
    lines = [_describe_copy(copy) for copy in facts.get("copies", [])]

    if kind == Divergence.Kind.MISMATCH and facts.get("all_votes"):
        text = _(
            "Most votes for one content: %(most)s of %(all)s. Each server and file system has one vote; "
            "history counts for more."
        )
        lines.append(text % {"most": max(facts["votes"].values(), default=0), "all": facts["all_votes"]})
    if facts.get("alike"):
        lines.append(_describe_spelling(facts["alike"]))
    return lines


def describe_deviations(divergence: DivergenceRow, names: Mapping[int, str]) -> str:
    """Return where a path is not as it should be, and what it is there. `names`: position → name of the replica."""
    names_by_label: dict[str, list[str]] = {}
    for position, name in sorted(names.items()):
        cell = divergence.cells[position - 1 : position]
        copy = divergence.judged[position - 1 : position]
        if copy in DEVIATING_COPIES:
            label = str(Copy(copy).label)
        elif cell in DEVIATING_CELLS:
            label = str(Divergence.Cell(cell).label)
        else:
            continue
        names_by_label.setdefault(label, []).append(name)
    return "; ".join(f"{label}: {join_names(labelled)}" for label, labelled in names_by_label.items())


def join_names(names: Iterable[str]) -> str:
    """Return names of replicas as a list in a sentence; a question mark where nobody knows them."""
    return ", ".join(map(visible_text, names)) or "?"


def _describe_spelling(alike: str) -> str:
    if alike == "unicode":
        return _("Another name differs only in Unicode normalisation, as in names written by macOS.")
    return _("Another name differs only in letter case.")


def _describe_copy(copy: dict[str, Any]) -> str:
    name = visible_text(copy["name"])
    if copy.get("type") == EntryType.ERROR:
        return f"{name}: {_describe_unreadable(copy)}"
    if copy.get("sha256") or copy.get("type"):
        return f"{name}: {_describe_content(copy)}"

    if copy["cell"] == Divergence.Cell.LOST:
        if copy.get("ended"):
            return _("%(name)s: missing since run %(run)s.") % {"name": name, "run": copy["ended"]}
        return _("%(name)s: never present.") % {"name": name}

    label = Divergence.Cell(copy["cell"]).label
    if copy.get("other"):
        return f"{name}: {label} → {short_text(visible_text(copy['other']))}"
    return f"{name}: {label}"


def _describe_unreadable(copy: dict[str, Any]) -> str:
    values = {"error": visible_text(copy["detail"]), "run": copy["since"]}
    return _("unreadable since run %(run)d (%(error)s)") % values


def _describe_content(copy: dict[str, Any]) -> str:
    parts = []
    if copy["copy"].strip():
        parts.append(str(Copy(copy["copy"]).label))
    if copy.get("sha256"):
        parts.append(f"SHA-256 {copy['sha256'][:12]}…")
    if copy.get("size") is not None:
        parts.append(exact_size(copy["size"]))
    if copy.get("mtime_ns") is not None:
        parts.append(exact_file_time(copy["mtime_ns"]))
    parts.append(_("since run %(run)d") % {"run": copy["since"]})

    text = ", ".join(parts)
    reason = describe_reason(copy.get("why"))
    if reason:
        text = f"{text}: {reason}"
    return text
