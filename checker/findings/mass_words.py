"""A mass change in words: how much of it, what is usual, and what made it one."""

from __future__ import annotations

from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from scanner.templatetags.figures import number
from scanner.templatetags.names import plain_shown


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
    said.append(
        _(
            "%(n)s of %(all)s files, %(share)s %%, changed or went; more than %(limit)s files and %(permille)s %% hold "
            "the replica."
        )
        % {
            "n": number(facts["changed"]),
            "all": number(facts["files"]),
            "share": number_format(facts["permille"] / 10, 1),
            "limit": number(facts["limit_files"]),
            "permille": number_format(facts["limit_permille"] / 10, 1),
        }
    )
    if facts.get("automatic"):
        said.append(_("These limits come from the replica's own history; the group can set others."))
    if facts.get("good"):
        said.append(_("The last good run is run %(run)s: proven, and without damage.") % {"run": facts["good"]})
    else:
        said.append(_("No run before it is known to be good: none was proven and without damage."))
    return said


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
