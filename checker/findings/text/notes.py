"""Say what the notes of a run prove about a path: further reads, the ctime, the clock."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from scanner.formatting.names import visible_text


def describe_notes(notes: dict[str, Any], same_ctime: str) -> list[str]:
    """Return sentences about the notes. `same_ctime` is what it means that the ctime is the same."""
    sentences = []
    if confirmed := notes.get("confirmed"):
        sentences += _describe_confirmation(confirmed, same_ctime)
    return sentences + describe_reading(notes)


def describe_reading(notes: dict[str, Any]) -> list[str]:
    """Return sentences about a wrong first read and an odd clock."""
    sentences = []
    if "misread" in notes:
        sentences.append(_("The first read gave different content, which two more reads did not confirm."))
    if "clock" in notes:
        sentences.append(_describe_clock(notes["clock"]))
    return sentences


def ctime_proves_damage() -> str:
    """Return what an unchanged ctime means when the run was compared with the one before."""
    return _("The ctime is the same as in the previous run: no program wrote through the file system.")


def ctime_of_an_older_run() -> str:
    """Return what an unchanged ctime means when the collector compared with an older run than the one before."""
    return _("The ctime is the same as in some other run, not the previous one; what happened in between is not known.")


def _describe_confirmation(confirmed: dict[str, Any], same_ctime: str) -> list[str]:
    engines = ", ".join(str(name) for name in confirmed.get("engines", []))
    text = _("Two more reads (%(engines)s) gave the same content.")
    return [
        text % {"engines": visible_text(engines)},
        _describe_cache(confirmed),
        same_ctime if confirmed.get("ctime_same") else _ctime_proves_nothing(),
    ]


def _describe_cache(confirmed: dict[str, Any]) -> str:
    if confirmed.get("cold"):
        return _("These reads did not come from cache: before each of them, the page cache held nothing of the file.")
    return _("These reads may have come from the page cache; the system does not report it.")


def _ctime_proves_nothing() -> str:
    return _(
        "The ctime changed, or it proves nothing: it is too recent, or the file system does not maintain it "
        "itself. Somebody may have written the file."
    )


def _describe_clock(clock: dict[str, Any]) -> str:
    if clock.get("mtime") == "future":
        return _("The modification time is ahead of the clock.")
    return _("The modification time moved back.")
