"""A mass change in words: how much of it, what is usual, and what made it one."""

from __future__ import annotations

from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checker.findings.mass_change import Limits
from scanner.formatting.names import plain_shown
from scanner.formatting.numbers import number


def title(facts: dict[str, Any]) -> str:
    """The finding in one line."""
    if facts.get("ending"):
        text = ngettext(
            "%(n)s file got the new extension .%(ending)s and different content",
            "%(n)s files got the new extension .%(ending)s and different content",
            facts["renamed"],
        )
        return text % {"n": number(facts["renamed"]), "ending": plain_shown(facts["ending"])}
    text = ngettext(
        "%(n)s of %(all)s files was changed or removed",
        "%(n)s of %(all)s files were changed or removed",
        facts["changed"],
    )
    return text % {"n": number(facts["changed"]), "all": number(facts["files"])}


def reasons(facts: dict[str, Any]) -> list[str]:
    """The proofs."""
    said = []
    if facts.get("ending"):
        said.append(_ransom(facts))
    if facts.get("emptied"):
        text = _(
            "%(n)s of %(all)s files were removed, more than half. Where the group sets no limits, this "
            "alone puts the replica on hold."
        )
        said.append(text % {"n": number(facts["emptied"]), "all": number(facts["files"])})
    said += _numbers(facts)
    if facts.get("good"):
        said.append(_("The last good run is run %(run)s: proven and without damage.") % {"run": facts["good"]})
    else:
        said.append(_("No earlier run is known to be good: none is both proven and without damage."))
    return said


def means(facts: dict[str, Any], held: bool) -> str:
    """What it means, while the replica is held and once it was released."""
    text = _("This much does not normally change at once.")
    if facts.get("ending") and not facts.get("emptied") and not _too_many(facts):
        text = _("Ransomware leaves files like this. It is also possible that somebody packed or converted them.")
    state = _("The run is kept and shown, but the replica stays on hold, whatever later runs report.")
    if not held:
        state = _(
            "The change was intended: the replica is no longer on hold, and later runs are compared with "
            "its present state."
        )
    return f"{text} {state}"


def _too_many(facts: dict[str, Any]) -> bool:
    limits = Limits(facts["limit_files"], facts["limit_permille"], facts["automatic"])
    return limits.passed(facts["changed"], facts["files"])


def _numbers(facts: dict[str, Any]) -> list[str]:
    """How much of it changed; its limits and where they come from only when it is more than they allow."""
    about = {
        "n": number(facts["changed"]),
        "all": number(facts["files"]),
        "share": number_format(facts["permille"] / 10, 1),
        "limit": number(facts["limit_files"]),
        "permille": number_format(facts["limit_permille"] / 10, 1),
    }
    if not _too_many(facts):
        if facts.get("emptied"):
            return []  # said already, and enough by itself
        text = _(
            "%(n)s of %(all)s files (%(share)s %%) were changed or removed; this alone would not put the "
            "replica on hold."
        )
        return [text % about]
    text = _(
        "%(n)s of %(all)s files (%(share)s %%) were changed or removed. The replica goes on hold at "
        "more than %(limit)s files and more than %(permille)s %%."
    )
    if not facts["automatic"]:
        return [text % about]
    if facts.get("learned"):
        return [text % about, _("Limits that the group does not set come from the replica's own history.")]
    young = _("Where the group sets no limit, the default applies until enough runs exist.")
    return [text % about, young]


def _ransom(facts: dict[str, Any]) -> str:
    had = facts.get("had_ending")
    if not had:
        text = _(
            "No file had the extension .%(ending)s before, and the content of each renamed file is "
            "different: ransomware does this."
        )
        return text % {"ending": plain_shown(facts["ending"])}
    text = ngettext(
        "Only %(n)s file had the extension .%(ending)s before, and the content of each renamed file is "
        "different: ransomware does this.",
        "Only %(n)s files had the extension .%(ending)s before, and the content of each renamed file is "
        "different: ransomware does this.",
        had,
    )
    return text % {"n": number(had), "ending": plain_shown(facts["ending"].rpartition(".")[2])}
