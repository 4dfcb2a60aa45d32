"""Say how much a mass change changed, what is usual, and what made it one.

`facts` is the evidence that `mass_change.check_mass_change` returns.
"""

from __future__ import annotations

from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checker.findings.mass_change import Limits
from checker.models import Finding
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import number


def title(facts: dict[str, Any]) -> str:
    """Return the finding in one line."""
    if facts.get("ending"):
        text = ngettext(
            "%(n)s file got the new extension .%(ending)s and different content",
            "%(n)s files got the new extension .%(ending)s and different content",
            facts["renamed"],
        )
        return text % {"n": number(facts["renamed"]), "ending": visible_text(facts["ending"])}

    if facts.get("unknown_endings"):
        text = ngettext(
            "%(n)s file got a new extension and different content",
            "%(n)s files got new extensions and different content",
            facts["renamed"],
        )
        return text % {"n": number(facts["renamed"])}

    text = ngettext(
        "%(n)s of %(all)s files was changed or removed",
        "%(n)s of %(all)s files were changed or removed",
        facts["changed"],
    )
    return text % {"n": number(facts["changed"]), "all": number(facts["files"])}


def reasons(facts: dict[str, Any]) -> list[str]:
    """Return the proofs: what made it a mass change, the numbers, and the last good run."""
    sentences = []
    if facts.get("ending"):
        sentences.append(_describe_ending(facts))
    if facts.get("unknown_endings"):
        text = _(
            "No file had any of these extensions before, and the content of each renamed file is different: "
            "ransomware does this."
        )
        sentences.append(text)
    if facts.get("most"):
        text = _(
            "%(n)s of %(all)s files were changed or removed, more than half. Where the group sets no limits, this "
            "alone puts the replica on hold."
        )
        sentences.append(text % {"n": number(facts["most"]), "all": number(facts["files"])})
    # Findings that were opened before changed files counted, too, have this instead.
    if facts.get("emptied"):
        text = _(
            "%(n)s of %(all)s files were removed, more than half. Where the group sets no limits, this alone "
            "puts the replica on hold."
        )
        sentences.append(text % {"n": number(facts["emptied"]), "all": number(facts["files"])})
    sentences += _describe_numbers(facts)

    if facts.get("good"):
        sentences.append(_("The last good run is run %(run)s: proven and without damage.") % {"run": facts["good"]})
    else:
        sentences.append(_("No earlier run is known to be good: none is both proven and without damage."))
    return sentences


def meaning(finding: Finding) -> str:
    """Return what it means while the replica is on hold, or once that is over."""
    facts = finding.evidence
    has_new_endings = facts.get("ending") or facts.get("unknown_endings")
    if has_new_endings and not _is_most(facts) and not _limits_are_exceeded(facts):
        cause = _("Ransomware leaves files like this. It is also possible that somebody packed or converted them.")
    else:
        cause = _("This much does not normally change at once.")

    if finding.state == Finding.State.OPEN:
        consequence = _(
            "The run is kept and shown, but the replica stays on hold until a person releases it, or a later run has "
            "all contents as they were before."
        )
    elif finding.state == Finding.State.RESOLVED:
        values = {"run": finding.last_run.sequence, "good": facts.get("restored")}
        consequence = _("The change was undone: run %(run)s is byte for byte run %(good)s.") % values
    else:
        consequence = _(
            "The change was intended: the replica is no longer on hold, and later runs are compared with its "
            "present state."
        )
    return f"{cause} {consequence}"


def _is_most(facts: dict[str, Any]) -> bool:
    """Return whether more than half of the files changed or went."""
    return bool(facts.get("most") or facts.get("emptied"))


def _limits_are_exceeded(facts: dict[str, Any]) -> bool:
    limits = Limits(facts["limit_files"], facts["limit_permille"], facts["automatic"])
    return limits.are_exceeded(facts["changed"], facts["files"])


def _describe_numbers(facts: dict[str, Any]) -> list[str]:
    """Return how much changed. Limits, and where they come from, are named only when they are exceeded."""
    values = {
        "n": number(facts["changed"]),
        "all": number(facts["files"]),
        "share": number_format(facts["permille"] / 10, 1),
        "limit": number(facts["limit_files"]),
        "permille": number_format(facts["limit_permille"] / 10, 1),
    }

    if not _limits_are_exceeded(facts):
        # That it was more than half says it all, and is enough by itself.
        if _is_most(facts):
            return []
        text = _(
            "%(n)s of %(all)s files (%(share)s %%) were changed or removed; this alone would not put the replica "
            "on hold."
        )
        return [text % values]

    text = _(
        "%(n)s of %(all)s files (%(share)s %%) were changed or removed. The replica goes on hold at more than "
        "%(limit)s files and more than %(permille)s %%."
    )
    sentences = [text % values]
    if facts["automatic"]:
        sentences.append(_describe_origin(facts))
    return sentences


def _describe_origin(facts: dict[str, Any]) -> str:
    if facts.get("learned"):
        return _("Limits that the group does not set come from the replica's own history.")
    return _("Where the group sets no limit, the default applies until enough runs exist.")


def _describe_ending(facts: dict[str, Any]) -> str:
    number_before = facts.get("had_ending")
    if not number_before:
        text = _(
            "No file had the extension .%(ending)s before, and the content of each renamed file is different: "
            "ransomware does this."
        )
        return text % {"ending": visible_text(facts["ending"])}

    text = ngettext(
        "Only %(n)s file had the extension .%(ending)s before, and the content of each renamed file is "
        "different: ransomware does this.",
        "Only %(n)s files had the extension .%(ending)s before, and the content of each renamed file is "
        "different: ransomware does this.",
        number_before,
    )
    _rest, _dot, last_part = facts["ending"].rpartition(".")
    return text % {"n": number(number_before), "ending": visible_text(last_part)}
