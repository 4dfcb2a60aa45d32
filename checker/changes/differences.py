"""Show what differs between the two sides of a change, value by value, as text."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.translation import gettext as _

from checker.changes.queries import ChangeRow, ChangeSide
from scanner.format.entry_type import EntryType
from scanner.formatting.entries import error_text, exact_file_time, permissions, special_text, stage_text
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import exact_size


class Difference(NamedTuple):
    """A value that differs. It is empty on the side that has none."""

    label: str
    old: str
    new: str
    mono: bool = False
    """Whether it is shown in a fixed-width font."""


def differences(row: ChangeRow) -> list[Difference]:
    """Return what differs between the sides of a change, in the order in which a person asks for it."""
    return _compare(row.old, row.new)


def attribute_differences(old: ChangeSide, new: ChangeSide) -> list[Difference]:
    """Return what differs besides content, size and time.

    A value that one side lacks is left out, unless it is the target of a link.
    """
    # Labels are translated, so they are compared in the language of the reader.
    targets = {_("Points to"), _("Hard link to")}
    attributes = {_("Type"), _("Mode"), _("Owner, group")}

    chosen = []
    for difference in _compare(old, new):
        is_on_both = bool(difference.old and difference.new)
        if difference.label in targets or (difference.label in attributes and is_on_both):
            chosen.append(difference)
    return chosen


def type_name(side: ChangeSide) -> str:
    """Return the type of a version in a word."""
    return _values(side)[_("Type")]


def _compare(old: ChangeSide | None, new: ChangeSide | None) -> list[Difference]:
    old_values = _values(old)
    new_values = _values(new)
    fixed_width = {"SHA-256", "MD5", _("Mode")}

    differing = []
    for label in _labels():
        old_value = old_values.get(label)
        new_value = new_values.get(label)
        if old_value != new_value:
            differing.append(Difference(label, old_value or "", new_value or "", mono=label in fixed_width))
    return differing


def _labels() -> list[str]:
    """Return all labels in the order of the page."""
    return [
        _("Type"),
        _("Size"),
        _("Modified"),
        "SHA-256",
        "MD5",
        _("Mode"),
        _("Owner, group"),
        _("Points to"),
        _("Hard link to"),
        _("Error"),
    ]


def _values(side: ChangeSide | None) -> dict[str, str]:
    """Return the values of a version by their labels."""
    if side is None:
        return {}

    detail = visible_text(side.detail or "")
    if side.type == EntryType.FILE:
        return _file_values(side)
    if side.type == EntryType.LINK:
        return {_("Type"): _("link"), _("Points to"): detail}
    if side.type == EntryType.ERROR:
        return {_("Type"): _("error"), _("Error"): _error_words(side, detail)}
    return {_("Type"): special_text(side.detail or "")}


def _error_words(side: ChangeSide, name: str) -> str:
    """Return the name of an error with what it means and what failed."""
    words = error_text(side.detail or "")
    text = f"{name} ({words})" if words else name
    return f"{text}, {stage_text(side.stage)}" if side.stage else text


def _file_values(side: ChangeSide) -> dict[str, str]:
    values = {_("Type"): _("file"), "SHA-256": side.sha256 or "", "MD5": side.md5 or ""}

    # An import without a signature knows none of these.
    if side.size is not None and side.mtime_ns is not None and side.mode is not None:
        values |= {
            _("Size"): exact_size(side.size),
            _("Modified"): exact_file_time(side.mtime_ns),
            _("Mode"): permissions(side.mode),
            _("Owner, group"): f"{side.uid}, {side.gid}",
        }
    if side.detail:
        values[_("Hard link to")] = visible_text(side.detail)
    return values
