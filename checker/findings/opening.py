"""What opens and what closes when a run was compared with the one before."""

from __future__ import annotations

from checker.models import Comparison


def judge(comparison: Comparison) -> None:
    """Open, renew and resolve findings by an adjacent comparison. Call in its transaction, in the order of the runs."""
    del comparison
