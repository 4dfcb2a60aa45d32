"""Open, renew and resolve findings when a run was compared with the one before."""

from __future__ import annotations

from checker.findings import resolution
from checker.findings.kinds.registry import RUN_KINDS
from checker.models import Comparison


def update_findings(comparison: Comparison) -> None:
    """Resolve, open and renew findings by an adjacent comparison.

    Call in the transaction that keeps the comparison, in the order of the runs. To judge a comparison again changes
    nothing: a change belongs to one finding, and an audit entry names its run.
    """
    # First, because what restores a path is no finding of its own.
    resolution.resolve_findings(comparison)

    for kind in RUN_KINDS:
        kind.update_findings(comparison)
