"""Say what a path was before a finding, what it is now, and what is not known of it.

`facts` is the evidence of a finding of one path, as `candidates.describe` gathers it.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checker.changes import differences
from checker.changes.queries import ChangeSide
from scanner.format.entry_type import EntryType
from scanner.formatting.entries import exact_file_time, stage_text
from scanner.formatting.names import short_text, visible_text
from scanner.formatting.numbers import exact_size, number


def describe_move(facts: dict[str, Any], path: str) -> list[str]:
    """Return a sentence about both paths of what moved."""
    if not facts.get("other"):
        return []

    values = {"old": short_text(visible_text(facts["other"])), "new": short_text(visible_text(path))}
    return [_("The path was %(old)s and is now %(new)s.") % values]


def describe_content(facts: dict[str, Any]) -> list[str]:
    """Return sentences about content, size and modification time, as far as both versions have them."""
    old = facts.get("old") or {}
    new = facts.get("new") or {}
    sentences = []

    if old.get("sha256") and new.get("sha256"):
        sentences.append(_compare_digests(old["sha256"], new["sha256"]))
    if old.get("size") is not None and new.get("size") is not None:
        sentences.append(_compare_sizes(old["size"], new["size"]))
    if old.get("mtime_ns") is not None and new.get("mtime_ns") is not None:
        sentences.append(_compare_times(old["mtime_ns"], new["mtime_ns"]))
    return sentences


def describe_attributes(facts: dict[str, Any]) -> list[str]:
    """Return lines about what else differs: type, target, mode, owner. Of what cannot be read nothing is known."""
    old = _read_side(facts.get("old"))
    new = _read_side(facts.get("new"))
    if old is None or new is None or EntryType.ERROR in (old.type, new.type):
        return []

    return [
        f"{difference.label}: {short_text(difference.old) or '–'} → {short_text(difference.new) or '–'}"
        for difference in differences.attribute_differences(old, new)
    ]


def describe_removed(facts: dict[str, Any]) -> list[str]:
    """Return a sentence about what was removed; nothing when it could not be read before."""
    old = _read_side(facts.get("old"))
    if old is None or old.type == EntryType.ERROR:
        return []

    what = differences.type_name(old)
    if old.type == EntryType.LINK:
        what = f"{what} → {short_text(visible_text(old.detail or ''))}"

    parts = [what]
    if old.size is not None:
        parts.append(exact_size(old.size))
    if old.mtime_ns is not None:
        parts.append(exact_file_time(old.mtime_ns))
    if old.sha256:
        parts.append(f"SHA-256 {old.sha256[:12]}…")
    return [_("Removed: %(what)s.") % {"what": ", ".join(parts)}]


def describe_error(facts: dict[str, Any]) -> list[str]:
    """Return a sentence about the error of a path that cannot be read now."""
    new = facts.get("new") or {}
    if new.get("type") != EntryType.ERROR:
        return []

    values = {"error": new["detail"], "stage": stage_text(new["stage"])}
    return [_("The system reported %(error)s (step: %(stage)s).") % values]


def describe_hidden_paths(facts: dict[str, Any]) -> list[str]:
    """Return a sentence about the paths below a directory that cannot be listed."""
    if not facts.get("hidden"):
        return []

    text = ngettext(
        "%(n)s path below cannot be seen, so its state is unknown.",
        "%(n)s paths below cannot be seen, so their state is unknown.",
        facts["hidden"],
    )
    return [text % {"n": number(facts["hidden"])}]


def _compare_digests(old: str, new: str) -> str:
    if old == new:
        return _("The content is the same (SHA-256 %(old)s…).") % {"old": old[:12]}

    text = _("The content is different (SHA-256 %(old)s…, now %(new)s…).")
    return text % {"old": old[:12], "new": new[:12]}


def _compare_sizes(old: int, new: int) -> str:
    if old == new:
        return _("The size is the same.")
    return _("The size was %(old)s and is now %(new)s.") % {"old": exact_size(old), "new": exact_size(new)}


def _compare_times(old: int, new: int) -> str:
    if old == new:
        return _("The modification time is the same to the nanosecond.")

    values = {"old": exact_file_time(old), "new": exact_file_time(new)}
    return _("The modification time was %(old)s and is now %(new)s.") % values


def _read_side(facts: dict[str, Any] | None) -> ChangeSide | None:
    """Return a version as a side of a change; None where there is none."""
    if not facts:
        return None

    stored = {name: facts.get(name) for name in ChangeSide._fields if name not in ("type", "from_seq")}
    return ChangeSide(type=facts["type"], from_seq=facts.get("from", 0), **stored)
