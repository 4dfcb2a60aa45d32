"""Lower the priority of the collector, so that it disturbs other programs little."""

from __future__ import annotations

import os
import sys
from typing import List

NICENESS = 10


def lower_priority() -> List[str]:
    """Lower the priority of this process and its future children. Return what was done, such as `nice 10`."""
    increment = NICENESS - os.nice(0)
    if increment > 0:
        os.nice(increment)
    steps = [f"nice {os.nice(0)}"]
    if sys.platform == "linux" and _lower_io_priority():
        steps.append("ionice best-effort 7")
    return steps


def _lower_io_priority() -> bool:
    """Take the lowest best-effort I/O priority (ioprio_set(2)). Return whether that worked.

    The idle class is lower still, but can starve a reader until it runs into its time limit.
    """
    try:
        import psutil
    except ImportError:
        return _run_ionice()

    try:
        psutil.Process().ionice(psutil.IOPRIO_CLASS_BE, 7)
    except psutil.Error:
        return False
    return True


def _run_ionice() -> bool:
    # Imported here and not above, so that workers, which never need it, start sooner.
    import subprocess

    command = ["/usr/bin/ionice", "-c", "2", "-n", "7", "-p", str(os.getpid())]
    try:
        process = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return False
    return process.returncode == 0
