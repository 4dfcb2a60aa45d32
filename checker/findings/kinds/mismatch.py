"""Explain findings of contents that differ between replicas, damaged copies among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checker.divergences import kinds as divergence_kinds
from checker.findings.kinds.base import ReplicasFindingKind, Resolution
from checker.findings.text import replicas
from checker.findings.text.replicas import join_names
from checker.models import Divergence, Finding
from scanner.formatting.names import visible_text
from scanner.formatting.numbers import number


@dataclass(frozen=True, kw_only=True)
class Mismatch(ReplicasFindingKind):
    """Differing contents, folded by directory. A path with a damaged copy has a critical finding of its own."""

    def title(self, finding: Finding) -> str:
        """Return what differs, or which copy is damaged and which one is good."""
        path = visible_text(finding.path)
        if finding.folded:
            text = ngettext(
                "contents differ at %(n)s path below %(path)s",
                "contents differ at %(n)s paths below %(path)s",
                finding.number,
            )
            return text % {"n": number(finding.number), "path": path or "/"}

        if finding.evidence.get("damaged"):
            return _title_of_damage(finding.evidence, path)
        if finding.evidence.get("declared_good"):
            return _("content declared good by a person: %(path)s") % {"path": path}
        if finding.evidence.get("spread"):
            return _("every copy may be damaged: %(path)s") % {"path": path}
        if finding.evidence.get("rewritten"):
            return _title_of_rewriting(finding.evidence, path)
        return _("contents differ: %(path)s") % {"path": path}

    def reasons(self, finding: Finding) -> list[str]:
        """Return what each replica has, and what speaks for it."""
        return replicas.reasons(finding)

    def meaning(self, finding: Finding) -> str:
        """Return what it means, as far as the copies are known to be damaged, good or newer."""
        if finding.folded:
            # The paths below a directory may have different verdicts.
            return _("The replicas have different contents at these paths. The list shows what is known of each copy.")

        is_good_known = bool(finding.evidence.get("good"))
        if finding.evidence.get("damaged"):
            if is_good_known:
                return _("A copy is damaged; a good copy is known.")
            return _("A copy is damaged, and no other copy is known to be good.")

        without_damage = _meaning_without_damage(finding)
        if without_damage:
            return without_damage
        if _has_newer_copy(finding):
            return _(
                "The file was edited, and some replicas have the older content: the edit has not arrived, "
                "or was undone."
            )
        if is_good_known:
            return _("One content is known to be good. The others may be other versions, or damaged.")
        return _("The replicas have different contents at the same path, and it is not certain which is right.")

    def next_steps(self, finding: Finding) -> list[str]:
        """Return what to do next, as far as the copies are known to be damaged, good or newer."""
        if not finding.folded and _is_declared_good(finding):
            return [_("Put this content on every replica, or accept the finding if the others may stay as they are.")]
        if not finding.folded and finding.evidence.get("spread") and not finding.evidence.get("damaged"):
            return [_("Look for an older backup: no replica is known to have a good copy.")]
        if not finding.folded and finding.evidence.get("rewritten") and not finding.evidence.get("damaged"):
            return [_("Open both versions and compare them. Overwrite neither before you know which one is right.")]
        if not finding.evidence.get("damaged"):
            if _has_newer_copy(finding):
                return [str(step) for step in divergence_kinds.NEWER.steps]
            return super().next_steps(finding)

        stop = _("Stop everything that copies from a damaged replica before it spreads the damage.")
        if not finding.evidence.get("good"):
            return [stop, _("Look for an older backup: no replica is known to have a good copy.")]

        restore = _(
            "Restore the file from %(good)s, then run the collector on the damaged replica: the next comparison "
            "closes the finding."
        )
        return [
            stop,
            restore % {"good": join_names(finding.evidence["good"])},
            _("Check the disk before you trust it again: SMART values, kernel messages, a file system scrub."),
        ]


def _is_declared_good(finding: Finding) -> bool:
    """Return whether a person declared a copy good, and no other one is damaged or newer."""
    is_declared = bool(finding.evidence.get("declared_good"))
    return is_declared and not finding.evidence.get("damaged") and not _has_newer_copy(finding)


def _has_newer_copy(finding: Finding) -> bool:
    """Return whether one path has a copy that is known to be newer. Folded findings have no single answer."""
    copies = finding.evidence.get("copies", [])
    return not finding.folded and any(copy["copy"] == Divergence.CopyVerdict.NEWER for copy in copies)


def _title_of_damage(facts: dict[str, Any], path: str) -> str:
    damaged = [copy["name"] for copy in facts["copies"] if copy["copy"] == Divergence.CopyVerdict.DAMAGED]
    values = {"names": join_names(damaged), "path": path}
    if not facts.get("good"):
        return _("damaged on %(names)s, no copy known to be good: %(path)s") % values

    values["good"] = join_names(facts["good"])
    return _("damaged on %(names)s, good on %(good)s: %(path)s") % values


def _title_of_rewriting(facts: dict[str, Any], path: str) -> str:
    values = {"names": join_names(facts["rewritten"]), "path": path}
    if not facts.get("earlier"):
        return _("changed on %(names)s with the date unchanged: %(path)s") % values

    values["earlier"] = join_names(facts["earlier"])
    return _("changed on %(names)s with the date unchanged, earlier content on %(earlier)s: %(path)s") % values


def _meaning_without_damage(finding: Finding) -> str:
    """Return what it means that copies may be damaged; empty where nothing says so."""
    if finding.evidence.get("declared_good"):
        return _("A person declared the content of a copy good. Nothing is known of other contents beside it.")
    if finding.evidence.get("spread"):
        return _("The copies agree on a content that was made of a damaged one, or may have been.")
    if finding.evidence.get("rewritten"):
        return _(
            "Somebody wrote the file and kept its date, as some tools do on purpose, or the file is damaged. Both "
            "are possible."
        )
    return ""


MISMATCH = Mismatch(
    value=Finding.Kind.MISMATCH,
    divergence=Divergence.Kind.MISMATCH,
    resolution=Resolution.NO_DIVERGENCE,
    steps=divergence_kinds.MISMATCH.steps,
)
