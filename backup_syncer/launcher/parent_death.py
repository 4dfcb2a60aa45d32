"""Children that do not outlive the process that started them, where the system can do that (Linux)."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def die_with_parent(number: int) -> Callable[[], None] | None:
    """For `preexec_fn`: the kernel sends this signal to the child when the thread that made it ends: prctl(2).

    None where the system has no such thing; there a left-over child is found by its pid file at the next start. It must
    run after the child's user was changed, which `subprocess` does, since that change clears the setting.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel knew
            os.kill(os.getpid(), number)

    return ask
