"""The two sides of a change, value by value: only what differs."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.translation import gettext as _

from checker.changes.queries import ChangeRow, ChangeSide
from scanner.format.entry_type import EntryType
from scanner.formatting.entries import error_text, exact_file_time, permissions, special_text, stage_text
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import exact_size


class Difference(NamedTuple):
    """A value that is another one now, as text; empty on the side that has none."""

    label: str
    old: str
    new: str
    mono: bool = False


def differences(row: ChangeRow) -> list[Difference]:
    """What differs between the sides of a change, in the order in which a person asks for it."""
    return _between(row.old, row.new)


def attribute_differences(before: ChangeSide, now: ChangeSide) -> list[Difference]:
    """What differs besides content, size and time, as far as both sides have it; where a link leads in any case."""
    leads = {_("Points to"), _("Hard link to")}
    told = {_("Type"), _("Mode"), _("Owner, group")} | leads
    found = [one for one in _between(before, now) if one.label in told]
    return [one for one in found if (one.old and one.new) or one.label in leads]


def type_name(side: ChangeSide) -> str:
    """What a version is, in a word."""
    return _values(side)[_("Type")]


def _between(before: ChangeSide | None, now: ChangeSide | None) -> list[Difference]:
    old, new = _values(before), _values(now)
    labels = [label for label in _order() if old.get(label) != new.get(label)]
    mono = {"SHA-256", "MD5", _("Mode")}
    return [Difference(label, old.get(label, ""), new.get(label, ""), label in mono) for label in labels]


def _order() -> list[str]:
    return [
        _("Type"), _("Size"), _("Modified"), "SHA-256", "MD5", _("Mode"), _("Owner, group"), _("Points to"),
        _("Hard link to"), _("Error"),
    ]  # fmt: skip


def _values(side: ChangeSide | None) -> dict[str, str]:
    """The values of a version by their labels."""
    if side is None:
        return {}
    if side.type == EntryType.FILE:
        return _file(side)
    detail = visible_text(side.detail or "")
    if side.type == EntryType.LINK:
        return {_("Type"): _("link"), _("Points to"): detail}
    if side.type == EntryType.ERROR:
        words = error_text(side.detail or "")
        said = f"{detail} ({words})" if words else detail
        return {_("Type"): _("error"), _("Error"): f"{said}, {stage_text(side.stage)}" if side.stage else said}
    return {_("Type"): special_text(side.detail or "")}


def _file(side: ChangeSide) -> dict[str, str]:
    values = {_("Type"): _("file"), "SHA-256": side.sha256 or "", "MD5": side.md5 or ""}
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
