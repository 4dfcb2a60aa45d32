"""List all kinds of findings, and look one up."""

from __future__ import annotations

from checker.findings.kinds.base import FindingKind, ReplicasFindingKind, Resolution, RunFindingKind
from checker.findings.kinds.corrupted import CORRUPTED
from checker.findings.kinds.edits import ADDED, MODIFIED, RETYPED, TOUCHED
from checker.findings.kinds.empty import EMPTY
from checker.findings.kinds.mass_change import MASS_CHANGE
from checker.findings.kinds.mismatch import MISMATCH
from checker.findings.kinds.missing import MISSING
from checker.findings.kinds.mounted_over import MOUNTED_OVER
from checker.findings.kinds.moved import MOVED
from checker.findings.kinds.no_new_file import NO_NEW_FILE
from checker.findings.kinds.removed import REMOVED
from checker.findings.kinds.reverted import REVERTED
from checker.findings.kinds.rewritten import REWRITTEN
from checker.findings.kinds.unreadable import UNREADABLE
from checker.findings.kinds.unstable import UNSTABLE
from checker.models import Finding

RUN_KINDS: tuple[RunFindingKind, ...] = (
    CORRUPTED,
    REWRITTEN,
    UNREADABLE,
    MOUNTED_OVER,
    REMOVED,
    MODIFIED,
    REVERTED,
    RETYPED,
    MOVED,
    ADDED,
    TOUCHED,
    UNSTABLE,
    MASS_CHANGE,
    NO_NEW_FILE,
    EMPTY,
)
"""In the order in which they open. A change belongs to one finding: damage takes its changes before all others."""
REPLICAS_KINDS: tuple[ReplicasFindingKind, ...] = (MISMATCH, MISSING)
"""In the order in which they open."""

KINDS: dict[str, FindingKind] = {kind.value.value: kind for kind in (*RUN_KINDS, *REPLICAS_KINDS)}


def kind_of(finding: Finding) -> FindingKind:
    """Return the kind of a finding."""
    return KINDS[finding.kind]


def values_resolved_by(*resolutions: Resolution) -> list[str]:
    """Return the stored values of the kinds that are resolved in one of these ways."""
    return [kind.value.value for kind in KINDS.values() if kind.resolution in resolutions]
