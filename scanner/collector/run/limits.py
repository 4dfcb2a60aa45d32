"""Name the resources that a run may use."""

from __future__ import annotations

from typing import NamedTuple, Optional

NO_PROGRESS = 600.0
"""Seconds without progress after which a file or directory is given up, unless the configuration says otherwise."""


class ResourceLimits(NamedTuple):
    """Resources that a run may use."""

    workers: int
    """Worker processes."""
    max_rate: Optional[float]
    """Bytes a second, for all workers together."""
    no_progress: float = NO_PROGRESS
    """Seconds without progress after which a file or directory is given up."""
