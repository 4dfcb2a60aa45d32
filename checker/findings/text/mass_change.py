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
            "%(n)s file got the new ending .%(ending)s and another content",
            "%(n)s files got the new ending .%(ending)s and another content",
            facts["renamed"],
        )
        return text % {"n": number(facts["renamed"]), "ending": plain_shown(facts["ending"])}
    text = ngettext(
        "%(n)s of %(all)s files changed or went", "%(n)s of %(all)s files changed or went", facts["changed"]
    )
    return text % {"n": number(facts["changed"]), "all": number(facts["files"])}


def reasons(facts: dict[str, Any]) -> list[str]:
    """The proofs."""
    said = []
    if facts.get("ending"):
        said.append(_ransom(facts))
    if facts.get("emptied"):
        text = _(
            "%(n)s of %(all)s files were removed, more than half of them: where the group sets no limits, that alone "
            "holds the replica."
        )
        said.append(text % {"n": number(facts["emptied"]), "all": number(facts["files"])})
    said += _numbers(facts)
    if facts.get("good"):
        said.append(_("The last good run is run %(run)s: proven, and without damage.") % {"run": facts["good"]})
    else:
        said.append(_("No run before it is known to be good: none was proven and without damage."))
    return said


def means(facts: dict[str, Any], held: bool) -> str:
    """What it means, while the replica is held and once it was released."""
    text = _("So much does not change on an ordinary day.")
    if facts.get("ending") and not facts.get("emptied") and not _too_many(facts):
        text = _("That is what ransomware leaves behind; or somebody packed or converted these files.")
    state = _("The run is kept and shown, and the replica counts as held, whatever later runs say.")
    if not held:
        state = _(
            "The change was meant: the replica is not held any more, and what it is now is what later runs are "
            "compared with."
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
        text = _("%(n)s of %(all)s files, %(share)s %%, changed or went; so many alone would not hold the replica.")
        return [text % about]
    text = _(
        "%(n)s of %(all)s files, %(share)s %%, changed or went; more than %(limit)s files and %(permille)s %% hold "
        "the replica."
    )
    if not facts["automatic"]:
        return [text % about]
    if facts.get("learned"):
        return [text % about, _("What the group leaves open comes from the replica's own history.")]
    young = _("What the group leaves open is the limit of a replica that is too young for a history of its own.")
    return [text % about, young]


def _ransom(facts: dict[str, Any]) -> str:
    had = facts.get("had_ending")
    if not had:
        text = _("No file ended in .%(ending)s before, and the content of each is another one: ransomware does that.")
        return text % {"ending": plain_shown(facts["ending"])}
    text = ngettext(
        "Only %(n)s file ended in .%(ending)s before, and the content of each is another one: ransomware does that.",
        "Only %(n)s files ended in .%(ending)s before, and the content of each is another one: ransomware does that.",
        had,
    )
    return text % {"n": number(had), "ending": plain_shown(facts["ending"].rpartition(".")[2])}
