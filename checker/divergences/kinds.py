"""Describe every kind of divergence and every verdict on a copy, each in one object.

Adding one takes a value in `checker.models.Divergence`, an object here, a section of docs/en/everyday.md and
docs/ru/everyday.md, and a case in tests/checker/divergences/test_kinds.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from checker.divergences.verdicts import VerdictReason
from checker.models import Divergence


@dataclass(frozen=True, kw_only=True)
class DivergenceKind:
    """A way in which a path differs between replicas."""

    value: Divergence.Kind
    """What is stored, with its label."""
    explanation: Promise
    """What it means."""
    steps: tuple[Promise, ...]
    """What to do about it."""

    @property
    def label(self) -> str:
        """The kind in words, in the language of the reader."""
        return str(self.value.label)

    @property
    def anchor(self) -> str:
        """The anchor of its section in docs/*/everyday.md."""
        return f"divergence-{self.value.value}"


@dataclass(frozen=True, kw_only=True)
class VerdictKind:
    """A verdict on one copy."""

    value: Divergence.CopyVerdict
    """What is stored, with its label."""
    explanation: Promise
    """What it means."""
    steps: tuple[Promise, ...]
    """What to do about it."""
    reasons: dict[VerdictReason, Promise]
    """What can speak for it, as a part of a sentence about the copy."""

    @property
    def label(self) -> str:
        """The verdict in words, in the language of the reader."""
        return str(self.value.label)

    @property
    def name(self) -> str:
        """The verdict in files, for programs."""
        return self.value.name.lower()

    @property
    def anchor(self) -> str:
        """The anchor of its section in docs/*/everyday.md."""
        return f"verdict-{self.name}"


MISMATCH = DivergenceKind(
    value=Divergence.Kind.MISMATCH,
    explanation=_("The replicas have different contents at the same path."),
    steps=(
        _("If a newer version is on its way, let the sync finish: the next comparison closes the finding."),
        _("Otherwise check the copies yourself and put the right one on every replica."),
    ),
)
LOST = DivergenceKind(
    value=Divergence.Kind.LOST,
    explanation=_("Other replicas have this data. Here it was lost, was removed on purpose, or has not arrived yet."),
    steps=(
        _("If it was removed on purpose, remove it from the other replicas too, or accept the finding and note why."),
        _("Otherwise copy it back from a replica that has it, and find out who removed it."),
    ),
)
UNKNOWN = DivergenceKind(
    value=Divergence.Kind.UNKNOWN,
    explanation=_("A replica could not read this path, or its run did not look there. Nothing is known of its copy."),
    steps=(_("Find out why the path could not be read there."),),
)
MOVED = DivergenceKind(
    value=Divergence.Kind.MOVED,
    explanation=_("The path is missing there, but the replica has its content at another path."),
    steps=(_("Nothing to do, unless the other path is wrong."),),
)
LAGGING = DivergenceKind(
    value=Divergence.Kind.LAGGING,
    explanation=_("The primary changed this path recently, and a follower does not have the change yet."),
    steps=(_("Let the sync finish. After the allowed lag the path counts as missing or different."),),
)
LINGERING = DivergenceKind(
    value=Divergence.Kind.LINGERING,
    explanation=_("The primary removed this path, and a follower still has it."),
    steps=(_("Nothing to do. Remove it there if you need the space."),),
)
DIVERGENCE_KINDS = (MISMATCH, LOST, UNKNOWN, MOVED, LAGGING, LINGERING)
"""All kinds, in the order of urgency."""


DAMAGED = VerdictKind(
    value=Divergence.CopyVerdict.DAMAGED,
    explanation=_("This copy is damaged, or it was made from a damaged one."),
    steps=(
        _("Stop everything that copies from a damaged replica before it spreads the damage."),
        _("Replace this copy with a good one, and check the disk."),
    ),
    reasons={
        VerdictReason.DAMAGED_HERE: _("its bytes changed below the file system; repeated reads confirmed it"),
        VerdictReason.BROKEN_HERE: _("the bytes that changed show that nobody edited it"),
        VerdictReason.REMEMBERED: _("an earlier comparison found that this content is damaged"),
        VerdictReason.SPREAD: _("it has content that appeared on some replica through damage: a copy of the damage"),
        VerdictReason.OUTVOTED: _("same modification time, but not the content of the majority"),
    },
)
GOOD = VerdictKind(
    value=Divergence.CopyVerdict.GOOD,
    explanation=_("A damaged copy had this content before, or most votes are for it."),
    steps=(_("Restore damaged copies from this one."),),
    reasons={
        VerdictReason.HELD_BEFORE: _("it has the content that the damaged copy had before"),
        VerdictReason.DECLARED_GOOD: _("a person declared this content good"),
        VerdictReason.MAJORITY: _("most votes are for this content, and nothing in the history contradicts them"),
    },
)
NEWER = VerdictKind(
    value=Divergence.CopyVerdict.NEWER,
    explanation=_("An ordinary edit replaced the other content with this one."),
    steps=(_("Let the sync finish. If nobody meant this edit, restore the older version everywhere."),),
    reasons={
        VerdictReason.EDITED_HERE: _("it was edited here, with a later modification time"),
        VerdictReason.CAME_LATER: _("it has an edit made on another replica, with a later modification time"),
    },
)
OLDER = VerdictKind(
    value=Divergence.CopyVerdict.OLDER,
    explanation=_("An edit on another replica replaced this content, or earlier content was put back here."),
    steps=(_("Let the sync bring the newer version."),),
    reasons={
        VerdictReason.PUT_BACK: _("earlier content was put back here"),
        VerdictReason.SUPERSEDED: _("a later edit replaced this content on another replica"),
    },
)
UNSURE = VerdictKind(
    value=Divergence.CopyVerdict.UNSURE,
    explanation=_("Neither history nor votes show whether this copy is right."),
    steps=(_("Open the copies, compare them, and put the right one on every replica."),),
    reasons={
        VerdictReason.OTHER_DECLARED_GOOD: _("a person declared another content good"),
        VerdictReason.OTHER_TIME: _("its modification time differs from the good copies: another version, or damage"),
        VerdictReason.NO_MAJORITY: _("no history of a change, and no majority"),
        VerdictReason.REWRITTEN_HERE: _(
            "its content changed but its modification time did not: somebody wrote the file and kept its date, or it "
            "is damaged"
        ),
        VerdictReason.NOT_REWRITTEN: _("it has the earlier content, from before the file was rewritten elsewhere"),
        VerdictReason.DOUBTFUL: _("it was made from a copy that is damaged, or may be"),
        VerdictReason.ON_HOLD: _("its replica is on hold after a mass change"),
        VerdictReason.UNCLEAR: _("the history of these contents does not show which one is right"),
    },
)
VERDICT_KINDS = (DAMAGED, GOOD, NEWER, OLDER, UNSURE)
"""All verdicts on a copy. Where there is no copy there is no verdict."""

EXPLANATIONS: dict[str, Promise] = {kind.value.value: kind.explanation for kind in DIVERGENCE_KINDS}
"""What each filter of the list of divergences means: its kinds, and the verdicts on paths."""
EXPLANATIONS |= {kind.name: kind.explanation for kind in (DAMAGED, NEWER, UNSURE)}

REASONS = {reason: text for kind in VERDICT_KINDS for reason, text in kind.reasons.items()}
"""The words of every reason."""
